//! A windowed aggregate taken apart: the query below it, its calls over that query's columns, and the leaf that replaces it.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Fields, Schema, SchemaRef};
use datafusion::common::{Column as DfColumn, DFSchema};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, Projection, TableScan, cast, col};
use datafusion::physical_expr::aggregate::{AggregateFunctionExpr, LoweredAggregateBuilder};

use super::super::catalog::{Catalog, RawRows, TableRows};
use super::super::fingerprint;
use super::super::max_keys;
use super::super::placeholder::SourcePlaceholder;
use super::super::spread::PlaceholderKeys;
use super::super::sql_error;
use super::event_time::{hidden_column, with_event_time};
use crate::error::{Error, Result, Subject};
use crate::log::ExchangeId;
use crate::operator::bounded::PlaceholderTable;
use crate::operator::partial::{EVENT_TIME, ROW, WATERMARK, WindowedAggregate};
use crate::operator::window::pane::{AggregateCall, GroupLayout};
use crate::operator::window::spec::WindowSpec;
use crate::plan::{KeyLimit, TableDef};

/// The window that an aggregate groups by.
#[derive(Clone, Copy)]
pub(super) struct GroupWindow {
    /// Its index among the group's columns.
    pub(super) index: usize,
    pub(super) spec: WindowSpec,
}

/// A windowed aggregate of a query.
pub(super) struct Grouped {
    pub(super) aggregate: Aggregate,
    pub(super) window: GroupWindow,
    /// The numbers of its columns in the placeholder that the query above reads.
    columns: Vec<usize>,
}

impl Grouped {
    pub(super) fn new(aggregate: &Aggregate, window: GroupWindow) -> Self {
        let columns = (0..aggregate.group_expr.len() + aggregate.aggr_expr.len()).collect();
        Self { aggregate: aggregate.clone(), window, columns }
    }

    /// The same without the aggregates that are not among these columns of the placeholder.
    pub(super) fn with_used(&self, used: &[String]) -> Result<Self> {
        let Aggregate { input, group_expr, aggr_expr, .. } = &self.aggregate;
        let (of_group, of_calls) = self.columns.split_at(group_expr.len());
        let calls = of_calls.iter().zip(aggr_expr).filter(|(column, _)| used.contains(&column_name(**column)));
        let (columns, calls): (Vec<usize>, Vec<Expr>) = calls.map(|(column, call)| (*column, call.clone())).unzip();
        let aggregate = Aggregate::try_new(Arc::clone(input), group_expr.clone(), calls).map_err(sql_error)?;
        Ok(Self { aggregate, window: self.window, columns: of_group.iter().copied().chain(columns).collect() })
    }
}

/// What a column of a placeholder is called. Names in a logical plan may repeat under different qualifiers, so here they are numbered.
fn column_name(number: usize) -> String {
    format!("c{number}")
}

/// A windowed aggregate before it is known how its partials are spread.
pub(super) struct DraftAggregate {
    /// Of its exchange, and of the placeholder of its closed windows.
    pub(super) name: Arc<str>,
    described: u64,
    pub(super) spec: WindowSpec,
    pub(super) layout: Arc<GroupLayout>,
    output_schema: SchemaRef,
    output_names: Vec<String>,
    pub(super) key_limit: Option<KeyLimit>,
    /// Which column of `output_schema` is the window.
    pub(super) window_index: usize,
}

impl DraftAggregate {
    pub(super) fn new(name: Arc<str>, grouped: &Grouped, calls: Vec<AggregateCall>, below: &Below) -> Result<Self> {
        let Grouped { aggregate, window, .. } = grouped;
        let keys: Fields = aggregate.schema.fields()[..aggregate.group_expr.len()]
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != window.index)
            .map(|(_, field)| Arc::new(field.as_ref().clone().with_nullable(true)))
            .collect();
        let layout = Arc::new(GroupLayout::new(keys, calls.into())?);
        let output_schema = closed_schema(grouped, &layout.calls);
        let output_names = aggregate.schema.fields().iter().map(|field| without_qualifiers(field.name())).collect();
        let described = fingerprint::of_partials(&below.plan, &below.aggregates)?;
        let key_limit = max_keys::of_window(&aggregate.input, window.spec)?.filter(|_| !layout.keys.is_empty());
        Ok(Self {
            name,
            described,
            spec: window.spec,
            layout,
            output_schema,
            output_names,
            key_limit,
            window_index: window.index,
        })
    }

    /// Which of a closed window's columns are keys.
    pub(super) fn placeholder_keys(&self) -> PlaceholderKeys {
        let keys = &self.layout.keys;
        let key = |column: usize| match column.cmp(&self.window_index) {
            Ordering::Less => Some(column),
            Ordering::Equal => None,
            Ordering::Greater => Some(column - 1),
        };
        let of_group = |key: &usize| *key < keys.len();
        PlaceholderKeys {
            columns: (0..self.output_schema.fields().len()).map(|column| key(column).filter(of_group)).collect(),
            types: keys.iter().map(|field| field.data_type().clone()).collect(),
        }
    }

    /// The final aggregate, whose partials are spread by these keys.
    pub(super) fn spread(self, keys: Vec<usize>) -> WindowedAggregate {
        WindowedAggregate {
            exchange: ExchangeId(self.name),
            described: self.described,
            spec: self.spec,
            layout: self.layout,
            output_schema: self.output_schema,
            output_names: self.output_names,
            key_limit: self.key_limit,
            spread: keys,
            window_index: self.window_index,
        }
    }

    /// A leaf with the output of `aggregate`, qualified as the plan above expects it.
    pub(super) fn leaf(&self, aggregate: &Aggregate) -> Result<LogicalPlan> {
        let name = &*self.name;
        let table = PlaceholderTable { name: Arc::clone(&self.name), schema: Arc::clone(&self.output_schema) };
        let scan = LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(table)), None).map_err(sql_error)?;
        let columns = aggregate.schema.iter().enumerate().map(|(index, (qualifier, field))| {
            let mut column = Expr::Column(DfColumn::new(Some(name), format!("c{index}")));
            if self.output_schema.field(index).data_type() != field.data_type() {
                // A wide sum; one that does not fit fails here.
                column = cast(column, field.data_type().clone());
            }
            match qualifier {
                Some(qualifier) => column.alias_qualified(Some(qualifier.clone()), field.name()),
                None => column.alias(field.name()),
            }
        });
        scan.project(columns.collect::<Vec<_>>()).and_then(LogicalPlanBuilder::build).map_err(sql_error)
    }
}

/// The query below a windowed aggregate: `keys…, arguments…, __event_time[, __watermark][, __row]`.
pub(super) struct Below {
    pub(super) plan: LogicalPlan,
    /// The aggregates over that query's columns.
    pub(super) aggregates: Vec<Expr>,
}

pub(super) fn below_plan(aggregate: &Aggregate, window_index: usize) -> Result<Below> {
    let input = with_event_time(&aggregate.input)?;
    let mut projected = Vec::new();
    for (index, expression) in aggregate.group_expr.iter().enumerate() {
        if index != window_index {
            projected.push(expression.clone().unalias_nested().data.alias(format!("__key_{index}")));
        }
    }
    let n_keys = projected.len();
    let mut aggregates = Vec::new();
    for expression in &aggregate.aggr_expr {
        aggregates.push(project_arguments(expression.clone(), &mut projected, n_keys)?);
    }
    for hidden in [EVENT_TIME, WATERMARK, ROW] {
        if let Some(column) = hidden_column(input.schema(), hidden) {
            projected.push(Expr::Column(column).alias(hidden));
        }
    }
    let plan = LogicalPlan::Projection(Projection::try_new(projected, Arc::new(input)).map_err(sql_error)?);
    Ok(Below { plan, aggregates })
}

/// Moves an aggregate's arguments, filter and ordering into the projection below; literals stay where they are.
fn project_arguments(expression: Expr, projected: &mut Vec<Expr>, n_keys: usize) -> Result<Expr> {
    let mut project = |argument: Expr| -> Expr {
        if matches!(argument, Expr::Literal(..)) {
            return argument;
        }
        let known =
            projected[n_keys..].iter().position(|other| matches!(other, Expr::Alias(alias) if *alias.expr == argument));
        let index = known.unwrap_or_else(|| {
            projected.push(argument.alias(format!("__argument_{}", projected.len() - n_keys)));
            projected.len() - n_keys - 1
        });
        col(DfColumn::from_name(format!("__argument_{index}")))
    };
    let (call, alias) = match expression {
        Expr::Alias(alias) => (*alias.expr, Some(alias.name)),
        other => (other, None),
    };
    let name = alias.unwrap_or_else(|| call.schema_name().to_string());
    let Expr::AggregateFunction(mut call) = call else {
        return Err(Error::internal(format!("`{name}` is no aggregate")));
    };
    if call.func.name() == "count" && call.params.distinct && 1 < call.params.args.len() {
        return Err(Error::invalid("count(DISTINCT …) takes one argument")
            .hint("put the columns together: count(DISTINCT struct(a, b))")
            .about(Subject::Call("count".to_owned())));
    }
    call.params.args = call.params.args.into_iter().map(&mut project).collect();
    call.params.filter = call.params.filter.map(|filter| Box::new(project(*filter)));
    for order in &mut call.params.order_by {
        order.expr = project(order.expr.clone());
    }
    Ok(Expr::AggregateFunction(call).alias(name))
}

pub(super) fn aggregate_calls(aggregates: &[Expr], schema: &DFSchema, catalog: &Catalog) -> Result<Vec<AggregateCall>> {
    let context = PhysicalPlanningContext::default();
    let physical = schema.as_arrow().clone();
    let lower = |expression: &Expr| -> Result<AggregateCall> {
        let properties = catalog.state.execution_props();
        let lowered = LoweredAggregateBuilder::new(expression, schema, &physical, properties, &context);
        let lowered = lowered.build().map_err(sql_error)?;
        let function = without_input_order(lowered.aggregate)?;
        if function.state_fields().is_err() {
            let name = function.fun().name().to_owned();
            return Err(Error::invalid(format!("aggregate {name} has no state that merges, so it cannot be windowed"))
                .hint("use an approximate one such as approx_distinct or approx_percentile_cont")
                .about(Subject::Call(name)));
        }
        let call = AggregateCall { function, filter: lowered.filter };
        if let Err(error) = call.check() {
            let name = call.function.fun().name().to_owned();
            return Err(Error::invalid(format!("aggregate {name} does not work: {error}"))
                .hint("cast its argument to another type, or use another aggregate")
                .about(Subject::Call(name)));
        }
        Ok(call)
    };
    aggregates.iter().map(lower).collect()
}

/// Rows come in their own order, so an aggregate that could profit from a sorted input must not count on it.
fn without_input_order(function: Arc<AggregateFunctionExpr>) -> Result<Arc<AggregateFunctionExpr>> {
    if function.order_bys().is_empty() {
        return Ok(function);
    }
    let name = function.fun().name().to_owned();
    // WITHIN GROUP (ORDER BY x) names an argument, not an order of the input.
    let is_argument = function.fun().supports_within_group_clause();
    if function.order_sensitivity().hard_requires() && !is_argument {
        return Err(Error::invalid(format!("{name}(… ORDER BY …) is not supported in a window"))
            .hint(
                "sort above the window: array_sort(array_agg(x)), array_to_string(array_sort(array_agg(x)), ','); \
                 first_value and last_value take ORDER BY",
            )
            .about(Subject::Call(name)));
    }
    let unordered = Arc::clone(&function).with_beneficial_ordering(false).map_err(sql_error)?;
    Ok(unordered.map_or(function, Arc::new))
}

/// The columns of a closed window's rows.
fn closed_schema(grouped: &Grouped, calls: &[AggregateCall]) -> SchemaRef {
    let Grouped { aggregate, columns, .. } = grouped;
    let n_keys = aggregate.group_expr.len();
    let by_position = |(index, field): (usize, &FieldRef)| {
        let wide = index.checked_sub(n_keys).and_then(|call| calls.get(call)).and_then(AggregateCall::wide_sum);
        let data_type = wide.unwrap_or_else(|| field.data_type().clone());
        let name = column_name(columns[index]);
        Arc::new(field.as_ref().clone().with_name(name).with_data_type(data_type).with_nullable(true))
    };
    Arc::new(Schema::new(aggregate.schema.fields().iter().enumerate().map(by_position).collect::<Vec<_>>()))
}

/// `sum(flows.v)` as `sum(v)`.
fn without_qualifiers(name: &str) -> String {
    let mut kept = String::new();
    let mut word = String::new();
    for c in name.chars() {
        match c {
            '.' if word.starts_with(|first: char| first.is_alphabetic() || first == '_') => word.clear(),
            c if c.is_alphanumeric() || c == '_' => word.push(c),
            c => {
                kept.push_str(&std::mem::take(&mut word));
                kept.push(c);
            }
        }
    }
    kept + &word
}

/// The table of a scan, with or without its generated columns.
pub(in crate::sql) fn raw_table(scan: &TableScan) -> Option<Arc<TableDef>> {
    if let Some(rows) = scan.source.downcast_ref::<TableRows>() {
        return Some(Arc::clone(&rows.def));
    }
    scan.source.downcast_ref::<RawRows>().map(|rows| Arc::clone(&rows.def))
}

/// Replaces a table's scan by a placeholder scan of its decoded rows, with `hidden` columns after its own.
pub(super) fn placeholder_scan(def: &Arc<TableDef>, scan: &TableScan, hidden: &[FieldRef]) -> Result<LogicalPlan> {
    let fields: Vec<FieldRef> = def.raw_schema().fields().iter().cloned().chain(hidden.iter().cloned()).collect();
    let placeholder = PlaceholderTable { name: Arc::clone(&def.name), schema: Arc::new(Schema::new(fields)) };
    let source = provider_as_source(Arc::new(SourcePlaceholder { def: Arc::clone(def), placeholder }));
    LogicalPlanBuilder::scan(scan.table_name.clone(), source, None)
        .and_then(LogicalPlanBuilder::build)
        .map_err(sql_error)
}
