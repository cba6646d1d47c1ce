//! Stage 1: bytes or rows from a table to rows for a sink or partials for an exchange.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt32Array,
};
use arrow::compute::{cast, filter_record_batch, is_not_null, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimestampNanosecondType};
use datafusion::physical_expr::PhysicalExpr;

use super::{Context, Step};
use crate::error::{Error, Result};
use crate::format::{BadReason, BadRecord, Decoder};
use crate::log::{CommitRecord, ExchangeId, Fetched, Partials, Payload, Polled, Position, Source, SplitId};
use crate::operator::partial::{EVENT_TIME, PartialAggregate, ROW, WATERMARK};
use crate::operator::watermark::SplitWatermark;
use crate::operator::window::session::batch_of;
use crate::plan::{
    BadRecordPolicy, EventTime, Output, SinkPlan, SourcePlan, TableDef, WatermarkRule, dead_letter_columns,
};
use crate::sql::functions::TIMESTAMP;

/// What is known of one split.
struct Split {
    position: Position,
    watermark: SplitWatermark,
    decoder: Option<Box<dyn Decoder>>,
}

/// The chain's state.
pub(super) struct SourceBody {
    plan: Arc<SourcePlan>,
    splits: BTreeMap<SplitId, Split>,
    /// Per branch; `None` for a branch that goes straight to a sink.
    partials: Vec<Option<PartialAggregate>>,
    /// Scratch.
    bad: Vec<BadRecord>,
}

impl SourceBody {
    pub(super) fn recover(
        context: &Context,
        plan: Arc<SourcePlan>,
        last: &CommitRecord,
        source: &mut dyn Source,
        now: Duration,
    ) -> Result<Self> {
        let mut splits = BTreeMap::new();
        for split in source.splits()? {
            let position = last.positions.get(&split).copied().unwrap_or_default();
            source.assign(&split, position)?;
            let watermark = last.watermarks.get(&split).copied().unwrap_or(i64::MIN);
            splits.insert(split, Split { position, watermark: SplitWatermark::new(watermark, now), decoder: None });
        }
        let partial = |output: &Output| match output {
            Output::Sink(_) => Ok(None),
            Output::Exchange(aggregate) => {
                PartialAggregate::new(Arc::clone(aggregate), &context.runtime.memory_pool).map(Some)
            }
        };
        let partials = context.branches().iter().map(|branch| partial(&branch.output)).collect::<Result<Vec<_>>>()?;
        Ok(Self { plan, splits, partials, bad: Vec::new() })
    }

    pub(super) fn step(&mut self, context: &mut Context, polled: Polled, now: Duration) -> Result<Step> {
        match polled {
            Polled::End => {
                for split in self.splits.values_mut() {
                    split.watermark.end();
                }
                Ok(Step::Ended)
            }
            Polled::Pending => {
                for split in self.splits.values_mut() {
                    split.watermark.check_idle(self.plan.table.idle_timeout, now);
                }
                Ok(Step::Idle)
            }
            Polled::Data(fetched) => self.fetched(context, fetched, now),
        }
    }

    fn fetched(&mut self, context: &mut Context, fetched: Fetched, now: Duration) -> Result<Step> {
        let Fetched { split: id, start, next, preamble, payload, end_of_split } = fetched;
        let plan = Arc::clone(&self.plan);
        let split = self
            .splits
            .get_mut(&id)
            .ok_or_else(|| Error::internal(format!("task `{}`: split `{id}` was never assigned", context.name)))?;
        let decoded = match payload {
            Payload::Batch(batch) => batch,
            Payload::Bytes(data) => {
                context.metrics.source_bytes.add(data.len() as u64);
                let decoder = match &mut split.decoder {
                    Some(decoder) => decoder,
                    empty => empty.insert(new_decoder(&plan.table, &plan)?),
                };
                if let Some(line) = preamble {
                    decoder.preamble(&line);
                }
                decoder.push(&data, &mut self.bad);
                decoder.finish()?
            }
            Payload::Partials(_) => return Err(Error::internal("a table gave partials")),
        };
        let mut batch = with_split_name(&plan, decoded, &id)?;
        let n_read = batch.num_rows() + self.bad.len();
        context.metrics.source_rows.add(batch.num_rows() as u64);
        if let Some(event_time) = &plan.event_time {
            let timed = attach_event_time(event_time, &batch, split, plan.table.allowed_lateness, now)?;
            for _ in 0..timed.n_without {
                self.bad.push(without_event_time());
            }
            batch = timed.batch;
        }
        split.position = next;
        if end_of_split {
            split.watermark.end();
            split.decoder = None;
        }
        bad_records(context, &plan.table, &id, start, &mut self.bad)?;
        if 0 < batch.num_rows() {
            self.run_branches(context, &batch)?;
        }
        Ok(Step::Worked(n_read))
    }

    fn run_branches(&mut self, context: &mut Context, batch: &RecordBatch) -> Result<()> {
        let dataflow = Arc::clone(&context.dataflow);
        let branches = &dataflow.stages[context.stage].branches;
        let mut late_rows = BTreeSet::new();
        for (branch, partial) in branches.iter().zip(&mut self.partials) {
            let fed = HashMap::from([(Arc::clone(&self.plan.table.name), vec![batch.clone()])]);
            for made in branch.plan.run(fed, &context.runtime)? {
                match (&branch.output, partial.as_mut()) {
                    (Output::Sink(name), _) if 0 < made.num_rows() => context.rows.push((Arc::clone(name), made)),
                    (Output::Exchange(_), Some(partial)) => {
                        let late = partial.process(&made)?;
                        context.metrics.late_rows.add(late.n_rows as u64);
                        late_rows.extend(late.rows);
                    }
                    _ => {}
                }
            }
        }
        if let (Some(table), false) = (&self.plan.table.late_table, late_rows.is_empty()) {
            let rows = take_record_batch(batch, &UInt32Array::from_iter_values(late_rows))?;
            context.rows.push((Arc::clone(table), rows));
        }
        Ok(())
    }

    /// Gives up the partials and says how far reading has come.
    #[expect(clippy::type_complexity, reason = "the parts of one transaction, taken apart by the one caller")]
    pub(super) fn flush(&mut self, context: &Context) -> Result<(Vec<(ExchangeId, u32, Partials)>, CommitRecord)> {
        let watermarks: BTreeMap<_, _> =
            self.splits.iter().map(|(id, split)| (id.clone(), split.watermark.time())).collect();
        let watermarks = Arc::new(watermarks);
        let mut all = Vec::new();
        for (branch, partial) in self.partials.iter_mut().enumerate() {
            let (Some(partial), Output::Exchange(aggregate)) = (partial, &context.branches()[branch].output) else {
                continue;
            };
            if let Some(partials) = context.partials(branch, partial.flush()?) {
                let partials = Partials { watermarks: Arc::clone(&watermarks), ..partials };
                all.push((aggregate.exchange.clone(), 0, partials));
            }
        }
        let record = CommitRecord {
            positions: self.splits.iter().map(|(id, split)| (id.clone(), split.position)).collect(),
            watermarks: self.splits.iter().map(|(id, split)| (id.clone(), split.watermark.value())).collect(),
            ..CommitRecord::default()
        };
        Ok((all, record))
    }
}

fn new_decoder(table: &TableDef, plan: &SourcePlan) -> Result<Box<dyn Decoder>> {
    let format =
        table.format.as_ref().ok_or_else(|| Error::internal(format!("table `{}` has no format", table.name)))?;
    format.decoder(plan.decode.clone())
}

/// Brings a decoded batch to the plan's schema, which may have the split's name besides.
fn with_split_name(plan: &SourcePlan, decoded: RecordBatch, split: &SplitId) -> Result<RecordBatch> {
    if plan.schema.fields() == decoded.schema().fields() {
        return Ok(decoded);
    }
    let n_rows = decoded.num_rows();
    let column = |field: &arrow::datatypes::FieldRef| -> ArrayRef {
        match decoded.column_by_name(field.name()) {
            Some(column) => Arc::clone(column),
            None => Arc::new(StringArray::from(vec![&*split.0; n_rows])),
        }
    };
    batch_of(&plan.schema, plan.schema.fields().iter().map(column).collect(), n_rows)
}

struct Timed {
    batch: RecordBatch,
    n_without: usize,
}

/// Adds event time, the watermark before each row and the row's number; rows without an event time are left out.
fn attach_event_time(
    event_time: &EventTime,
    batch: &RecordBatch,
    split: &mut Split,
    lateness: Duration,
    now: Duration,
) -> Result<Timed> {
    let mut batch = batch.clone();
    let mut times = evaluate_time(&event_time.time, &batch)?;
    let n_without = times.null_count();
    if 0 < n_without {
        let there: BooleanArray = is_not_null(&times)?;
        batch = filter_record_batch(&batch, &there)?;
        times = evaluate_time(&event_time.time, &batch)?;
    }
    let mut before = Vec::new();
    let lateness = i64::try_from(lateness.as_nanos()).unwrap_or(i64::MAX);
    match &event_time.watermark {
        WatermarkRule::Behind(ns) => {
            split.watermark.advance(times.values(), lateness.saturating_add(*ns), now, &mut before);
        }
        WatermarkRule::Expression(expression) => {
            let candidates = evaluate_time(expression, &batch)?;
            // A row without a watermark says nothing of the future.
            let known: Vec<i64> = candidates.iter().map(|candidate| candidate.unwrap_or(i64::MIN)).collect();
            split.watermark.advance(&known, lateness, now, &mut before);
        }
    }
    let n_rows = batch.num_rows();
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    fields.extend(hidden_columns());
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(times));
    columns.push(Arc::new(Int64Array::from(before)));
    columns.push(Arc::new(UInt32Array::from_iter_values(0..n_rows as u32)));
    let batch = batch_of(&Arc::new(Schema::new(fields)), columns, n_rows)?;
    Ok(Timed { batch, n_without })
}

/// The columns that stage 1 adds to a source's own.
pub(crate) fn hidden_columns() -> [arrow::datatypes::FieldRef; 3] {
    [
        Arc::new(Field::new(EVENT_TIME, TIMESTAMP, false)),
        Arc::new(Field::new(WATERMARK, DataType::Int64, false)),
        Arc::new(Field::new(ROW, DataType::UInt32, false)),
    ]
}

fn evaluate_time(expression: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<TimestampNanosecondArray> {
    let array = expression.evaluate(batch)?.into_array(batch.num_rows())?;
    let array = cast(&array, &TIMESTAMP)?;
    Ok(array.as_primitive::<TimestampNanosecondType>().clone())
}

fn without_event_time() -> BadRecord {
    let detail = "the event time is null".to_owned();
    BadRecord { reason: BadReason::NoEventTime, detail, offset: 0, bytes: Vec::new() }
}

/// Counts bad records and lets the table's policy have them.
fn bad_records(
    context: &mut Context,
    table: &TableDef,
    split: &SplitId,
    start: Position,
    bad: &mut Vec<BadRecord>,
) -> Result<()> {
    for record in bad.iter() {
        context.metrics.count_bad(record.reason);
    }
    let bad = std::mem::take(bad);
    let Some(first) = bad.first() else { return Ok(()) };
    match &table.bad_record {
        BadRecordPolicy::Drop => Ok(()),
        BadRecordPolicy::Fail => Err(Error::invalid(format!(
            "table `{}`: bad record in split `{split}` at position {}: {} ({})",
            table.name,
            start.0 + first.offset,
            first.detail,
            first.reason.label()
        ))
        .hint("the table says bad_record = 'fail'; with 'drop' such records are counted and left out")),
        BadRecordPolicy::DeadLetter(name) => {
            context.rows.push((Arc::clone(name), dead_letters(split, start, &bad)?));
            Ok(())
        }
    }
}

fn dead_letters(split: &SplitId, start: Position, bad: &[BadRecord]) -> Result<RecordBatch> {
    let fields: Vec<Field> =
        dead_letter_columns().into_iter().map(|(name, data_type)| Field::new(name, data_type, false)).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(bad.iter().map(|record| record.reason.label()))),
        Arc::new(StringArray::from_iter_values(bad.iter().map(|record| &record.detail))),
        Arc::new(StringArray::from_iter_values(bad.iter().map(|_| &*split.0))),
        Arc::new(Int64Array::from_iter_values(bad.iter().map(|record| (start.0 + record.offset) as i64))),
        Arc::new(BinaryArray::from_iter_values(bad.iter().map(|record| &record.bytes))),
    ];
    batch_of(&Arc::new(Schema::new(fields)), columns, bad.len())
}

/// Brings rows that a task made (late rows, dead letters) to a sink's own columns, by name.
pub fn fit_to_sink(sink: &SinkPlan, batch: &RecordBatch) -> Result<RecordBatch> {
    if batch.schema().fields() == sink.schema.fields() {
        return Ok(batch.clone());
    }
    let column = |field: &arrow::datatypes::FieldRef| -> Result<ArrayRef> {
        let column = batch
            .column_by_name(field.name())
            .ok_or_else(|| Error::internal(format!("table `{}`: nothing for column `{}`", sink.name, field.name())))?;
        if let (DataType::Binary, DataType::Utf8) = (column.data_type(), field.data_type()) {
            let lossy = column.as_binary::<i32>().iter().map(|bytes| bytes.map(String::from_utf8_lossy));
            return Ok(Arc::new(StringArray::from_iter(lossy)));
        }
        Ok(cast(column, field.data_type())?)
    };
    let columns = sink.schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    batch_of(&nullable(&sink.schema), columns, batch.num_rows())
}

/// Sinks do not enforce NOT NULL: a query's own nullability may be weaker than it is.
fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    Arc::new(Schema::new(fields))
}
