//! Stage 2: partials from exchanges to closed windows, and through the query above them to a sink or the next exchange.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::cuts::Cuts;
use super::row_errors::apply_to_results;
use super::{Context, Flushed, Step};
use crate::error::{Error, Result};
use crate::log::log_time::{LogTime, Moment};
use crate::log::memory::exchange_split;
use crate::log::offset_metadata::Reset;
use crate::log::watermarks::WatermarkVector;
use crate::log::{
    CommitRecord, ExchangeId, Fetched, Judged, Partials, Payload, Polled, Position, Source, SplitId, SplitTime,
};
use crate::operator::closed::ClosedQuery;
use crate::operator::merge::{LeftOut, WindowMerge};
use crate::operator::partial::PartialAggregate;
use crate::operator::partition::Partitioner;
use crate::plan::{ExchangeInput, Output};
use crate::time::Watermark;

/// One partition of an exchange that is read.
struct Input {
    /// Which of the query's merges its partials go to.
    merge: usize,
    position: Position,
    /// Where the last owner had come to: what lies before it is a replay.
    replay_until: Position,
    watermarks: WatermarkVector,
    reset: Option<Reset>,
    /// Whether what the last owner heard came with its commit, so that a replay says nothing new.
    is_heard: bool,
    /// By what sessions are judged; other windows need nothing of it.
    time: Option<LogTime>,
    /// Records that open windows may still need, oldest first, each with its stamp (see [`crate::operator::merge`]).
    needed: VecDeque<(Moment, i64)>,
    /// Where records began whose pieces have not all been read, by sender.
    unfinished: HashMap<u32, Moment>,
}

impl Input {
    /// The place of the record at `position`, which is the next one.
    fn moment(&self, position: Position) -> Moment {
        match &self.time {
            Some(time) => time.moment(position),
            None => Moment { position, watermark: i64::MIN, heard_from: position },
        }
    }

    /// Whether a record may hold part of an open window.
    fn is_judged(&self, start: Position) -> bool {
        self.time.as_ref().is_none_or(|time| time.is_judged(start))
    }

    /// Takes in the watermarks of a record, unless the last owner's commit already had what it says.
    fn hear(&mut self, partials: &Partials, start: Position) {
        let is_known = start < self.replay_until && self.is_heard;
        if !is_known {
            self.watermarks.hear(partials.sender, partials.senders, &partials.watermarks, start);
        }
        if let Some(time) = &mut self.time {
            time.hear(partials, start, self.position);
        }
    }

    /// Takes in watermarks from before a reset to `to`: what was judged by right ones is judged alike again.
    fn hear_until(&mut self, partials: &Partials, start: Position, to: i64) {
        if let Some(time) = &mut self.time {
            let limited = partials.watermarks.iter().map(|(split, time)| (split.clone(), time.at_most(Watermark(to))));
            let partials = Partials { watermarks: Arc::new(limited.collect()), batch: None, ..*partials };
            time.hear(&partials, start, self.position);
        }
    }

    /// Notes that open windows may need a record that begins at `from`.
    fn need(&mut self, from: Moment, stamp: i64) {
        // A record in pieces may have begun before one that was whole first.
        let at = self.needed.partition_point(|(moment, _)| moment.position <= from.position);
        self.needed.insert(at, (from, stamp));
    }

    /// The earliest record that the next owner has to judge again.
    fn judged_from(&self) -> Moment {
        let needed = self.needed.front().map(|(moment, _)| moment);
        let all = needed.into_iter().chain(self.unfinished.values()).copied();
        all.fold(self.moment(self.position), |one, other| if other.position < one.position { other } else { one })
    }
}

/// The state of the stage.
pub(super) struct WindowsBody {
    inputs: BTreeMap<SplitId, Input>,
    query: ClosedQuery,
    output: Output,
    partial: Option<(PartialAggregate, Partitioner)>,
    /// Where an exchange's windows have early results.
    cuts: Option<Cuts>,
    /// What goes to the exchange with the next commit.
    unsent: Vec<(ExchangeId, u32, Partials)>,
    /// Every window that ends at or before this has been given out.
    closed_through: i64,
    /// The watermark that all senders together have reported; ahead of `closed_through` while windows are being closed.
    watermark: i64,
    /// What they had reported to the last owner: restored when the replay is over.
    expected: i64,
    rows_per_advance: usize,
}

impl WindowsBody {
    pub(super) fn recover(
        context: &Context,
        exchanges: &[ExchangeInput],
        last: &CommitRecord,
        source: &mut dyn Source,
    ) -> Result<Self> {
        let budget = context.budget.divided(exchanges.len());
        let closed_through = last.closed_through.unwrap_or(i64::MIN);
        let mut all_inputs = BTreeMap::new();
        let mut merges = Vec::new();
        for (merge, input) in exchanges.iter().enumerate() {
            for partition in own_partitions(context) {
                let split = exchange_split(&input.aggregate.exchange, partition);
                let from = last.replay_from.get(&split).or(last.positions.get(&split)).copied().unwrap_or_default();
                source.assign(&split, from)?;
                let replay_until = last.positions.get(&split).copied().unwrap_or_default();
                let heard = last.heard.get(&split);
                let (watermarks, is_heard) = (heard.cloned().unwrap_or_default(), heard.is_some());
                let (needed, unfinished) = (VecDeque::new(), HashMap::new());
                let (position, reset) = (from, last.resets.get(&split).copied());
                let judged = last.judged.get(&split).copied();
                let time = input.aggregate.spec.is_session().then(|| LogTime::new(from, judged, heard));
                let input =
                    Input { merge, position, replay_until, watermarks, reset, is_heard, time, needed, unfinished };
                all_inputs.insert(split, input);
            }
            let aggregate = Arc::clone(&input.aggregate);
            let merge = WindowMerge::new(aggregate, closed_through, context.n_partitions, &budget)?;
            merges.push((Arc::clone(&input.placeholder), merge));
        }
        let [branch] = context.branches() else {
            return Err(Error::internal(format!("task `{}`: a stage over windows has one branch", context.name)));
        };
        let partial = match &branch.output {
            Output::Sink(_) | Output::Local(_) => None,
            Output::Exchange(aggregate) => {
                let partitioner = Partitioner::new(aggregate, context.n_partitions);
                Some((PartialAggregate::new(Arc::clone(aggregate), &budget)?, partitioner))
            }
        };
        let query = ClosedQuery::new(
            merges,
            branch.plan.clone(),
            branch.window_by_window,
            branch.on_error.clone(),
            &context.budget,
        )
        .with_rows_per_advance(context.rows_per_advance)
        .resumed(closed_through, last.partly_closed)
        .with_early(branch.early.as_ref(), last.expected.unwrap_or(i64::MIN).max(closed_through));
        Ok(Self {
            inputs: all_inputs,
            query,
            output: branch.output.clone(),
            cuts: partial.as_ref().and_then(|_| Cuts::of(&context.dataflow)),
            partial,
            unsent: Vec::new(),
            closed_through,
            watermark: closed_through,
            expected: last.expected.unwrap_or(i64::MIN),
            rows_per_advance: context.rows_per_advance,
        })
    }

    pub(super) fn step(&mut self, context: &mut Context, polled: Polled) -> Result<Step> {
        if let Polled::Data(fetched) = polled {
            self.merge(context, fetched)?;
            self.combine_watermarks();
            self.advance(context)?;
            return Ok(Step::Worked(1));
        }
        // After a recovery the last owner's watermark may be the only one.
        self.combine_watermarks();
        match (self.is_behind(), self.closed_through) {
            (true, _) => Ok(Step::Worked(0)),
            (false, i64::MAX) => Ok(Step::Ended),
            (false, _) => Ok(Step::Idle),
        }
    }

    fn merge(&mut self, context: &mut Context, fetched: Fetched) -> Result<()> {
        let Fetched { split, start, next, payload, .. } = fetched;
        let input = self
            .inputs
            .get_mut(&split)
            .ok_or_else(|| Error::internal(format!("task `{}`: split `{split}` was never assigned", context.name)))?;
        assert!(input.position <= start && start <= next, "positions only grow");
        let moment = input.moment(start);
        input.position = next;
        let partials = match payload {
            Payload::Partials(partials) => partials,
            Payload::Nothing => return Ok(()),
            Payload::Piece { sender } => {
                input.unfinished.entry(sender).or_insert(moment);
                return Ok(());
            }
            // Nothing needs it: a commit names the earliest record that is unfinished or needed.
            Payload::Remnant if start < input.replay_until => return Ok(()),
            Payload::Remnant => {
                return Err(Error::internal(format!("split `{split}`: the record at {} has no beginning", start.0)));
            }
            Payload::Bytes(_) | Payload::Batch(_) => return Err(Error::internal("an exchange gave rows")),
        };
        let began = input.unfinished.remove(&partials.sender).unwrap_or(moment);
        // A flush that was cut: its watermarks come with its last piece. A sender that truly has no splits has no rows either.
        let is_piece = partials.batch.is_some() && partials.watermarks.is_empty();
        let is_wrong = input.reset.is_some_and(|reset| start < reset.written_until);
        match input.reset.filter(|_| is_wrong) {
            _ if is_piece => {}
            None => input.hear(&partials, start),
            Some(reset) => input.hear_until(&partials, start, reset.to),
        }
        let is_given_up = input.reset.is_some_and(|reset| start < reset.read_until);
        if let (Some(batch), false, true) = (&partials.batch, is_given_up, input.is_judged(start)) {
            input.need(began, self.query.window(input.merge).stamp(batch));
            let left_out = self.query.merge(input.merge, batch, Some(&split), moment.watermark);
            let LeftOut { late_rows, dropped, dropped_rows } = left_out.map_err(|error| context.named(error))?;
            // What a replay leaves out was counted when it was first read.
            if input.replay_until <= start {
                if 0 < late_rows {
                    context.metrics.late_rows.inc_by(late_rows);
                    context.metrics.count_late_at_merge(behind(&partials.watermarks), late_rows);
                }
                context.note_dropped(dropped, dropped_rows);
            }
        }
        Ok(())
    }

    /// Combines the watermarks of the senders, unless a replay is running: a window must not close before its rows are back.
    fn combine_watermarks(&mut self) {
        if self.inputs.values().any(|input| input.position < input.replay_until) {
            return;
        }
        let combined = self.inputs.values_mut().map(|input| input.watermarks.combined()).min();
        self.watermark = self.watermark.max(self.expected).max(combined.unwrap_or(Watermark::MIN).0);
    }

    pub(super) fn limit_rows(&mut self, rows_max: usize) {
        self.query.limit_rows(rows_max.min(self.rows_per_advance));
    }

    /// Whether there are windows to close, or early results to give out, that did not fit into the last advance.
    pub(super) fn is_behind(&self) -> bool {
        self.query.is_behind(self.query.goal(self.watermark)) || self.query.is_early_due(self.watermark)
    }

    /// Closes windows up to the watermark, and then gives out early results, as many as one advance may hold.
    pub(super) fn advance(&mut self, context: &mut Context) -> Result<()> {
        if self.query.is_early_due(self.watermark) {
            return self.give_early(context);
        }
        let through = self.query.goal(self.watermark);
        if !self.query.is_behind(through) {
            return Ok(());
        }
        let closed = self.query.advance(through)?;
        context.metrics.windows_closed.inc_by(closed.n_windows);
        self.closed_through = closed.reached;
        let dataflow = Arc::clone(&context.dataflow);
        apply_to_results(context, &dataflow.stages[context.stage].branches[0].on_error, closed.failures)?;
        for batch in closed.rows {
            match (&self.output, &mut self.partial) {
                (Output::Sink(name), _) => context.rows.push((Arc::clone(name), batch)),
                (Output::Exchange(_), Some((partial, _))) => {
                    partial.process(&batch)?;
                }
                (Output::Exchange(_) | Output::Local(_), _) => {
                    return Err(Error::internal("an exchange without its aggregate"));
                }
            }
        }
        if self.cuts.as_mut().is_some_and(|cuts| cuts.is_passed(closed.reached)) {
            self.give_up_partials(context)?;
        }
        Ok(())
    }

    /// Makes partials of what has been closed; gives the watermark that goes with them.
    fn give_up_partials(&mut self, context: &Context) -> Result<Option<Arc<BTreeMap<SplitId, SplitTime>>>> {
        let (Output::Exchange(aggregate), Some((partial, partitioner))) = (&self.output, &mut self.partial) else {
            return Ok(None);
        };
        // What this stage has closed through is what the next one may expect: its rows lie just before their windows' ends.
        let own = SplitId::from(&*context.name);
        let watermarks = Arc::new(BTreeMap::from([(own, SplitTime::Active(Watermark(self.closed_through)))]));
        for (partition, batch) in partitioner.split(partial.flush()?)?.into_iter().enumerate() {
            if let Some(partials) = context.partials(0, batch) {
                let partials = Partials { watermarks: Arc::clone(&watermarks), ..partials };
                self.unsent.push((aggregate.exchange.clone(), partition as u32, partials));
            }
        }
        Ok(Some(watermarks))
    }

    fn give_early(&mut self, context: &mut Context) -> Result<()> {
        let Output::Sink(sink) = &self.output else { return Err(Error::internal("early results for an exchange")) };
        for rows in self.query.give_early(self.watermark)? {
            context.metrics.early_rows.inc_by(rows.num_rows() as u64);
            context.rows.push((Arc::clone(sink), rows));
        }
        Ok(())
    }

    pub(super) fn flush(&mut self, context: &Context) -> Result<Flushed> {
        let reported = self.give_up_partials(context)?;
        let partly_closed = self.query.partly_closed();
        let mut record = CommitRecord {
            closed_through: Some(self.closed_through),
            partly_closed,
            expected: Some(self.watermark.max(self.expected)),
            ..CommitRecord::default()
        };
        for (split, input) in &mut self.inputs {
            let window = self.query.window(input.merge);
            // The rows of a window that is partly given out are needed until the last part.
            while partly_closed.is_none() && input.needed.front().is_some_and(|(_, stamp)| !window.needs(*stamp)) {
                input.needed.pop_front();
            }
            let judged_from = input.judged_from();
            let replay_from = judged_from.heard_from;
            if input.time.is_some() {
                let Moment { position: from, watermark, .. } = judged_from;
                record.judged.insert(split.clone(), Judged { from, watermark });
            }
            record.heard.insert(split.clone(), input.watermarks.clone());
            // In the middle of a replay the last owner's commit still says how far everything else has come.
            record.positions.insert(split.clone(), input.position.max(input.replay_until));
            record.replay_from.insert(split.clone(), replay_from);
            input.reset = input.reset.filter(|reset| replay_from < reset.written_until);
            record.resets.extend(input.reset.map(|reset| (split.clone(), reset)));
        }
        Ok(Flushed { partials: std::mem::take(&mut self.unsent), record, watermarks: reported })
    }
}

/// The split that is furthest behind of those whose rows a sender has: what was late as a partial came from one that had been idle. A record
/// that was cut has watermarks in its last piece only.
fn behind(watermarks: &BTreeMap<SplitId, SplitTime>) -> &str {
    let active = watermarks.iter().filter_map(|(split, time)| match time {
        SplitTime::Active(watermark) if *watermark != Watermark::END => Some((watermark, split)),
        SplitTime::Active(_) | SplitTime::Idle(_) => None,
    });
    active.min().map_or("unknown", |(_, split)| &split.0)
}

/// The partitions of every exchange that a task reads.
fn own_partitions(context: &Context) -> impl Iterator<Item = u32> {
    let n_tasks = context.n_tasks[context.stage].max(1) as usize;
    (context.index..context.n_partitions).step_by(n_tasks)
}
