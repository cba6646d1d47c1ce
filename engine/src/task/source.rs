//! Stage 1: bytes or rows from a table to rows for a sink or partials for an exchange.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;

use super::bad_records::{bad_records, late_rows};
use super::cuts::Cuts;
use super::decode::{Decoded, Origins, decode};
use super::local::{LocalBody, Positions, ReadTo};
use super::origin::{Origin, Replay};
use super::row_errors::failing_times;
use super::timed::{Fault, Limits, Timed};
use super::{Context, Flushed, Step};
use crate::error::{Error, Result};
use crate::format::Decoder;
use crate::log::{CommitRecord, ExchangeId, Fetched, Partials, Payload, Polled, Position, Source, SplitId, SplitTime};
use crate::operator::align::{Board, Progress, Seat};
use crate::operator::guard::Failures;
use crate::operator::partial::PartialAggregate;
use crate::operator::partition::Partitioner;
use crate::operator::watermark::SplitWatermark;
use crate::plan::{Branch, Metadata, Output, SourcePlan};
use crate::time::Watermark;

mod cut;

/// What is known of one split.
struct Split {
    position: Position,
    watermark: SplitWatermark,
    decoder: Option<Box<dyn Decoder>>,
    is_held: bool,
    /// How far the last owner had read: records before it were read once, and only windows need them again.
    replay_until: Position,
    /// Where the task began to read it, or where all its sessions were over last: no replay begins before.
    resumed: ReadTo,
    /// The latest event time since then.
    latest: i64,
}

impl Split {
    fn progress(&self) -> ReadTo {
        ReadTo { position: self.position, watermark: self.watermark.value() }
    }

    /// Raises the watermark to `closed_through`, when nothing of the split is open any more.
    fn pass(&mut self, closed_through: i64) {
        if self.watermark.value() < closed_through {
            self.watermark.raise(closed_through);
            self.resumed = self.progress();
        }
    }
}

/// What a task keeps for the output of a branch.
enum OutputState {
    Sink,
    Exchange(Box<(PartialAggregate, Partitioner)>),
    Local(Box<LocalBody>),
}

pub(super) struct SourceBody {
    plan: Arc<SourcePlan>,
    splits: BTreeMap<SplitId, Split>,
    outputs: Vec<OutputState>,
    /// Where every split was at the last flush.
    flushed: Positions,
    cuts: Option<Cuts>,
    /// What goes to exchanges with the next commit.
    unsent: Vec<(ExchangeId, u32, Partials)>,
    seat: Seat,
    has_ended: bool,
}

impl SourceBody {
    pub(super) fn new(
        context: &Context,
        plan: Arc<SourcePlan>,
        closed_through: Option<i64>,
        source: &mut dyn Source,
    ) -> Result<Self> {
        let wants = |wanted: Metadata| plan.metadata().any(|metadata| metadata == wanted);
        source.want(wants(Metadata::Key), wants(Metadata::Headers));
        let closed_through = closed_through.unwrap_or(i64::MIN);
        let state = |branch: &Branch| match &branch.output {
            Output::Sink(_) => Ok(OutputState::Sink),
            Output::Local(local) => Ok(OutputState::Local(Box::new(LocalBody::new(context, local, closed_through)?))),
            Output::Exchange(aggregate) => {
                let partitioner = Partitioner::new(aggregate, context.n_partitions);
                let partial = PartialAggregate::new(Arc::clone(aggregate), &context.budget)?;
                Ok(OutputState::Exchange(Box::new((partial, partitioner))))
            }
        };
        let outputs = context.branches().iter().map(state).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            plan,
            splits: BTreeMap::new(),
            outputs,
            flushed: Positions::new(),
            cuts: Cuts::of(&context.dataflow),
            unsent: Vec::new(),
            seat: Board::join(&context.board),
            has_ended: false,
        })
    }

    /// The windows of sessions in this task, where there are any.
    fn local_sessions(&self) -> Option<(&LocalBody, i64)> {
        self.outputs.iter().find_map(|output| match output {
            OutputState::Local(local) => Some((&**local, local.session_gap()?)),
            OutputState::Sink | OutputState::Exchange(_) => None,
        })
    }

    /// How many bytes of partials the next commit has.
    pub(super) fn partials_size(&self) -> usize {
        let size = |output: &OutputState| match output {
            OutputState::Sink => 0,
            OutputState::Local(local) => local.partials_size(),
            OutputState::Exchange(exchange) => exchange.0.size(),
        };
        self.outputs.iter().map(size).sum()
    }

    /// Begins to read splits, from where `last` says or from their start. Without `last` the pipeline itself begins; with it, splits
    /// that it does not have joined later.
    pub(super) fn read(
        &mut self,
        splits: &[SplitId],
        last: Option<&CommitRecord>,
        source: &mut dyn Source,
        now: Duration,
    ) -> Result<()> {
        let has_joined = last.is_some();
        let none = CommitRecord::default();
        let last = last.unwrap_or(&none);
        for split in splits {
            let committed = last.positions.get(split).copied();
            let position = match last.replay_from.get(split).copied().or(committed) {
                Some(position) => position,
                None => source.start(split, has_joined)?,
            };
            source.assign(split, position)?;
            let replay_until = committed.unwrap_or(position);
            // What a split that has joined brings of closed sessions is late.
            let passed = self.local_sessions().map_or(i64::MIN, |(local, _)| local.closed_through());
            let watermark = last.watermarks.get(split).copied().unwrap_or(passed);
            let was_idle = last.idle.contains(split);
            let watermark =
                if was_idle { SplitWatermark::new_idle(watermark, now) } else { SplitWatermark::new(watermark, now) };
            let resumed = ReadTo { position, watermark: watermark.value() };
            let latest = i64::MIN;
            let state = Split { position, watermark, decoder: None, is_held: false, replay_until, resumed, latest };
            self.flushed.insert(split.clone(), state.progress());
            self.splits.insert(split.clone(), state);
        }
        self.note_passed();
        Ok(())
    }

    pub(super) fn step(&mut self, context: &mut Context, polled: Polled, now: Duration) -> Result<Step> {
        match polled {
            Polled::End => {
                self.cut_if_passed(context)?;
                self.has_ended = true;
                for split in self.splits.values_mut() {
                    split.watermark.end();
                }
                Ok(Step::Ended)
            }
            Polled::Pending => Ok(Step::Idle),
            Polled::Data(fetched) => self.fetched(context, &fetched, now),
        }
    }

    fn fetched(&mut self, context: &mut Context, fetched: &Fetched, now: Duration) -> Result<Step> {
        let plan = Arc::clone(&self.plan);
        let has_sessions = self.local_sessions().is_some();
        let (id, start, next, end_of_split) =
            (fetched.split.clone(), fetched.start, fetched.next, fetched.end_of_split);
        let split = self
            .splits
            .get_mut(&id)
            .ok_or_else(|| Error::internal(format!("task `{}`: split `{id}` was never assigned", context.name)))?;
        assert!(split.position <= next, "positions only grow");
        if let Payload::Bytes(data) = &fetched.payload {
            context.metrics.source_bytes.inc_by(data.len() as u64);
        }
        if matches!(fetched.payload, Payload::Nothing) {
            split.position = next;
            return Ok(Step::Worked(0));
        }
        let mut decoded = decode(&plan, &mut split.decoder, fetched, Origins::AsPlanned)?;
        (context.probe)("decode");
        let n_rows = decoded.batch.num_rows();
        context.metrics.source_rows.inc_by(n_rows as u64);
        let replay = Replay { until: split.replay_until, is_on: start < split.replay_until };
        let before = split.watermark;
        // Rows keep the number they were decoded with, so that their messages can be found.
        let mut numbers: Option<Vec<usize>> = None;
        if let Some(event_time) = &plan.event_time {
            let mut event_time = Cow::Borrowed(event_time);
            let mut failed = BTreeSet::new();
            let mut timed = match Timed::evaluate(&event_time, &decoded.batch) {
                Err(Error::Data(_)) => {
                    failed = failing_times(context, &event_time, &Origin::of(&plan, fetched, &decoded, replay))?;
                    event_time = Cow::Owned(event_time.nulling(&Failures::default())?);
                    Timed::evaluate(&event_time, &decoded.batch)?
                }
                other => other?,
            };
            let mut limits = limits(&plan, &decoded, fetched, context.run_start);
            // Which message a row is from is only found out where a row may be too far in the future.
            if decoded.lacks_origins(fetched) && !timed.is_within(&limits) {
                decoded = decode(&plan, &mut split.decoder, fetched, Origins::Known)?;
                timed = Timed::evaluate(&event_time, &decoded.batch)?;
                limits = self::limits(&plan, &decoded, fetched, context.run_start);
            }
            let mut faults = timed.faults(&limits);
            // What the policy for failing rows has taken is no bad record.
            faults.retain(|fault| !failed.contains(&fault.row));
            let rejected: Vec<_> = faults.iter().map(|fault| decoded.reject(fault, fetched)).collect();
            decoded.rejected.extend(rejected);
            faults.extend(failed.into_iter().map(Fault::of_failure));
            if !faults.is_empty() {
                let lost: BTreeSet<usize> = faults.iter().map(|fault| fault.row).collect();
                numbers = Some((0..n_rows).filter(|row| !lost.contains(row)).collect());
            }
            let timed = timed.without(&faults)?;
            if has_sessions {
                split.latest = split.latest.max(timed.latest());
            }
            decoded.batch = timed.advance(&mut split.watermark, plan.table.allowed_lateness, now)?;
        } else {
            split.watermark.touch(now);
        }
        if next <= split.replay_until {
            split.watermark.replayed(before);
        }
        split.position = next;
        let n_read = n_rows + decoded.rejected.len();
        let found = context.metrics.inputs.count(&plan.table, decoded.batch.num_rows(), &decoded.rejected);
        context.finding = found.or(context.finding.take());
        decoded.rejected.retain(|record| replay.until <= record.position);
        bad_records(context, &plan.table, &id, &decoded.rejected)?;
        if 0 < decoded.batch.num_rows() {
            let origin = Origin { numbers: numbers.as_deref(), ..Origin::of(&plan, fetched, &decoded, replay) };
            self.run_branches(context, &decoded.batch, &origin)?;
        }
        if end_of_split {
            self.cut_if_passed(context)?;
            if let Some(split) = self.splits.get_mut(&id) {
                split.watermark.end();
                split.decoder = None;
            }
        }
        Ok(Step::Worked(n_read))
    }

    fn run_branches(&mut self, context: &mut Context, batch: &RecordBatch, origin: &Origin<'_>) -> Result<()> {
        let mut late = BTreeSet::new();
        let mut begin = 0;
        for cut in self.cuts_of(batch, origin) {
            late.extend(self.run_rows(context, batch, origin, begin..cut.row)?);
            self.give_up(context, &cut.watermarks)?;
            begin = cut.row;
        }
        late.extend(self.run_rows(context, batch, origin, begin..batch.num_rows())?);
        late.retain(|&row| origin.replay.until.0 <= origin.position(row));
        if let (Some(table), false) = (&self.plan.table.late_table, late.is_empty()) {
            let positions: Vec<u64> = late.iter().map(|&row| origin.position(row)).collect();
            let rows = take_record_batch(batch, &UInt32Array::from_iter_values(late))?;
            context.rows.push((Arc::clone(table), late_rows(&rows, &origin.fetched.split, &positions)?));
        }
        Ok(())
    }

    /// Sets silent splits idle, and holds back those too far ahead. Before every commit, since partials carry what is decided here.
    pub(super) fn update_idleness(&mut self, source: &mut dyn Source, now: Duration) -> Result<()> {
        let timeout = self.plan.table.idle_timeout;
        for (id, split) in &mut self.splits {
            if !split.is_held {
                split.watermark.update_idle(timeout, now, split.position, || source.end(id))?;
            }
        }
        let Some(max_drift) = self.plan.table.max_drift else { return Ok(()) };
        let mut own = Vec::new();
        for (id, split) in &self.splits {
            let watermark = split.watermark.value();
            let has_more = |end: Option<Position>| end.is_none_or(|end| split.position < end);
            let is_behind = split.is_held || split.watermark.has_data(now) || has_more(source.end(id)?);
            own.push(Progress { watermark, is_behind });
        }
        let max_drift = i64::try_from(max_drift.as_nanos()).unwrap_or(i64::MAX);
        let held = self.seat.align(&own, max_drift);
        for ((id, split), is_held) in self.splits.iter_mut().zip(held) {
            if split.is_held != is_held {
                split.is_held = is_held;
                source.hold(id, is_held)?;
            }
        }
        Ok(())
    }

    /// Gives up the partials and says how far reading has come.
    pub(super) fn flush(&mut self, context: &mut Context) -> Result<Flushed> {
        let mut watermarks = self.watermarks();
        if self.has_ended && self.splits.is_empty() {
            watermarks.insert(SplitId::from(&*context.name), SplitTime::Active(Watermark::END));
        }
        let watermarks = Arc::new(watermarks);
        let mut record = CommitRecord {
            positions: self
                .splits
                .iter()
                .map(|(id, split)| (id.clone(), split.position.max(split.replay_until)))
                .collect(),
            watermarks: self.splits.iter().map(|(id, split)| (id.clone(), split.watermark.value())).collect(),
            idle: self
                .splits
                .iter()
                .filter(|(_, split)| split.watermark.is_left_idle())
                .map(|(id, _)| id.clone())
                .collect(),
            ..CommitRecord::default()
        };
        self.give_up(context, &watermarks)?;
        self.note_passed();
        for output in &self.outputs {
            let OutputState::Local(local) = output else { continue };
            record.closed_through = Some(local.closed_through());
            for (id, split) in &self.splits {
                let needed = local.replay_from(id, split.progress());
                let from = if needed.position <= split.resumed.position { split.resumed } else { needed };
                let ReadTo { position, watermark } = from;
                record.replay_from.insert(id.clone(), position);
                record.watermarks.insert(id.clone(), watermark);
            }
        }
        self.flushed = self.splits.iter().map(|(id, split)| (id.clone(), split.progress())).collect();
        Ok(Flushed { partials: std::mem::take(&mut self.unsent), record, watermarks: Some(watermarks) })
    }
}

fn limits(plan: &SourcePlan, decoded: &Decoded, fetched: &Fetched, run_start: i64) -> Limits {
    plan.table.max_future.map_or(Limits::None, |max_future| decoded.limits(fetched, max_future, run_start))
}
