//! Stage 1 of a windowed aggregate: rows to partials, one per (pane, key), given up at every commit.
//!
//! In: `keys…, arguments…, __event_time[, __watermark][, __row]`, rows in any order.
//! Out, at a flush: the window's partial schema. Between flushes it holds one group per (pane, key); after one, nothing.
//! Late rows are left out and counted; the caller gets their `__row`.
//!
//! Where nearly every row has a key of its own, looking for groups costs and saves nothing: then rows pass as partials of themselves
//! for a while (see [`Bypass`]). Stage 2 treats both alike.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type, SchemaRef, UInt32Type};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};

use super::float::with_canonical_columns;
use super::spill::{Budget, ROWS_PER_STEP};
use super::window::pane::{AggregateCall, GroupLayout, GroupStates};
use super::window::session::{SessionPartial, event_times, partial_schema};
use super::window::spec::{WindowSpec, floor};
use crate::error::Result;
use crate::log::ExchangeId;
use crate::plan::KeyLimit;

/// The event time of a row, `Timestamp(Nanosecond)`, never null.
pub const EVENT_TIME: &str = "__event_time";
/// The watermark that held before a row, `Int64` nanoseconds.
pub const WATERMARK: &str = "__watermark";
/// The row's number in its decoded batch, `UInt32`; only where late rows are kept.
pub const ROW: &str = "__row";
/// A row's pane key (see [`WindowSpec::pane_key`]), `Int64` nanoseconds.
const PANE: &str = "__pane";

/// A windowed aggregate as planned: what both its stages need to know.
#[derive(Debug)]
pub struct WindowedAggregate {
    /// The log between its two stages.
    pub exchange: ExchangeId,
    /// A hash of the query below it and of its calls.
    pub described: u64,
    pub spec: WindowSpec,
    /// The query's keys and aggregates.
    pub layout: Arc<GroupLayout>,
    /// The rows of a closed window as the rest of the query sees them: group columns, then aggregates.
    pub output_schema: SchemaRef,
    /// What the columns of `output_schema` are called in the query, without qualifiers.
    pub output_names: Vec<String>,
    /// Which keys, by their index in the layout, decide where in the exchange a partial goes. None: all go to the first partition,
    /// since the query above brings all rows of a window together.
    pub spread: Vec<usize>,
    /// How many keys a window may have.
    pub key_limit: Option<KeyLimit>,
    /// Which column of `output_schema` is the window; `None` when the query groups by it without selecting it.
    pub window_index: usize,
}

impl WindowedAggregate {
    /// The layout of stage 1, which groups by the pane too.
    fn paned_layout(&self) -> Result<GroupLayout> {
        let pane: FieldRef = Arc::new(Field::new(PANE, DataType::Int64, false));
        let keys: Fields = std::iter::once(pane).chain(self.layout.keys.iter().cloned()).collect();
        GroupLayout::new(keys, Arc::clone(&self.layout.calls))
    }

    /// The schema of its partials.
    pub fn partial_schema(&self) -> Result<SchemaRef> {
        match self.spec {
            WindowSpec::Hop { .. } => Ok(self.paned_layout()?.partial_schema),
            WindowSpec::Session(_) => Ok(partial_schema(&self.layout)),
        }
    }

    /// Which column of its partials is the first key.
    pub(super) fn keys_from(&self) -> usize {
        match self.spec {
            WindowSpec::Hop { .. } => 1,
            WindowSpec::Session(_) => 2,
        }
    }

    /// Which columns of its partials decide where in the exchange they go.
    pub fn partition_columns(&self) -> Vec<usize> {
        self.spread.iter().map(|key| self.keys_from() + key).collect()
    }

    pub fn calls(&self) -> &[AggregateCall] {
        &self.layout.calls
    }
}

enum State {
    Panes { states: GroupStates, width: i64, schema: SchemaRef, bypass: Bypass },
    Sessions(SessionPartial),
}

/// Decides, flush by flush, whether rows are aggregated or pass.
#[derive(Debug, Default)]
struct Bypass {
    /// Rows aggregated since the last flush.
    n_rows: usize,
    /// Groups that became partials before the flush.
    n_groups: usize,
    /// Flushes that rows still pass for.
    flushes_left: u32,
    /// Rows that have passed since the last flush, and groups that became partials.
    passed: Vec<RecordBatch>,
}

impl Bypass {
    /// Fewer rows than this say nothing.
    const ROWS_MIN: usize = 10_000;
    /// For how many flushes rows pass before it is tried again.
    const FLUSHES: u32 = 16;

    /// What a flush of `n_groups` groups says of those to come: at nine groups for ten rows it is not worth looking.
    fn learn(&mut self, n_groups: usize) {
        let is_useless = Self::ROWS_MIN <= self.n_rows && 9 * self.n_rows <= 10 * n_groups;
        self.flushes_left = if is_useless { Self::FLUSHES } else { self.flushes_left.saturating_sub(1) };
        (self.n_rows, self.n_groups) = (0, 0);
    }

    fn is_on(&self) -> bool {
        0 < self.flushes_left
    }

    fn size(&self) -> usize {
        self.passed.iter().map(RecordBatch::get_array_memory_size).sum()
    }
}

pub struct PartialAggregate {
    aggregate: Arc<WindowedAggregate>,
    state: State,
    /// Beyond this, groups become partials before the flush: columns take a fraction of the memory that accumulators do.
    state_bytes: usize,
    memory: MemoryReservation,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Late {
    /// How many rows were late.
    pub n_rows: usize,
    /// Which, where the batch has `__row`.
    pub rows: Vec<u32>,
}

impl PartialAggregate {
    /// An empty operator that keeps to `budget`.
    pub fn new(aggregate: Arc<WindowedAggregate>, budget: &Budget) -> Result<Self> {
        let state = match aggregate.spec {
            WindowSpec::Hop { .. } => {
                let layout = Arc::new(aggregate.paned_layout()?);
                let schema = Arc::clone(&layout.partial_schema);
                let states = GroupStates::new(layout)?;
                State::Panes { states, width: aggregate.spec.pane_width(), schema, bypass: Bypass::default() }
            }
            WindowSpec::Session(limits) => State::Sessions(SessionPartial::new(&aggregate.layout, limits)?),
        };
        let memory =
            MemoryConsumer::new(format!("partial aggregate `{}`", aggregate.exchange.0)).register(budget.pool());
        Ok(Self { aggregate, state, state_bytes: budget.state_bytes / 4, memory })
    }

    pub fn process(&mut self, batch: &RecordBatch) -> Result<Late> {
        let times = event_times(batch, EVENT_TIME)?;
        let canonical = with_canonical_columns(batch, self.aggregate.layout.keys.len())?;
        let batch = canonical.as_ref().unwrap_or(batch);
        let (late, kept) = self.split_late(batch, &times)?;
        match kept {
            Some((batch, times)) => self.aggregate_rows(batch, &times)?,
            None => self.aggregate_rows(batch.clone(), &times)?,
        }
        self.memory.try_resize(self.size())?;
        Ok(late)
    }

    /// How many bytes it holds.
    pub fn size(&self) -> usize {
        match &self.state {
            State::Panes { states, bypass, .. } => states.size() + bypass.size(),
            State::Sessions(sessions) => sessions.size(),
        }
    }

    /// Separates late rows; the second part is `None` when there are none.
    #[expect(clippy::type_complexity, reason = "a pair used once, just above")]
    fn split_late(&self, batch: &RecordBatch, times: &[i64]) -> Result<(Late, Option<(RecordBatch, Vec<i64>)>)> {
        let Some(watermarks) = batch.column_by_name(WATERMARK) else { return Ok((Late::default(), None)) };
        let watermarks = watermarks.as_primitive::<Int64Type>().values();
        let spec = self.aggregate.spec;
        let is_late = |row: usize| spec.is_late(times[row], watermarks[row]);
        if !(0..times.len()).any(is_late) {
            return Ok((Late::default(), None));
        }
        let mask: BooleanArray = (0..times.len()).map(|row| Some(!is_late(row))).collect();
        let rows = match batch.column_by_name(ROW) {
            Some(rows) => {
                let rows = rows.as_primitive::<UInt32Type>().values();
                (0..times.len()).filter(|&row| is_late(row)).map(|row| rows[row]).collect()
            }
            None => Vec::new(),
        };
        let late = Late { n_rows: mask.len() - mask.true_count(), rows };
        let kept_times = times.iter().zip(mask.values()).filter(|(_, kept)| *kept).map(|(time, _)| *time).collect();
        Ok((late, Some((filter_record_batch(batch, &mask)?, kept_times))))
    }

    fn aggregate_rows(&mut self, batch: RecordBatch, times: &[i64]) -> Result<()> {
        let spec = self.aggregate.spec;
        match &mut self.state {
            State::Panes { states, width, schema, bypass } => {
                let watermarks =
                    batch.column_by_name(WATERMARK).map(|column| column.as_primitive::<Int64Type>().values());
                let panes: Int64Array = match watermarks {
                    // Every window of a tumbling row is its last: what is not late is not partly late either.
                    Some(watermarks) if !spec.is_tumbling() => {
                        times.iter().zip(watermarks).map(|(time, watermark)| spec.pane_key(*time, *watermark)).collect()
                    }
                    _ => floors(times, *width),
                };
                let mut keys: Vec<ArrayRef> = vec![Arc::new(panes)];
                keys.extend_from_slice(&batch.columns()[..self.aggregate.layout.keys.len()]);
                // Without keys one group takes all.
                if bypass.is_on() && 1 < keys.len() && 0 < batch.num_rows() && states.may_pass() {
                    let partials = states.pass(&keys, &batch)?;
                    bypass.passed.push(RecordBatch::try_new(Arc::clone(schema), partials)?);
                    return Ok(());
                }
                bypass.n_rows += batch.num_rows();
                for begin in (0..batch.num_rows()).step_by(ROWS_PER_STEP) {
                    let n_rows = ROWS_PER_STEP.min(batch.num_rows() - begin);
                    let keys: Vec<ArrayRef> = keys.iter().map(|key| key.slice(begin, n_rows)).collect();
                    states.update(&keys, &batch.slice(begin, n_rows))?;
                    if self.state_bytes < states.size() {
                        bypass.n_groups += states.len();
                        bypass.passed.push(RecordBatch::try_new(Arc::clone(schema), states.emit_states()?)?);
                    }
                }
                Ok(())
            }
            State::Sessions(sessions) => {
                sessions.process(batch);
                Ok(())
            }
        }
    }

    /// Gives up all partials.
    pub fn flush(&mut self) -> Result<Option<RecordBatch>> {
        let batch = match &mut self.state {
            State::Panes { states, schema, bypass, .. } => {
                let mut batches = std::mem::take(&mut bypass.passed);
                bypass.learn(bypass.n_groups + states.len());
                if !states.is_empty() {
                    batches.push(RecordBatch::try_new(Arc::clone(schema), states.emit_states()?)?);
                }
                match batches.as_slice() {
                    [] => None,
                    [one] => Some(one.clone()),
                    several => Some(concat_batches(schema, several)?),
                }
            }
            State::Sessions(sessions) => sessions.flush(EVENT_TIME)?,
        };
        self.memory.free();
        Ok(batch)
    }
}

/// The pane of each row; rows of one pane come together, so the division is done once per run of them.
fn floors(times: &[i64], width: i64) -> Int64Array {
    let mut pane = i64::MIN;
    let mut end = i64::MIN;
    let in_pane = |time: &i64| {
        if *time < pane || end <= *time {
            pane = floor(*time, width);
            end = pane.saturating_add(width);
        }
        pane
    };
    times.iter().map(in_pane).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_pass_where_groups_do_not_reduce_them_and_it_is_tried_again() {
        // (rows, groups) per flush, and whether rows pass after it.
        let cases =
            [(Bypass::ROWS_MIN - 1, Bypass::ROWS_MIN - 1, false), (100_000, 80_000, false), (100_000, 90_000, true)];
        for (n_rows, n_groups, expected) in cases {
            let mut bypass = Bypass { n_rows, ..Bypass::default() };
            bypass.learn(n_groups);
            assert_eq!(bypass.is_on(), expected, "{n_rows} rows, {n_groups} groups");
        }
        let mut bypass = Bypass { n_rows: 100_000, ..Bypass::default() };
        bypass.learn(100_000);
        for _ in 0..Bypass::FLUSHES {
            assert!(bypass.is_on());
            bypass.learn(0);
        }
        assert!(!bypass.is_on(), "after some flushes it is tried again");
    }
}
