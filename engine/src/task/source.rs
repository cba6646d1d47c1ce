//! Stage 1: bytes or rows from a table to rows for a sink or partials for an exchange.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;

use super::decode::{Decoded, decode};
use super::letters::{Letter, bad_records, late_rows};
use super::timed::attach_event_time;
use super::{Context, Flushed, Step};
use crate::error::{Error, Result};
use crate::format::{BadReason, BadRecord, Decoder};
use crate::log::{CommitRecord, Fetched, Partials, Payload, Polled, Position, Source, SplitId};
use crate::operator::align::Progress;
use crate::operator::partial::PartialAggregate;
use crate::operator::partition::Partitioner;
use crate::operator::watermark::SplitWatermark;
use crate::plan::{Metadata, Output, SourcePlan};

/// What is known of one split.
struct Split {
    position: Position,
    watermark: SplitWatermark,
    decoder: Option<Box<dyn Decoder>>,
    is_held: bool,
}

/// The chain's state.
pub(super) struct SourceBody {
    plan: Arc<SourcePlan>,
    splits: BTreeMap<SplitId, Split>,
    /// Per branch; `None` for a branch that goes straight to a sink.
    partials: Vec<Option<(PartialAggregate, Partitioner)>>,
}

impl SourceBody {
    pub(super) fn recover(
        context: &Context,
        plan: Arc<SourcePlan>,
        splits: &[SplitId],
        last: Option<&CommitRecord>,
        source: &mut dyn Source,
        now: Duration,
    ) -> Result<Self> {
        let wants = |wanted: Metadata| plan.metadata().any(|metadata| metadata == wanted);
        source.want(wants(Metadata::Key), wants(Metadata::Headers));
        let partial = |output: &Output| match output {
            Output::Sink(_) => Ok(None),
            Output::Exchange(aggregate) => {
                let partitioner = Partitioner::new(aggregate, context.n_partitions);
                let partial = PartialAggregate::new(Arc::clone(aggregate), &context.runtime.memory_pool)?;
                Ok(Some((partial, partitioner)))
            }
        };
        let partials = context.branches().iter().map(|branch| partial(&branch.output)).collect::<Result<Vec<_>>>()?;
        let mut body = Self { plan, splits: BTreeMap::new(), partials };
        let has_begun = last.is_some();
        body.read(splits, last.unwrap_or(&CommitRecord::default()), has_begun, source, now)?;
        Ok(body)
    }

    /// Begins to read splits, from where `last` says or from where they begin.
    pub(super) fn read(
        &mut self,
        splits: &[SplitId],
        last: &CommitRecord,
        has_joined: bool,
        source: &mut dyn Source,
        now: Duration,
    ) -> Result<()> {
        for split in splits {
            let position = match last.positions.get(split) {
                Some(position) => *position,
                None => source.start(split, has_joined)?,
            };
            source.assign(split, position)?;
            let watermark = SplitWatermark::new(last.watermarks.get(split).copied().unwrap_or(i64::MIN), now);
            self.splits.insert(split.clone(), Split { position, watermark, decoder: None, is_held: false });
        }
        Ok(())
    }

    pub(super) fn step(&mut self, context: &mut Context, polled: Polled, now: Duration) -> Result<Step> {
        match polled {
            Polled::End => {
                for split in self.splits.values_mut() {
                    split.watermark.end();
                }
                Ok(Step::Ended)
            }
            Polled::Pending => Ok(Step::Idle),
            Polled::Data(fetched) => self.fetched(context, fetched, now),
        }
    }

    fn fetched(&mut self, context: &mut Context, fetched: Fetched, now: Duration) -> Result<Step> {
        let plan = Arc::clone(&self.plan);
        let (id, next, end_of_split) = (fetched.split.clone(), fetched.next, fetched.end_of_split);
        let split = self
            .splits
            .get_mut(&id)
            .ok_or_else(|| Error::internal(format!("task `{}`: split `{id}` was never assigned", context.name)))?;
        assert!(split.position <= next, "positions only grow");
        if let Payload::Bytes(data) = &fetched.payload {
            context.metrics.source_bytes.add(data.len() as u64);
        }
        if matches!(fetched.payload, Payload::Nothing) {
            split.position = next;
            return Ok(Step::Worked(0));
        }
        let mut decoded = decode(&plan, &mut split.decoder, fetched)?;
        (context.probe)("decode");
        let n_rows = decoded.batch.num_rows();
        context.metrics.source_rows.add(n_rows as u64);
        // Rows keep the number they were decoded with, so that their messages can be found.
        let mut numbers: Option<Vec<usize>> = None;
        if let Some(event_time) = &plan.event_time {
            let lateness = plan.table.allowed_lateness;
            let timed = attach_event_time(event_time, &decoded.batch, &mut split.watermark, lateness, now)?;
            if !timed.without.is_empty() {
                let lost: BTreeSet<usize> = timed.without.iter().copied().collect();
                numbers = Some((0..n_rows).filter(|row| !lost.contains(row)).collect());
            }
            let letters = timed.without.into_iter().map(|row| without_event_time(&decoded, row));
            decoded.letters.extend(letters.collect::<Vec<_>>());
            decoded.batch = timed.batch;
        } else {
            split.watermark.touch(now);
        }
        split.position = next;
        if end_of_split {
            split.watermark.end();
            split.decoder = None;
        }
        let n_read = n_rows + decoded.letters.len();
        bad_records(context, &plan.table, &id, &decoded.letters)?;
        if 0 < decoded.batch.num_rows() {
            let position =
                |row: u32| decoded.position(numbers.as_ref().map_or(row as usize, |numbers| numbers[row as usize]));
            self.run_branches(context, &decoded.batch, &id, &position)?;
        }
        Ok(Step::Worked(n_read))
    }

    fn run_branches(
        &mut self,
        context: &mut Context,
        batch: &RecordBatch,
        split: &SplitId,
        position: &dyn Fn(u32) -> u64,
    ) -> Result<()> {
        let dataflow = Arc::clone(&context.dataflow);
        let branches = &dataflow.stages[context.stage].branches;
        let mut late = BTreeSet::new();
        for (branch, partial) in branches.iter().zip(&mut self.partials) {
            let fed = HashMap::from([(Arc::clone(&self.plan.table.name), vec![batch.clone()])]);
            for made in branch.plan.run(fed, &context.runtime)? {
                match (&branch.output, partial.as_mut()) {
                    (Output::Sink(name), _) if 0 < made.num_rows() => context.rows.push((Arc::clone(name), made)),
                    (Output::Exchange(_), Some((partial, _))) => {
                        let found = partial.process(&made)?;
                        context.metrics.late_rows.add(found.n_rows as u64);
                        late.extend(found.rows);
                    }
                    _ => {}
                }
            }
        }
        if let (Some(table), false) = (&self.plan.table.late_table, late.is_empty()) {
            let positions: Vec<u64> = late.iter().map(|&row| position(row)).collect();
            let rows = take_record_batch(batch, &UInt32Array::from_iter_values(late))?;
            context.rows.push((Arc::clone(table), late_rows(&rows, split, &positions)?));
        }
        Ok(())
    }

    /// Looks after splits that are silent, or too far ahead. Before every commit, since partials carry what is decided here.
    pub(super) fn tend(&mut self, context: &Context, source: &mut dyn Source, now: Duration) -> Result<()> {
        let timeout = self.plan.table.idle_timeout;
        for (id, split) in &mut self.splits {
            // The question whether anything waits may cost a round trip, so it comes last.
            if !split.is_held && split.watermark.is_silent(timeout, now) && source.is_at_end(id)? {
                split.watermark.set_aside();
            }
        }
        let Some(max_drift) = self.plan.table.max_drift else { return Ok(()) };
        let mut own = Vec::new();
        for (id, split) in &self.splits {
            let watermark = split.watermark.value();
            let is_behind = split.is_held || split.watermark.has_data(now) || !source.is_at_end(id)?;
            own.push((id.clone(), Progress { watermark, is_behind }));
        }
        let max_drift = i64::try_from(max_drift.as_nanos()).unwrap_or(i64::MAX);
        let held = context.board.align(&own, max_drift);
        for ((id, split), is_held) in self.splits.iter_mut().zip(held) {
            if split.is_held != is_held {
                split.is_held = is_held;
                source.hold(id, is_held)?;
            }
        }
        Ok(())
    }

    /// Gives up the partials and says how far reading has come.
    pub(super) fn flush(&mut self, context: &Context) -> Result<Flushed> {
        let watermarks: BTreeMap<_, _> =
            self.splits.iter().map(|(id, split)| (id.clone(), split.watermark.time())).collect();
        let watermarks = Arc::new(watermarks);
        let mut all = Vec::new();
        for (branch, partial) in self.partials.iter_mut().enumerate() {
            let (Some((partial, partitioner)), Output::Exchange(aggregate)) =
                (partial, &context.branches()[branch].output)
            else {
                continue;
            };
            for (partition, batch) in partitioner.split(partial.flush()?)?.into_iter().enumerate() {
                if let Some(partials) = context.partials(branch, batch) {
                    let partials = Partials { watermarks: Arc::clone(&watermarks), ..partials };
                    all.push((aggregate.exchange.clone(), partition as u32, partials));
                }
            }
        }
        let record = CommitRecord {
            positions: self.splits.iter().map(|(id, split)| (id.clone(), split.position)).collect(),
            watermarks: self.splits.iter().map(|(id, split)| (id.clone(), split.watermark.value())).collect(),
            ..CommitRecord::default()
        };
        Ok(Flushed { partials: all, record, told: Some(watermarks) })
    }
}

fn without_event_time(decoded: &Decoded, row: usize) -> Letter {
    let detail = "the event time is null".to_owned();
    let record = BadRecord { reason: BadReason::NoEventTime, detail, offset: 0, bytes: Vec::new() };
    Letter { record, position: Position(decoded.position(row)) }
}
