//! What names mean while a script is planned: tables, views and functions, behind DataFusion's `ContextProvider`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DFSchema, Result as DfResult, TableReference, plan_err};
use datafusion::execution::context::SessionState;
use datafusion::execution::{FunctionRegistry, SessionStateBuilder};
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner};
use datafusion::logical_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableSource, WindowUDF, col,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use datafusion::sql::planner::{ParserOptions, SqlToRel};

use super::alert;
use super::float_repr::float_repr;
use super::function::Created;
use super::functions::window_markers;
use super::lookup::{LookupRows, cidr_match};
use super::network::{self, AnonymizeKey};
use super::offset_ranges;
use super::window_flags::WindowFields;
use crate::error::{Error, Result};
use crate::lookup::Lookup;
use crate::metrics::FunctionMetrics;
use crate::plan::{ColumnSource, TableDef};

/// Rows per batch in operators; as many as a decoder makes of one piece of input, so nothing is cut again.
const BATCH_ROWS: usize = 32_768;

pub struct Catalog {
    /// Functions, optimiser and planner.
    pub state: SessionState,
    /// What the functions of CREATE FUNCTION count.
    pub functions: Vec<Arc<FunctionMetrics>>,
    /// What calls of them are checked by.
    pub created: Created,
    tables: BTreeMap<String, Arc<TableDef>>,
    views: BTreeMap<String, LogicalPlan>,
}

/// A table as queries see it: every column but the hidden ones.
#[derive(Debug)]
pub struct TableRows {
    pub def: Arc<TableDef>,
    schema: SchemaRef,
    /// With generated columns, the query that makes them over [`RawRows`].
    plan: Option<LogicalPlan>,
}

/// A table's own columns, as decoded.
#[derive(Debug)]
pub struct RawRows {
    pub def: Arc<TableDef>,
    schema: SchemaRef,
}

impl TableSource for TableRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn get_logical_plan(&'_ self) -> Option<Cow<'_, LogicalPlan>> {
        self.plan.as_ref().map(Cow::Borrowed)
    }
}

impl TableSource for RawRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

struct ViewRows(LogicalPlan);

impl TableSource for ViewRows {
    fn schema(&self) -> SchemaRef {
        Arc::new(self.0.schema().as_arrow().clone())
    }

    fn get_logical_plan(&'_ self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.0))
    }
}

impl TableDef {
    /// The schema of the columns that are decoded, without generated ones.
    pub fn raw_schema(&self) -> SchemaRef {
        let is_raw = |from: &ColumnSource| !matches!(from, ColumnSource::Generated(_));
        let fields: Vec<FieldRef> =
            self.columns.iter().filter(|column| is_raw(&column.from)).map(|column| Arc::clone(&column.field)).collect();
        Arc::new(Schema::new(fields))
    }

    /// The schema of all declared columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(|column| Arc::clone(&column.field)).collect::<Vec<_>>()))
    }
}

/// DataFusion's rules for physical plans, without those that move filters: in DataFusion 55 they follow columns by name, and columns of
/// several tables, as of a list that is joined twice, may have the same. The logical optimizer has moved filters already.
fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    rules.retain(|rule| !rule.name().starts_with("FilterPushdown"));
    rules
}

impl Catalog {
    /// No tables; DataFusion's functions, the JSON functions, those of our own and the window markers.
    pub fn new(max_session: Duration, key: Option<AnonymizeKey>) -> Result<Self> {
        let mut config = SessionConfig::new()
            .with_target_partitions(1)
            .with_batch_size(BATCH_ROWS)
            .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false)
            .set_bool("datafusion.sql_parser.collect_spans", true)
            .set_bool("datafusion.optimizer.enable_dynamic_filter_pushdown", false);
        config.options_mut().sql_parser.dialect = datafusion::config::Dialect::PostgreSQL;
        let ours: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(WindowFields)];
        let state = SessionStateBuilder::new().with_config(config).with_expr_planners(ours);
        let state = state.with_physical_optimizer_rules(physical_rules());
        let mut state = state.with_default_features().build();
        datafusion_functions_json::register_all(&mut state)?;
        state.register_udf(float_repr())?;
        for function in alert::functions().into_iter().chain(network::functions(key)) {
            state.register_udf(function)?;
        }
        state.register_udf(cidr_match())?;
        state.register_udaf(offset_ranges::function())?;
        let max_session = i64::try_from(max_session.as_nanos()).unwrap_or(i64::MAX);
        for marker in window_markers(max_session) {
            state.register_udf(marker)?;
        }
        Ok(Self {
            state,
            functions: Vec::new(),
            created: Created::new(),
            tables: BTreeMap::new(),
            views: BTreeMap::new(),
        })
    }

    /// DataFusion's SQL planner over this catalog.
    pub fn sql(&self) -> SqlToRel<'_, Self> {
        let options = ParserOptions::new()
            .with_map_string_types_to_utf8view(false)
            .with_collect_spans(true)
            .with_enable_ident_normalization(true);
        SqlToRel::new_with_options(self, options)
    }

    pub fn add_table(&mut self, def: TableDef) -> Result<()> {
        self.check_new(&def.name)?;
        self.tables.insert(def.name.to_string(), Arc::new(def));
        Ok(())
    }

    pub fn add_view(&mut self, name: &str, plan: LogicalPlan) -> Result<()> {
        self.check_new(name)?;
        self.views.insert(name.to_owned(), plan);
        Ok(())
    }

    fn check_new(&self, name: &str) -> Result<()> {
        if self.tables.contains_key(name) || self.views.contains_key(name) {
            return Err(Error::invalid(format!("`{name}` is already defined")).hint("give it another name"));
        }
        Ok(())
    }

    /// A table by name.
    pub fn table(&self, name: &str) -> Option<&Arc<TableDef>> {
        self.tables.get(name)
    }

    /// The lookup tables, by name.
    pub fn lookups(&self) -> Vec<Arc<Lookup>> {
        self.tables.values().filter_map(|def| def.lookup.clone()).collect()
    }

    /// The names of all tables and views.
    pub fn names(&self) -> Vec<&str> {
        self.tables.keys().chain(self.views.keys()).map(String::as_str).collect()
    }
}

/// The rows of a table for a query: straight, or through its generated columns.
fn table_rows(def: &Arc<TableDef>) -> DfResult<TableRows> {
    let is_generated = |from: &ColumnSource| matches!(from, ColumnSource::Generated(_));
    let plan = if def.columns.iter().any(|column| is_generated(&column.from)) {
        let raw = Arc::new(RawRows { def: Arc::clone(def), schema: def.raw_schema() });
        let expressions: Vec<Expr> = def
            .columns
            .iter()
            .map(|column| match &column.from {
                ColumnSource::Generated(expression) => expression.clone().alias(column.field.name()),
                _ => Expr::Column(datafusion::common::Column::from_name(column.field.name())),
            })
            .collect();
        Some(LogicalPlanBuilder::scan(&*def.name, raw, None)?.project(expressions)?.build()?)
    } else {
        None
    };
    Ok(TableRows { def: Arc::clone(def), schema: def.schema(), plan })
}

/// Rewrites an expression over a table's declared columns to one over its raw columns.
pub fn inline_generated(def: &TableDef, expression: Expr) -> Result<Expr> {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let replaced = expression.transform_up(|node| {
        let Expr::Column(column) = &node else { return Ok(Transformed::no(node)) };
        let declared = def.columns.iter().find(|declared| *declared.field.name() == column.name);
        Ok(match declared.map(|declared| &declared.from) {
            Some(ColumnSource::Generated(expression)) => Transformed::yes(expression.clone()),
            _ => Transformed::yes(col(datafusion::common::Column::from_name(&column.name))),
        })
    })?;
    Ok(replaced.data)
}

/// The schema over which a table's own expressions (watermark, generated columns) are planned.
pub fn expression_schema(fields: &[FieldRef]) -> Result<DFSchema> {
    Ok(DFSchema::try_from(Schema::new(fields.to_vec()))?)
}

impl ContextProvider for Catalog {
    fn get_table_source(&self, name: TableReference) -> DfResult<Arc<dyn TableSource>> {
        let plain = name.table();
        if name.schema().is_some() {
            return plan_err!("table `{name}` has a schema; Davy's tables live in one flat space");
        }
        if let Some(plan) = self.views.get(plain) {
            return Ok(Arc::new(ViewRows(plan.clone())));
        }
        if let Some(lookup) = self.tables.get(plain).and_then(|def| def.lookup.as_ref()) {
            return Ok(Arc::new(LookupRows::new(lookup)));
        }
        match self.tables.get(plain) {
            Some(def) if def.table.is_source() => Ok(Arc::new(table_rows(def)?)),
            Some(_) => plan_err!("table `{plain}` can only be written to"),
            None => plan_err!("there is no table or view `{plain}`; there are {}", list(self.names())),
        }
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.state.scalar_functions().get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}

/// `a`, `b` and `c`, for messages.
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() { "none".to_owned() } else { quoted.join(", ") }
}
