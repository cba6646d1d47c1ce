//! The oracle: the same query by batch DataFusion over the whole input.
//!
//! It shares the SQL front with the engine (names, types, views) and nothing after it: each `GROUP BY tumble/hop/session` is
//! replaced by plain SQL constructs over all rows at once: hopping windows by unnesting the list of windows of each row,
//! sessions by numbering rows with a running sum over gaps. The input is read by arrow's own CSV and JSON readers.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, ListBuilder, RecordBatch, StructArray, StructBuilder, TimestampNanosecondArray,
    TimestampNanosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimestampNanosecondType};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result as DfResult};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::functions_window::expr_fn::lag;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Aggregate, ColumnarValue, Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, WindowFunctionDefinition, cast, lit, when,
};
use datafusion::prelude::SessionContext;
use davy_engine::operator::window::session::SessionLimits;
use davy_engine::operator::window::spec::WindowSpec;
use davy_engine::operator::window::window_fields;
use davy_engine::plan::{Column as TableColumn, ColumnSource, TableDef};
use davy_engine::sql::catalog::{RawRows, TableRows};
use davy_engine::sql::window::window_of;
use davy_engine::sql::{PlanRequest, bind};
use davy_engine::time::TIMESTAMP;

use crate::support::{World, sorted_lines};

/// Compares what the engine found with what the oracle finds, sink by sink.
pub fn check(
    world: &World,
    text: &str,
    other_sql: Option<&str>,
    seen: &BTreeMap<String, Vec<String>>,
    found: &BTreeMap<String, Vec<String>>,
) -> Result<(), String> {
    let wanted = rows(world, other_sql.unwrap_or(text), seen)?;
    for (sink, wanted) in wanted {
        let found = found.get(&sink).cloned().unwrap_or_default();
        if found != wanted {
            return Err(format!("the oracle disagrees on `{sink}`\nengine {found:#?}\noracle {wanted:#?}"));
        }
    }
    Ok(())
}

/// The rows of each sink, by batch.
pub fn rows(
    world: &World,
    text: &str,
    seen: &BTreeMap<String, Vec<String>>,
) -> Result<BTreeMap<String, Vec<String>>, String> {
    let settings = BTreeMap::new();
    let request = PlanRequest { text, connectors: world, settings: &settings };
    let bound = bind(&request).map_err(|error| format!("oracle: {error}"))?;
    let mut state = bound.catalog.state.clone();
    // Over windows of windows this rule of DataFusion's makes columns of the same name and gives up.
    state.config_mut().options_mut().optimizer.enable_leaf_expression_pushdown = false;
    let context = SessionContext::new_with_state(state);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for insert in bound.inserts {
        let plan = batch_plan(insert.plan, seen).map_err(|error| format!("oracle plan: {error}"))?;
        let batches = runtime
            .block_on(async { context.execute_logical_plan(plan).await?.collect().await })
            .map_err(|error| format!("oracle run: {error}"))?;
        let lines = wanted.entry(insert.sink.name.to_string()).or_default();
        lines.extend(sorted_lines(&batches));
        lines.sort();
    }
    Ok(wanted)
}

/// Replaces tables by their rows and windows by SQL.
fn batch_plan(plan: LogicalPlan, seen: &BTreeMap<String, Vec<String>>) -> DfResult<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| match &node {
        LogicalPlan::TableScan(scan) => {
            let def = scan
                .source
                .downcast_ref::<TableRows>()
                .map(|rows| &rows.def)
                .or_else(|| scan.source.downcast_ref::<RawRows>().map(|rows| &rows.def));
            let Some(def) = def else { return Ok(Transformed::no(node)) };
            let table = MemTable::try_new(timed_schema(def), vec![read(def, seen)])?;
            let scan = LogicalPlanBuilder::scan(scan.table_name.clone(), provider_as_source(Arc::new(table)), None)?;
            Ok(Transformed::yes(scan.build()?))
        }
        _ => Ok(Transformed::no(node)),
    })?;
    // Windows from the outermost in: each replacement carries the event time up from below by itself.
    let rewritten = rewritten.data.transform_down_with_subqueries(|node| match &node {
        LogicalPlan::Aggregate(aggregate) => match window_of(aggregate) {
            Ok(Some((index, spec))) => Ok(Transformed::yes(batch_window(aggregate, index, spec, seen)?)),
            _ => Ok(Transformed::no(node)),
        },
        _ => Ok(Transformed::no(node)),
    })?;
    Ok(rewritten.data)
}

const ANY_HOP: WindowSpec = WindowSpec::Hop { slide: 1, width: 1 };
const ANY_SESSION: WindowSpec = WindowSpec::Session(SessionLimits { gap: 1, max: 1 });
const TIME: &str = "oracle_time";
const WINDOW: &str = "oracle_window";

fn batch_window(
    aggregate: &Aggregate,
    index: usize,
    spec: WindowSpec,
    _seen: &BTreeMap<String, Vec<String>>,
) -> DfResult<LogicalPlan> {
    let input = carry_time(&aggregate.input)?;
    let time = find(&input, TIME);
    let windowed = match spec {
        WindowSpec::Hop { slide, width } => {
            let windows = ScalarUDF::new_from_impl(HopWindows::new(slide, width)).call(vec![Expr::Column(time)]);
            let mut columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
            columns.push(windows.alias(WINDOW));
            LogicalPlanBuilder::from(input).project(columns)?.unnest_column(Column::from_name(WINDOW))?.build()?
        }
        WindowSpec::Session(limits) => sessions(input, &time, aggregate, index, limits)?,
    };
    let window = Expr::Column(find(&windowed, WINDOW));
    let mut groups = aggregate.group_expr.clone();
    groups[index] = window;
    let n_groups = groups.len();
    let made = LogicalPlanBuilder::from(windowed).aggregate(groups, aggregate.aggr_expr.clone())?.build()?;
    let columns: Vec<Expr> = made
        .schema()
        .columns()
        .into_iter()
        .zip(aggregate.schema.iter())
        .map(|(column, (qualifier, field))| Expr::Column(column).alias_qualified(qualifier.cloned(), field.name()))
        .collect();
    assert_eq!(columns.len(), n_groups + aggregate.aggr_expr.len());
    LogicalPlanBuilder::from(made).project(columns)?.build()
}

/// Sessions by SQL: a row begins one when it is `gap` or more after the last row of its key; a running count numbers them. A session is
/// cut at each multiple of `max` that is `max` or more after its first row.
fn sessions(
    input: LogicalPlan,
    time: &Column,
    aggregate: &Aggregate,
    index: usize,
    SessionLimits { gap, max }: SessionLimits,
) -> DfResult<LogicalPlan> {
    let keys: Vec<Expr> =
        aggregate.group_expr.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, key)| key.clone()).collect();
    let time = Expr::Column(time.clone());
    let order = vec![time.clone().sort(true, true)];
    let ns = cast(time, DataType::Int64);
    let before = lag(ns.clone(), Some(1), None)
        .partition_by(keys.clone())
        .order_by(order.clone())
        .build()?
        .alias("oracle_before");
    let plan = LogicalPlanBuilder::from(input).window(vec![before])?.build()?;
    let before = Expr::Column(find(&plan, "oracle_before"));
    let begins =
        when(before.clone().is_null().or((ns.clone() - before).gt_eq(lit(gap))), lit(1_i64)).otherwise(lit(0_i64))?;
    let sum =
        |value: Expr, order: Vec<datafusion::logical_expr::SortExpr>, by: Vec<Expr>, name: &str| -> DfResult<Expr> {
            let function = WindowFunctionDefinition::AggregateUDF(datafusion::functions_aggregate::sum::sum_udaf());
            let call = Expr::WindowFunction(Box::new(WindowFunction::new(function, vec![value])));
            Ok(call.partition_by(by).order_by(order).build()?.alias(name))
        };
    let number = sum(begins, order, keys.clone(), "oracle_session")?;
    let plan = LogicalPlanBuilder::from(plan).window(vec![number])?.build()?;
    let session = Expr::Column(find(&plan, "oracle_session"));
    let by: Vec<Expr> = keys.into_iter().chain([session]).collect();
    let over = |function, value: &Expr, by: &[Expr], name: &str| -> DfResult<Expr> {
        let call = Expr::WindowFunction(Box::new(WindowFunction::new(
            WindowFunctionDefinition::AggregateUDF(function),
            vec![value.clone()],
        )));
        Ok(call.partition_by(by.to_vec()).build()?.alias(name))
    };
    let (min, max_of) =
        (datafusion::functions_aggregate::min_max::min_udaf, datafusion::functions_aggregate::min_max::max_udaf);
    let plan = LogicalPlanBuilder::from(plan).window(vec![over(min(), &ns, &by, "oracle_since")?])?.build()?;
    // The floor of a division that rounds towards zero.
    let boundary = (ns.clone() - ((ns.clone() % lit(max)) + lit(max)) % lit(max)).alias("oracle_boundary");
    let columns = plan.schema().columns().into_iter().map(Expr::Column).chain([boundary]).collect::<Vec<_>>();
    let plan = LogicalPlanBuilder::from(plan).project(columns)?.build()?;
    let (since, boundary) = (Expr::Column(find(&plan, "oracle_since")), Expr::Column(find(&plan, "oracle_boundary")));
    let part =
        when((since + lit(max)).lt_eq(boundary.clone()), boundary).otherwise(lit(i64::MIN))?.alias("oracle_part");
    let columns = plan.schema().columns().into_iter().map(Expr::Column).chain([part]).collect::<Vec<_>>();
    let plan = LogicalPlanBuilder::from(plan).project(columns)?.build()?;
    let part = Expr::Column(find(&plan, "oracle_part"));
    let by_part: Vec<Expr> = by.iter().cloned().chain([part.clone()]).collect();
    let of_part = vec![over(min(), &ns, &by_part, "oracle_first")?, over(max_of(), &ns, &by_part, "oracle_last")?];
    let of_session = vec![over(max_of(), &part, &by, "oracle_last_part")?];
    let plan = LogicalPlanBuilder::from(plan).window(of_part)?.window(of_session)?.build()?;
    let column = |name: &str| Expr::Column(find(&plan, name));
    let bounds = vec![
        column("oracle_first"),
        column("oracle_last") + lit(gap),
        column("oracle_part").lt(column("oracle_last_part")),
    ];
    let window = ScalarUDF::new_from_impl(MakeWindow::new()).call(bounds);
    let mut columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    columns.push(window.alias(WINDOW));
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// Adds the event time to a plan's output: the table's own, or just before the end of the window that the rows carry.
fn carry_time(plan: &LogicalPlan) -> DfResult<LogicalPlan> {
    match plan {
        LogicalPlan::Projection(node) => {
            let input = carry_time(&node.input)?;
            let time = Expr::Column(find(&input, TIME));
            LogicalPlanBuilder::from(input)
                .project(node.expr.iter().cloned().chain([time]).collect::<Vec<_>>())?
                .build()
        }
        LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
            let inputs = plan.inputs().into_iter().map(carry_time).collect::<DfResult<Vec<_>>>()?;
            plan.with_new_exprs(plan.expressions(), inputs)
        }
        LogicalPlan::Union(node) => {
            let mut inputs = node.inputs.iter().map(|input| carry_time(input));
            let first = LogicalPlanBuilder::from(inputs.next().unwrap()?);
            inputs.try_fold(first, |all, input| all.union(input?))?.build()
        }
        LogicalPlan::Unnest(node) => {
            let input = carry_time(&node.input)?;
            LogicalPlanBuilder::from(input)
                .unnest_columns_with_options(node.exec_columns.clone(), node.options.clone())?
                .build()
        }
        LogicalPlan::TableScan(scan) => {
            // The table's event time was noted in its schema's metadata when it was read.
            let time = scan.source.schema().metadata().get(TIME).cloned().expect("the table has an event time");
            let mut columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
            let (qualifier, field) = plan.schema().iter().find(|(_, field)| *field.name() == time).unwrap();
            columns.push(Expr::Column(Column::new(qualifier.cloned(), field.name())).alias(TIME));
            LogicalPlanBuilder::from(plan.clone()).project(columns)?.build()
        }
        other => {
            let is_window = |field: &Field| {
                let is_any = |spec| *field.data_type() == DataType::Struct(window_fields(spec));
                is_any(ANY_HOP) || is_any(ANY_SESSION)
            };
            let (qualifier, field) =
                other.schema().iter().find(|(_, field)| is_window(field)).expect("rows of windows carry their window");
            let window = Expr::Column(Column::new(qualifier.cloned(), field.name()));
            let end = datafusion::functions::core::expr_ext::FieldAccessor::field(window, "end");
            let mut columns: Vec<Expr> = other.schema().columns().into_iter().map(Expr::Column).collect();
            columns.push(cast(cast(end, DataType::Int64) - lit(1_i64), TIMESTAMP).alias(TIME));
            LogicalPlanBuilder::from(other.clone()).project(columns)?.build()
        }
    }
}

fn find(plan: &LogicalPlan, name: &str) -> Column {
    let (qualifier, field) =
        plan.schema().iter().find(|(_, field)| field.name() == name).unwrap_or_else(|| panic!("no {name} in {plan}"));
    Column::new(qualifier.cloned(), field.name())
}

/// A table's rows, by arrow's readers.
fn read(def: &Arc<TableDef>, seen: &BTreeMap<String, Vec<String>>) -> Vec<RecordBatch> {
    let text = seen.get(&*def.name).map(|lines| lines.join("\n")).unwrap_or_default();
    let record_fields: Vec<Field> = def
        .columns
        .iter()
        .filter(|column| matches!(column.from, ColumnSource::Record(_)))
        .map(|column| column.field.as_ref().clone())
        .collect();
    let schema: SchemaRef = Arc::new(Schema::new(record_fields));
    let batches: Vec<RecordBatch> = match &def.format {
        Some(davy_engine::format::Format::Json(_)) => arrow::json::ReaderBuilder::new(schema)
            .build(text.as_bytes())
            .unwrap()
            .map(|batch| batch.expect("the oracle's input is good"))
            .collect(),
        Some(davy_engine::format::Format::RawString(_)) => {
            let lines: arrow::array::StringArray = text.lines().map(Some).collect();
            vec![RecordBatch::try_new(schema, vec![Arc::new(lines)]).unwrap()]
        }
        _ => arrow::csv::ReaderBuilder::new(schema)
            .build(text.as_bytes())
            .unwrap()
            .map(|batch| batch.expect("the oracle's input is good"))
            .collect(),
    };
    batches.into_iter().map(|batch| with_side_columns(def, &batch)).collect()
}

/// The raw columns; the metadata notes which is the event time. Tables whose event time is generated have no oracle.
fn timed_schema(def: &TableDef) -> SchemaRef {
    let metadata = match &def.event_time {
        Some((Expr::Column(column), _)) => [(TIME.to_owned(), column.name.clone())].into(),
        _ => std::collections::HashMap::new(),
    };
    Arc::new(Schema::new_with_metadata(def.raw_schema().fields().clone(), metadata))
}

fn with_side_columns(def: &TableDef, batch: &RecordBatch) -> RecordBatch {
    let schema = timed_schema(def);
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) => Arc::clone(column),
            None => side_column(def, field, batch.num_rows()),
        })
        .collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

fn side_column(def: &TableDef, field: &Field, n_rows: usize) -> ArrayRef {
    let is_it = |column: &&TableColumn| column.field.name() == field.name();
    match def.columns.iter().find(is_it).map(|column| &column.from) {
        Some(ColumnSource::Split) => Arc::new(arrow::array::StringArray::from(vec!["0"; n_rows])),
        other => panic!("no oracle for {other:?}"),
    }
}

/// All windows of a row, as a list.
#[derive(Debug, PartialEq, Eq, Hash)]
struct HopWindows {
    slide: i64,
    width: i64,
    signature: Signature,
}

impl HopWindows {
    fn new(slide: i64, width: i64) -> Self {
        Self { slide, width, signature: Signature::exact(vec![TIMESTAMP], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for HopWindows {
    fn name(&self) -> &str {
        "oracle_hop"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::List(Arc::new(Field::new("item", DataType::Struct(window_fields(ANY_HOP)), true))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let times = args.args[0].to_array(args.number_rows)?;
        let times = times.as_primitive::<TimestampNanosecondType>();
        let mut lists = ListBuilder::new(StructBuilder::from_fields(window_fields(ANY_HOP), 0));
        for time in times.iter() {
            let Some(time) = time else {
                lists.append(false);
                continue;
            };
            // By search, not by the engine's arithmetic: every start on the grid whose window holds the time.
            let mut start = time - time.rem_euclid(self.slide);
            while time < start + self.width {
                let builder = lists.values();
                builder.field_builder::<TimestampNanosecondBuilder>(0).unwrap().append_value(start);
                builder.field_builder::<TimestampNanosecondBuilder>(1).unwrap().append_value(start + self.width);
                builder.append(true);
                start -= self.slide;
            }
            lists.append(true);
        }
        Ok(ColumnarValue::Array(Arc::new(lists.finish())))
    }
}

/// `{start, end, is_cut}` of a session.
#[derive(Debug, PartialEq, Eq, Hash)]
struct MakeWindow {
    signature: Signature,
}

impl MakeWindow {
    fn new() -> Self {
        Self {
            signature: Signature::exact(
                vec![DataType::Int64, DataType::Int64, DataType::Boolean],
                Volatility::Immutable,
            ),
        }
    }
}

impl ScalarUDFImpl for MakeWindow {
    fn name(&self) -> &str {
        "oracle_window"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Struct(window_fields(ANY_SESSION)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let bound = |index: usize| -> DfResult<ArrayRef> {
            let array = args.args[index].to_array(args.number_rows)?;
            let times: TimestampNanosecondArray = array.as_primitive::<Int64Type>().iter().collect();
            Ok(Arc::new(times))
        };
        let columns = vec![bound(0)?, bound(1)?, args.args[2].to_array(args.number_rows)?];
        Ok(ColumnarValue::Array(Arc::new(StructArray::new(window_fields(ANY_SESSION), columns, None))))
    }
}
