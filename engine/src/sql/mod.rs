//! SQL to a [`Pipeline`]: the only entry.
//!
//! ```text
//! text ─script─▶ statements ─catalog, table─▶ names ─DataFusion─▶ logical plan ─lower─▶ stages
//! ```
//! Nothing runs here, and everything that can be wrong with a script is found here, with line, column and how to fix it.

mod alert;
pub mod catalog;
mod checked;
mod diagnose;
mod early;
pub mod explain;
mod expressions;
mod fingerprint;
mod float_repr;
pub mod function;
pub mod functions;
mod limits;
mod locate;
mod lookup;
mod lower;
mod mask;
mod max_keys;
mod names;
mod network;
pub mod offset_ranges;
mod placeholder;
mod row_policy;
pub mod script;
mod settings;
mod side;
mod source;
mod spread;
mod table;
pub mod window;
mod window_flags;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Projection};
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{Query, Statement as AstStatement};

use crate::connector::Connectors;
use crate::error::{Error, Location, Result, Subject};
use crate::options::Options;
use crate::plan::{BadRecordPolicy, Dataflow, Pipeline, RESULTS, SinkPlan, Stage, TableDef, dead_letter_columns};
use catalog::Catalog;
pub(crate) use diagnose::sql_error;
use function::check_calls;
use limits::{check_clauses, check_depth, check_operators, check_unnest};
use locate::locate;
use names::{with_field_names, with_own_names};
use script::{ColumnFrom, CreateTable, Statement, StatementKind, parse};
pub use settings::{MAX_SESSION, is_pipeline_name};
use settings::{anonymize_key, check_settings, max_session, memory_setting, name_setting, partitions_setting};

/// A script with what surrounds it.
pub struct PlanRequest<'a> {
    pub text: &'a str,
    /// The outside world, as far as planning needs it.
    pub connectors: &'a dyn Connectors,
    /// Settings by name: `<table>.<option>` overrides a table's option, others are the pipeline's own.
    pub settings: &'a BTreeMap<String, String>,
}

/// Stack of the planning thread: parse trees are dropped recursively.
const STACK_BYTES: usize = 512 << 20;

pub fn plan(request: &PlanRequest<'_>) -> Result<Pipeline> {
    let masking = mask::Masking::new(request.connectors);
    plan_on_own_stack(&PlanRequest { connectors: &masking, ..*request }).map_err(|error| masking.mask(error))
}

fn plan_on_own_stack(request: &PlanRequest<'_>) -> Result<Pipeline> {
    // A long chain of operators makes a deep tree; it is taken apart on a stack that is large enough for any script that the
    // parser lets through. The memory is reserved, not used.
    std::thread::scope(|scope| {
        let planner = std::thread::Builder::new().name("plan".into()).stack_size(STACK_BYTES);
        let handle = planner
            .spawn_scoped(scope, || plan_here(request))
            .map_err(|error| Error::Unavailable(format!("cannot start a thread to plan the script: {error}")))?;
        handle.join().unwrap_or_else(|_| Err(Error::internal("planning panicked")))
    })
}

/// What a script binds to before it is cut into stages: for each INSERT its sink and its analysed logical plan, in which
/// windows are still calls of `tumble`, `hop` and `session`. Tests run these with batch DataFusion as the oracle.
pub struct Bound {
    /// Tables, views and functions.
    pub catalog: Catalog,
    pub inserts: Vec<BoundInsert>,
    statements: Vec<Statement>,
    /// `SET name = value`, and settings that are no table's.
    settings: BTreeMap<String, String>,
}

pub struct BoundInsert {
    /// Where its rows go.
    pub sink: SinkPlan,
    pub plan: LogicalPlan,
    statement: Statement,
}

fn plan_here(request: &PlanRequest<'_>) -> Result<Pipeline> {
    let bound = bind(request)?;
    let memory_bytes = memory_setting(&bound.settings)?;
    let name = name_setting(&bound.settings)?;
    let exchange_partitions = partitions_setting(&bound.settings)?;
    let mut sinks: Vec<SinkPlan> = Vec::new();
    let mut dataflows = Vec::new();
    for (index, insert) in bound.inserts.into_iter().enumerate() {
        let statement = insert.statement;
        let query = fingerprint::of_query(&insert.plan)?;
        let lookups = lookup::used(&insert.plan)?;
        let stages = lower::lower(&bound.catalog, index + 1, insert.plan, &insert.sink.name)
            .map_err(|error| locate(error, &statement))?;
        let fingerprint = fingerprint::of_plan(query, &stages)?;
        let state_fingerprint = fingerprint::of_state(&stages)?;
        for stage in &stages {
            add_side_sinks(&bound.catalog, stage, &mut sinks);
        }
        add_sink(&mut sinks, insert.sink.clone());
        sinks.iter().try_for_each(check_sink)?;
        let expressions = expressions::expressions(&statement, &bound.statements);
        dataflows.push(Dataflow {
            stages,
            sink: insert.sink.name,
            expressions,
            lookups,
            fingerprint,
            state_fingerprint,
        });
    }
    max_keys::check(&bound.statements, &dataflows)?;
    let lookups = bound.catalog.lookups();
    let functions = bound.catalog.functions;
    Ok(Pipeline { dataflows, sinks, functions, lookups, memory_bytes, name, exchange_partitions })
}

/// Binds a script's names; see [`Bound`].
pub fn bind(request: &PlanRequest<'_>) -> Result<Bound> {
    let mut inserts = Vec::new();
    let mut settings = request.settings.clone();
    let statements = parse(request.text)?;
    let key = anonymize_key(request, &settings, &statements)?;
    let mut catalog = Catalog::new(max_session(&settings, &statements)?, key)?;
    for statement in &statements {
        let bound = bind_statement(request, &mut catalog, statement, &mut settings, inserts.len());
        inserts.extend(bound.map_err(|error| locate(error, statement))?);
    }
    for statement in &statements {
        if let StatementKind::CreateTable(ddl) = &statement.kind {
            check_side_tables(&catalog, ddl).map_err(|error| locate(error, statement))?;
        }
    }
    if inserts.is_empty() {
        return Err(Error::invalid("the script has nothing to run").hint("add INSERT INTO sink SELECT …, or a SELECT"));
    }
    check_settings(&catalog, &settings)?;
    Ok(Bound { catalog, inserts, statements, settings })
}

fn bind_statement(
    request: &PlanRequest<'_>,
    catalog: &mut Catalog,
    statement: &Statement,
    settings: &mut BTreeMap<String, String>,
    n_inserts: usize,
) -> Result<Option<BoundInsert>> {
    check_operators(statement)?;
    check_clauses(statement)?;
    match &statement.kind {
        StatementKind::CreateFunction(ddl) => {
            function::define(catalog, request, ddl)?;
            Ok(None)
        }
        StatementKind::CreateTable(ddl) => {
            for column in &ddl.columns {
                if let ColumnFrom::Generated(expression) = &column.from {
                    check_calls(&catalog.created, expression.as_ref())?;
                }
            }
            for def in table::define(catalog, request, ddl)? {
                catalog.add_table(def)?;
            }
            Ok(None)
        }
        StatementKind::CreateView(name, query) => {
            let plan = logical_plan(catalog, &with_field_names(query))?;
            let at = script::location(name.span.start);
            catalog.add_view(&name.value, plan).map_err(|error| error.at(at))?;
            Ok(None)
        }
        StatementKind::Set(name, value) => {
            // The command line outranks the script.
            settings.entry(name.clone()).or_insert_with(|| value.clone());
            Ok(None)
        }
        StatementKind::Insert(name, query) => {
            let plan = logical_plan(catalog, &with_own_names(query))?;
            let at = script::location(name.span.start);
            let sink = sink_table(catalog, &name.value).map_err(|error| error.at(at))?;
            check_width(&plan, &sink).map_err(|error| error.at(at))?;
            let plan = analyze(catalog, cast_to_sink(plan, &sink)?)?;
            early::check(catalog, &plan, &sink).map_err(|error| error.at(at))?;
            Ok(Some(BoundInsert { sink, plan, statement: statement.clone() }))
        }
        StatementKind::Query(query) => {
            let plan = analyze(catalog, logical_plan(catalog, &with_field_names(query))?)?;
            let name = if n_inserts == 0 { RESULTS.to_owned() } else { format!("{RESULTS}_{}", n_inserts + 1) };
            let schema = Arc::new(plan.schema().as_arrow().clone());
            let sink = SinkPlan { name: name.into(), schema, table: None };
            Ok(Some(BoundInsert { sink, plan, statement: statement.clone() }))
        }
    }
}

fn logical_plan(catalog: &Catalog, query: &Query) -> Result<LogicalPlan> {
    check_calls(&catalog.created, query)?;
    let statement = DfStatement::Statement(Box::new(AstStatement::Query(Box::new(query.clone()))));
    let plan = catalog.sql().statement_to_plan(statement).map_err(sql_error)?;
    check_depth(&plan)?;
    check_unnest(&plan)?;
    lookup::rewrite_joins(plan)
}

fn analyze(catalog: &Catalog, plan: LogicalPlan) -> Result<LogicalPlan> {
    let config = catalog.state.config_options();
    catalog.state.analyzer().execute_and_check(plan, config, |_, _| {}).map_err(sql_error)
}

fn sink_table(catalog: &Catalog, name: &str) -> Result<SinkPlan> {
    let Some(def) = catalog.table(name) else {
        return Err(Error::invalid(format!(
            "there is no table `{name}` to insert into; there are {}",
            catalog::list(catalog.names())
        ))
        .hint(format!("add CREATE TABLE {name} (…) WITH (connector = '…')")));
    };
    if !def.table.is_sink() {
        return Err(Error::invalid(format!("table `{name}` can only be read"))
            .hint("insert into a table with a sink connector"));
    }
    check_sink(&sink_of(def))?;
    Ok(sink_of(def))
}

/// What a run would refuse when it opens the sink is refused here.
fn check_sink(sink: &SinkPlan) -> Result<()> {
    match &sink.table {
        Some(table) => table.check_sink(&sink.schema).map_err(|error| error.context(&format!("table `{}`", sink.name))),
        None => Ok(()),
    }
}

fn sink_of(def: &TableDef) -> SinkPlan {
    SinkPlan { name: Arc::clone(&def.name), schema: def.schema(), table: Some(Arc::clone(&def.table)) }
}

fn check_width(plan: &LogicalPlan, sink: &SinkPlan) -> Result<()> {
    let (n_given, n_wanted) = (plan.schema().fields().len(), sink.schema.fields().len());
    if n_given != n_wanted {
        let wanted = catalog::list(sink.schema.fields().iter().map(|field| field.name().as_str()));
        return Err(Error::invalid(format!(
            "the query has {n_given} columns, but table `{}` has {n_wanted}",
            sink.name
        ))
        .hint(format!("select {wanted}, in this order")));
    }
    Ok(())
}

/// Brings a query's columns to the sink's types and names, by position.
fn cast_to_sink(plan: LogicalPlan, sink: &SinkPlan) -> Result<LogicalPlan> {
    let schema = Arc::clone(plan.schema());
    let mut columns = Vec::new();
    for (index, (column, field)) in schema.columns().into_iter().zip(sink.schema.fields()).enumerate() {
        let name = column.name.clone();
        let cast = Expr::Column(column).cast_to(field.data_type(), schema.as_ref()).map_err(|_| {
            let given = schema.field_with_unqualified_name(&name).map(|field| field.data_type().to_string());
            Error::invalid(format!(
                "column `{name}` is {}, which cannot become `{}` {} of table `{}`",
                given.unwrap_or_default(),
                field.name(),
                field.data_type(),
                sink.name
            ))
            .hint("CAST it in the query, or change the table's column")
            .about(Subject::Column(index))
        })?;
        columns.push(cast.alias(field.name()));
    }
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan)).map_err(sql_error)?))
}

fn check_side_tables(catalog: &Catalog, ddl: &CreateTable) -> Result<()> {
    let Some(def) = catalog.table(&ddl.name.value) else { return Ok(()) };
    let at = |option: &str| ddl.options.iter().find(|(name, ..)| name == option).map(|(_, _, at)| *at);
    if let Some(late) = &def.late_table {
        let checked = table::check_side_table(catalog, def, "late_table", late, def.raw_schema().fields());
        checked.map_err(|error| error.at(at("late_table")))?;
    }
    if let BadRecordPolicy::DeadLetter(target) = &def.bad_record {
        let offered: Vec<FieldRef> =
            dead_letter_columns().into_iter().map(|(name, kind)| Arc::new(Field::new(name, kind, true))).collect();
        let checked = table::check_side_table(catalog, def, "dead_letter_table", target, &offered);
        checked.map_err(|error| error.at(at("dead_letter_table")))?;
    }
    Ok(())
}

fn add_side_sinks(catalog: &Catalog, stage: &Stage, sinks: &mut Vec<SinkPlan>) {
    for def in stage.side_tables().into_iter().filter_map(|name| catalog.table(name)) {
        add_sink(sinks, sink_of(def));
    }
}

fn add_sink(sinks: &mut Vec<SinkPlan>, sink: SinkPlan) {
    if sinks.iter().all(|known| known.name != sink.name) {
        sinks.push(sink);
    }
}

impl PlanRequest<'_> {
    /// The options of a table or function: the script's, then what settings say of it.
    pub(crate) fn options(
        &self,
        mut options: Options,
        owner: &str,
        given: &[(String, String, Location)],
    ) -> Result<Options> {
        for (name, value, location) in given {
            if options.has(name) {
                return Err(Error::invalid(format!("{}: option `{name}` is set twice", options.owner()))
                    .hint("keep one of them")
                    .at(Some(*location)));
            }
            let value = self.resolve(value).map_err(|error| error.at(Some(*location)))?;
            options.set(name, value, Some(*location));
        }
        let prefix = format!("{owner}.");
        for (key, value) in self.settings {
            if let Some(name) = key.strip_prefix(&prefix) {
                options.set(name, self.resolve(value)?, None);
            }
        }
        Ok(options)
    }

    /// Replaces `${env:NAME}` and `${file:path}` in an option's value.
    pub(crate) fn resolve(&self, value: &str) -> Result<String> {
        let Some((before, rest)) = value.split_once("${") else { return Ok(value.to_owned()) };
        let Some((reference, after)) = rest.split_once('}') else {
            return Err(Error::invalid(format!("`{value}` has `${{` without `}}`")));
        };
        let Some((kind, name)) = reference.split_once(':') else {
            return Err(Error::invalid(format!("`${{{reference}}}` is neither `${{env:NAME}}` nor `${{file:path}}`")));
        };
        let resolved = self.connectors.variable(kind, name)?;
        Ok(format!("{before}{resolved}{}", self.resolve(after)?))
    }
}
