//! A logical plan to stages: cut at every windowed aggregate.
//!
//! Below a window stands a row-wise query over a source (or the rows of windows closed before); above it one over closed
//! windows. Cutting replaces each windowed aggregate by a placeholder and carries the event time, as a hidden column, through
//! everything below it. Both halves are then optimised and planned by DataFusion as ordinary bounded queries.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, FieldRef, Fields, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column as DfColumn, DFSchema};
use datafusion::datasource::provider_as_source;
use datafusion::functions::core::expr_ext::FieldAccessor;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Aggregate, EmptyRelation, Expr, LogicalPlan, LogicalPlanBuilder, Projection, TableScan, Union, Unnest, col, lit,
};
use datafusion::physical_expr::aggregate::LoweredAggregateBuilder;

use super::catalog::{Catalog, RawRows, TableRows, list};
use super::functions::TIMESTAMP;
use super::placeholder::{SourcePlaceholder, table_of};
use super::source::source_plan;
use super::spread::{PlaceholderKeys, spread};
use super::sql_error;
use super::window::{Follow, Part, PlaceholderWindow, has_marker, has_sub_query, window_of};
use crate::error::{Error, Result};
use crate::log::ExchangeId;
use crate::operator::bounded::{BoundedPlan, PlaceholderTable};
use crate::operator::partial::{EVENT_TIME, ROW, WATERMARK, WindowedAggregate};
use crate::operator::window::pane::{AggregateCall, GroupLayout};
use crate::plan::{Branch, ExchangeInput, LocalWindows, Output, Stage, StageInput, TableDef};
use crate::task::hidden_columns;

/// Cuts the plan of one INSERT whose rows go to `sink`.
pub(super) fn lower(catalog: &Catalog, dataflow: usize, plan: LogicalPlan, sink: &Arc<str>) -> Result<Vec<Stage>> {
    let mut lowering = Lowering { catalog, dataflow, sources: Vec::new(), stages: Vec::new(), n_windows: 0 };
    lowering.place(plan, Output::Sink(Arc::clone(sink)))?;
    lowering.finish()
}

/// Branches of a source table that are still to become one stage.
struct Source {
    def: Arc<TableDef>,
    branches: Vec<Branch>,
}

struct Lowering<'a> {
    catalog: &'a Catalog,
    dataflow: usize,
    sources: Vec<Source>,
    stages: Vec<Stage>,
    n_windows: usize,
}

impl Lowering<'_> {
    /// Makes the stage (or stages) whose rows are those of `plan` and go to `output`.
    fn place(&mut self, plan: LogicalPlan, output: Output) -> Result<()> {
        let mut windows = Vec::new();
        let plan = self.cut(plan, &mut windows)?;
        let sources = source_tables(&plan)?;
        match (windows.is_empty(), sources.is_empty()) {
            (true, true) => Err(Error::invalid("the query reads no table").hint("add FROM with a source table")),
            (true, false) => self.place_on_sources(&plan, sources, &output),
            (false, true) => self.place_on_windows(&plan, windows, output),
            (false, false) => Err(Error::invalid(format!(
                "a query cannot bring rows of windows together with single rows of {}",
                list(sources.iter().map(|def| &*def.name))
            ))
            .hint("aggregate those by a window too, and join on the window")),
        }
    }

    /// Replaces windowed aggregates by placeholders, and tables by what will be decoded of them.
    fn cut(&mut self, plan: LogicalPlan, windows: &mut Vec<ExchangeInput>) -> Result<LogicalPlan> {
        let mut problem = None;
        let cut = plan.transform_down_with_subqueries(|node| {
            let replaced = match &node {
                LogicalPlan::Aggregate(aggregate) => match window_of(aggregate) {
                    Ok(Some((index, spec))) => Some(self.cut_aggregate(aggregate, index, spec, windows)),
                    Ok(None) => None,
                    Err(error) => Some(Err(error)),
                },
                LogicalPlan::TableScan(scan) => raw_table(scan).map(|def| placeholder_scan(&def, scan, &[])),
                _ => None,
            };
            match replaced {
                None => Ok(Transformed::no(node)),
                Some(Ok(plan)) => Ok(Transformed::new(plan, true, TreeNodeRecursion::Jump)),
                Some(Err(error)) => {
                    problem = Some(error);
                    Ok(Transformed::new(node, false, TreeNodeRecursion::Stop))
                }
            }
        });
        match problem {
            Some(error) => Err(error),
            None => Ok(cut.map_err(sql_error)?.data),
        }
    }

    /// Makes the stages below a windowed aggregate; gives the leaf that stands for it.
    fn cut_aggregate(
        &mut self,
        aggregate: &Aggregate,
        window_index: usize,
        spec: crate::operator::window::spec::WindowSpec,
        windows: &mut Vec<ExchangeInput>,
    ) -> Result<LogicalPlan> {
        self.n_windows += 1;
        let name = format!("w{}_{}", self.dataflow, self.n_windows);
        let below = below_plan(aggregate, window_index)?;
        let calls = aggregate_calls(&below.aggregates, below.plan.schema(), self.catalog)?;
        let output_schema = closed_schema(aggregate);
        let keys: Fields = aggregate.schema.fields()[..aggregate.group_expr.len()]
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != window_index)
            .map(|(_, field)| Arc::new(field.as_ref().clone().with_nullable(true)))
            .collect();
        let planned = Arc::new(WindowedAggregate {
            exchange: ExchangeId(name.as_str().into()),
            spec,
            layout: Arc::new(GroupLayout::new(keys, calls.into())?),
            output_schema: Arc::clone(&output_schema),
            spread: OnceLock::new(),
            partitioned: OnceLock::new(),
            window_index,
        });
        self.place(below.plan, Output::Exchange(Arc::clone(&planned)))?;
        windows.push(ExchangeInput { placeholder: name.as_str().into(), aggregate: planned });
        closed_leaf(&name, output_schema, aggregate)
    }

    fn place_on_windows(&mut self, plan: &LogicalPlan, windows: Vec<ExchangeInput>, output: Output) -> Result<()> {
        refuse_markers(plan)?;
        let placeholders: HashMap<String, PlaceholderWindow> = windows
            .iter()
            .map(|input| {
                let window = PlaceholderWindow { index: input.aggregate.window_index, spec: input.aggregate.spec };
                (input.placeholder.to_string(), window)
            })
            .collect();
        let optimized = self.catalog.state.optimize(plan).map_err(sql_error)?;
        let window_by_window = Follow { placeholders: &placeholders }.check_above(&optimized)?;
        let mut specs: Vec<_> = placeholders.values().map(|placeholder| placeholder.spec).collect();
        specs.dedup();
        if window_by_window && 1 < specs.len() {
            return Err(Error::invalid("ORDER BY and LIMIT over windows of different shapes are not supported")
                .hint("use ROW_NUMBER() OVER (PARTITION BY window …)"));
        }
        let keys: HashMap<String, PlaceholderKeys> =
            windows.iter().map(|input| (input.placeholder.to_string(), placeholder_keys(&input.aggregate))).collect();
        let mut spread = spread(&optimized, &keys)?;
        for input in &windows {
            let keys = spread.remove(&*input.placeholder).unwrap_or_default();
            input.aggregate.spread.set(keys).map_err(|_| Error::internal("an aggregate has two queries above it"))?;
        }
        let plan = BoundedPlan::new(&self.catalog.state, &optimized).map_err(sql_error)?;
        let branch = Branch { plan, window_by_window, output };
        self.stages.push(Stage { input: StageInput::Exchanges(windows), branches: vec![branch] });
        Ok(())
    }

    fn place_on_sources(&mut self, plan: &LogicalPlan, tables: Vec<Arc<TableDef>>, output: &Output) -> Result<()> {
        refuse_markers(plan)?;
        check_row_wise(plan)?;
        let is_alone = tables.len() == 1;
        for def in tables {
            let alone = without_others(plan.clone(), &def.name)?;
            let optimized = self.catalog.state.optimize(&alone).map_err(sql_error)?;
            // With a second table below the same aggregate its keys may lie anywhere.
            if let (Output::Exchange(aggregate), true) = (output, is_alone) {
                let keys = partition_keys(&optimized, &def, aggregate.layout.keys.len());
                aggregate.partitioned.set(keys).map_err(|_| Error::internal("an aggregate is placed twice"))?;
            }
            let plan = BoundedPlan::new(&self.catalog.state, &optimized).map_err(sql_error)?;
            let branch = Branch { plan, window_by_window: false, output: output.clone() };
            match self.sources.iter_mut().find(|source| source.def.name == def.name) {
                Some(source) => source.branches.push(branch),
                None => self.sources.push(Source { def, branches: vec![branch] }),
            }
        }
        Ok(())
    }

    /// Source stages first, then the stages over windows in the order they were made: inner before outer.
    fn finish(self) -> Result<Vec<Stage>> {
        let catalog = self.catalog;
        let mut stages = Vec::new();
        let mut above = self.stages;
        for Source { def, mut branches } in self.sources {
            if let [branch] = branches.as_mut_slice() {
                join_hops(branch, &mut above);
            }
            let plan = source_plan(catalog, def, &branches)?;
            stages.push(Stage { input: StageInput::Table(Arc::new(plan)), branches });
        }
        stages.extend(above);
        Ok(stages)
    }
}

/// Puts the windows above a source's only branch into its task, where its partitions hold their keys alone, and the query above the
/// windows brings together nothing else.
fn join_hops(branch: &mut Branch, above: &mut Vec<Stage>) {
    let Output::Exchange(aggregate) = &branch.output else { return };
    let (Some(partitioned), Some(spread)) = (aggregate.partitioned.get(), aggregate.spread.get()) else { return };
    if partitioned.is_empty() || !partitioned.iter().all(|key| spread.contains(key)) {
        return;
    }
    let is_above = |stage: &Stage| match (&stage.input, stage.branches.as_slice()) {
        (StageInput::Exchanges(inputs), [Branch { output: Output::Sink(_), .. }]) => {
            matches!(inputs.as_slice(), [input] if input.aggregate.exchange == aggregate.exchange)
        }
        _ => false,
    };
    let Some(index) = above.iter().position(is_above) else { return };
    let Stage { input: StageInput::Exchanges(mut inputs), mut branches } = above.remove(index) else { return };
    if let (Some(input), Some(Branch { plan, window_by_window, output: Output::Sink(sink) })) =
        (inputs.pop(), branches.pop())
    {
        let local =
            LocalWindows { aggregate: input.aggregate, placeholder: input.placeholder, plan, window_by_window, sink };
        branch.output = Output::Local(Arc::new(local));
    }
}

/// Which of the keys, the first `n_keys` columns of `plan`, are the columns that a topic is partitioned by; none unless all are there.
fn partition_keys(plan: &LogicalPlan, def: &TableDef, n_keys: usize) -> Vec<usize> {
    let columns: Vec<Option<String>> = (0..n_keys).map(|index| untouched(plan, index)).collect();
    let key = |name: &String| columns.iter().position(|column| column.as_ref() == Some(name));
    let keys: Option<Vec<usize>> = def.partitioned_by.iter().map(key).collect();
    keys.unwrap_or_default()
}

/// The table's column that an output column of a row-wise plan is, if nothing was done to it.
fn untouched(plan: &LogicalPlan, index: usize) -> Option<String> {
    match plan {
        LogicalPlan::Projection(node) => {
            let mut expression = node.expr.get(index)?;
            while let Expr::Alias(alias) = expression {
                expression = &alias.expr;
            }
            let Expr::Column(column) = expression else { return None };
            untouched(&node.input, node.input.schema().maybe_index_of_column(column)?)
        }
        LogicalPlan::Filter(node) => untouched(&node.input, index),
        LogicalPlan::SubqueryAlias(node) => untouched(&node.input, index),
        LogicalPlan::TableScan(node) => Some(node.projected_schema.field(index).name().clone()),
        _ => None,
    }
}

/// The query below a windowed aggregate: `keys…, arguments…, __event_time[, __watermark][, __row]`.
struct Below {
    plan: LogicalPlan,
    /// The aggregates over that query's columns.
    aggregates: Vec<Expr>,
}

fn below_plan(aggregate: &Aggregate, window_index: usize) -> Result<Below> {
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
    let mut place = |argument: Expr| -> Expr {
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
            .hint("put the columns together: count(DISTINCT struct(a, b))"));
    }
    call.params.args = call.params.args.into_iter().map(&mut place).collect();
    call.params.filter = call.params.filter.map(|filter| Box::new(place(*filter)));
    for order in &mut call.params.order_by {
        order.expr = place(order.expr.clone());
    }
    Ok(Expr::AggregateFunction(call).alias(name))
}

fn aggregate_calls(aggregates: &[Expr], schema: &DFSchema, catalog: &Catalog) -> Result<Vec<AggregateCall>> {
    let context = PhysicalPlanningContext::default();
    let physical = plain_schema(schema);
    let lower = |expression: &Expr| -> Result<AggregateCall> {
        let properties = catalog.state.execution_props();
        let lowered = LoweredAggregateBuilder::new(expression, schema, &physical, properties, &context);
        let lowered = lowered.build().map_err(sql_error)?;
        let function = if lowered.aggregate.order_bys().is_empty() {
            lowered.aggregate
        } else {
            // Rows come in their own order, so an aggregate that could profit from a sorted input must not count on it.
            let name = lowered.aggregate.fun().name().to_owned();
            // WITHIN GROUP (ORDER BY x) names an argument, not an order of the input.
            let is_argument = lowered.aggregate.fun().supports_within_group_clause();
            if lowered.aggregate.order_sensitivity().hard_requires() && !is_argument {
                return Err(Error::invalid(format!("{name}(… ORDER BY …) is not supported in a window")).hint(
                    "sort above the window: array_sort(array_agg(x)), array_to_string(array_sort(array_agg(x)), ','); \
                     first_value and last_value take ORDER BY",
                ));
            }
            match Arc::clone(&lowered.aggregate).with_beneficial_ordering(false).map_err(sql_error)? {
                Some(function) => Arc::new(function),
                None => lowered.aggregate,
            }
        };
        if function.state_fields().is_err() {
            let name = function.fun().name().to_owned();
            return Err(Error::invalid(format!("aggregate {name} has no state that merges, so it cannot be windowed"))
                .hint("use an approximate one such as approx_distinct or approx_percentile_cont"));
        }
        Ok(AggregateCall { function, filter: lowered.filter })
    };
    aggregates.iter().map(lower).collect()
}

/// The columns of a closed window's rows. Names in a logical plan may repeat under different qualifiers, so here they are told
/// apart by position.
fn closed_schema(aggregate: &Aggregate) -> SchemaRef {
    let by_position = |(index, field): (usize, &FieldRef)| {
        Arc::new(field.as_ref().clone().with_name(format!("c{index}")).with_nullable(true))
    };
    Arc::new(Schema::new(aggregate.schema.fields().iter().enumerate().map(by_position).collect::<Vec<_>>()))
}

/// Which of a closed window's columns are keys.
fn placeholder_keys(aggregate: &WindowedAggregate) -> PlaceholderKeys {
    let keys = &aggregate.layout.keys;
    let key = |column: usize| match column.cmp(&aggregate.window_index) {
        Ordering::Less => Some(column),
        Ordering::Equal => None,
        Ordering::Greater => Some(column - 1),
    };
    let of_group = |key: &usize| *key < keys.len();
    PlaceholderKeys {
        columns: (0..aggregate.output_schema.fields().len()).map(|column| key(column).filter(of_group)).collect(),
        types: keys.iter().map(|field| field.data_type().clone()).collect(),
    }
}

/// A leaf with an aggregate's output, qualified as the plan above expects it.
fn closed_leaf(name: &str, schema: SchemaRef, aggregate: &Aggregate) -> Result<LogicalPlan> {
    let placeholder = PlaceholderTable { name: name.into(), schema };
    let scan = LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(placeholder)), None).map_err(sql_error)?;
    let columns = aggregate.schema.iter().enumerate().map(|(index, (qualifier, field))| {
        let column = Expr::Column(DfColumn::new(Some(name), format!("c{index}")));
        match qualifier {
            Some(qualifier) => column.alias_qualified(Some(qualifier.clone()), field.name()),
            None => column.alias(field.name()),
        }
    });
    scan.project(columns.collect::<Vec<_>>()).and_then(LogicalPlanBuilder::build).map_err(sql_error)
}

fn plain_schema(schema: &DFSchema) -> Schema {
    schema.as_arrow().clone()
}

/// The table of a scan, whichever way a query reaches it.
fn raw_table(scan: &TableScan) -> Option<Arc<TableDef>> {
    if let Some(rows) = scan.source.downcast_ref::<TableRows>() {
        return Some(Arc::clone(&rows.def));
    }
    scan.source.downcast_ref::<RawRows>().map(|rows| Arc::clone(&rows.def))
}

/// Replaces a table's scan by a scan of the placeholder for its decoded rows, with `hidden` columns after its own.
fn placeholder_scan(def: &Arc<TableDef>, scan: &TableScan, hidden: &[FieldRef]) -> Result<LogicalPlan> {
    let fields: Vec<FieldRef> = def.raw_schema().fields().iter().cloned().chain(hidden.iter().cloned()).collect();
    let placeholder = PlaceholderTable { name: Arc::clone(&def.name), schema: Arc::new(Schema::new(fields)) };
    let source = provider_as_source(Arc::new(SourcePlaceholder { def: Arc::clone(def), placeholder }));
    LogicalPlanBuilder::scan(scan.table_name.clone(), source, None)
        .and_then(LogicalPlanBuilder::build)
        .map_err(sql_error)
}

/// The source tables that a cut plan reads, each once.
fn source_tables(plan: &LogicalPlan) -> Result<Vec<Arc<TableDef>>> {
    let mut tables: Vec<Arc<TableDef>> = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(def) = table_of(scan)
            && tables.iter().all(|known| known.name != def.name)
        {
            tables.push(def);
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(sql_error)?;
    Ok(tables)
}

/// The plan with every source table but one empty.
fn without_others(plan: LogicalPlan, name: &str) -> Result<LogicalPlan> {
    let emptied = plan.transform_up(|node| {
        let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
        match table_of(scan) {
            Some(def) if *def.name != *name => {
                let schema = Arc::clone(&scan.projected_schema);
                Ok(Transformed::yes(LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema })))
            }
            _ => Ok(Transformed::no(node)),
        }
    });
    Ok(emptied.map_err(sql_error)?.data)
}

fn hidden_column(schema: &DFSchema, name: &str) -> Option<DfColumn> {
    schema
        .iter()
        .find(|(_, field)| field.name() == name)
        .map(|(qualifier, field)| DfColumn::new(qualifier.cloned(), field.name()))
}

/// Adds the event time (and, over a source, the hidden columns beside it) to a plan's output.
fn with_event_time(plan: &LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Projection(node) => {
            let input = with_event_time(&node.input)?;
            let mut expressions = node.expr.clone();
            for hidden in [EVENT_TIME, WATERMARK, ROW] {
                expressions.extend(hidden_column(input.schema(), hidden).map(Expr::Column));
            }
            Ok(LogicalPlan::Projection(Projection::try_new(expressions, Arc::new(input)).map_err(sql_error)?))
        }
        LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
            let inputs = plan.inputs().into_iter().map(with_event_time).collect::<Result<Vec<_>>>()?;
            plan.with_new_exprs(plan.expressions(), inputs).map_err(sql_error)
        }
        LogicalPlan::Union(node) => {
            let inputs =
                node.inputs.iter().map(|input| with_event_time(input).map(Arc::new)).collect::<Result<Vec<_>>>()?;
            Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs).map_err(sql_error)?))
        }
        LogicalPlan::Unnest(node) => {
            let input = with_event_time(&node.input)?;
            let unnest = Unnest::try_new(Arc::new(input), node.exec_columns.clone(), node.options.clone());
            Ok(LogicalPlan::Unnest(unnest.map_err(sql_error)?))
        }
        LogicalPlan::TableScan(scan) => match raw_table(scan) {
            Some(def) => {
                if def.event_time.is_none() {
                    return Err(Error::invalid(format!(
                        "table `{}` has no event time, which a window needs",
                        def.name
                    ))
                    .hint("add WATERMARK FOR column AS column - INTERVAL '5 seconds' to its columns"));
                }
                placeholder_scan(&def, scan, &hidden_columns())
            }
            None => Err(Error::internal(format!("scan of `{}` below a window", scan.table_name))),
        },
        LogicalPlan::Aggregate(_) | LogicalPlan::Join(_) | LogicalPlan::Window(_) | LogicalPlan::Distinct(_) => {
            window_end_time(plan)
        }
        LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => {
            Err(Error::invalid(format!("{} below a window is not supported", clause(plan)))
                .hint("put it above the window"))
        }
        other => Err(Error::invalid(format!("{} cannot stand below a window", clause(other)))),
    }
}

/// The event time of rows that come from windows: just before their window's end, so that a longer window of the same grid
/// holds exactly the shorter windows inside it.
fn window_end_time(plan: &LogicalPlan) -> Result<LogicalPlan> {
    let placeholders = HashMap::new();
    let parts = Follow { placeholders: &placeholders }.parts(plan);
    let found = parts.iter().position(|part| matches!(part, Some(Part::Whole | Part::End)));
    let Some(index) = found else {
        return Err(match plan {
            LogicalPlan::Join(_) => {
                Error::invalid("a join below a window must be of windowed relations, on the same window")
                    .hint("aggregate both sides by a window first")
            }
            LogicalPlan::Aggregate(_) => updating(),
            _ => Error::invalid(format!("{} below a window needs rows that carry a window", clause(plan)))
                .hint("aggregate by a window first and select it"),
        });
    };
    let (qualifier, field) = plan.schema().qualified_field(index);
    let column = Expr::Column(DfColumn::new(qualifier.cloned(), field.name()));
    let end = if parts[index] == Some(Part::Whole) { column.field("end") } else { column };
    let just_before =
        datafusion::logical_expr::cast(datafusion::logical_expr::cast(end, DataType::Int64) - lit(1_i64), TIMESTAMP);
    let mut expressions: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    expressions.push(just_before.alias(EVENT_TIME));
    Ok(LogicalPlan::Projection(Projection::try_new(expressions, Arc::new(plan.clone())).map_err(sql_error)?))
}

fn updating() -> Error {
    Error::invalid("an aggregate without a window would update its rows for ever, which is not supported yet")
        .hint("add tumble(…), hop(…) or session(…) to GROUP BY")
}

/// A source's rows can only be handled one by one: anything that brings rows together needs a window.
fn check_row_wise(plan: &LogicalPlan) -> Result<()> {
    let mut problem = None;
    plan.apply_with_subqueries(|node| {
        problem = match node {
            node if has_sub_query(node).unwrap_or(true) => Some(
                Error::invalid("a sub-query over a stream needs a window")
                    .hint("aggregate both sides by a window, and correlate the sub-query on the window"),
            ),
            LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => None,
            LogicalPlan::Union(_) | LogicalPlan::Unnest(_) | LogicalPlan::TableScan(_) => None,
            LogicalPlan::Aggregate(_) => Some(updating()),
            LogicalPlan::Distinct(_) => Some(
                Error::invalid("DISTINCT without a window would have to remember every row")
                    .hint("GROUP BY the columns and a window instead"),
            ),
            LogicalPlan::Join(_) => Some(
                Error::invalid("a join without windows is not supported")
                    .hint("aggregate both sides by a window and join on the window"),
            ),
            other => Some(
                Error::invalid(format!("{} over a stream needs a window", clause(other)))
                    .hint("GROUP BY a window first: tumble(…), hop(…) or session(…)"),
            ),
        };
        Ok(if problem.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })
    .map_err(sql_error)?;
    problem.map_or(Ok(()), Err)
}

/// What a person calls a plan node.
fn clause(plan: &LogicalPlan) -> &'static str {
    match plan {
        LogicalPlan::Sort(_) => "ORDER BY",
        LogicalPlan::Limit(_) => "LIMIT",
        LogicalPlan::Window(_) => "a window function (OVER)",
        LogicalPlan::Distinct(_) => "DISTINCT",
        LogicalPlan::Aggregate(_) => "GROUP BY",
        LogicalPlan::Join(_) => "JOIN",
        LogicalPlan::Values(_) => "VALUES",
        LogicalPlan::EmptyRelation(_) => "SELECT without FROM",
        LogicalPlan::RecursiveQuery(_) => "WITH RECURSIVE",
        LogicalPlan::Subquery(_) => "a sub-query",
        _ => "this clause",
    }
}

/// Window markers belong in GROUP BY; what is left of them after cutting stands elsewhere.
fn refuse_markers(plan: &LogicalPlan) -> Result<()> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        for expression in node.expressions() {
            found |= has_marker(&expression).unwrap_or(false);
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })
    .map_err(sql_error)?;
    if found {
        return Err(Error::invalid("tumble, hop and session stand only in GROUP BY")
            .hint("write GROUP BY tumble(INTERVAL '1 minute'), and select it AS window"));
    }
    Ok(())
}
