//! Sessions of which some do not fit into memory.
//!
//! They lie on the disk in runs, each in the order of the ranks of its keys (see [`crate::operator::order`]). What has to be done to all
//! of them is done range by range of the ranks, over all runs at once: so the memory depends on neither how many there are nor how many close. What stays open goes
//! into new runs.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};

use super::super::runs::Run as Session;
use super::shape::{Joined, Shape};
use super::{Edges, SessionMerge};
use crate::error::Result;
use crate::operator::merge::{Window, session_rows};
use crate::operator::order::KeyOrder;
use crate::operator::partial::WindowedAggregate;
use crate::operator::run::{Cursor, Limits, Run, Start, end_of_step, rows_per_chunk, starts_of};
use crate::operator::spill::Budget;

/// What is on the disk.
#[derive(Default)]
pub(super) struct SpilledRuns {
    runs: Vec<SpilledRun>,
    pub(super) edges: Edges,
}

#[derive(Clone)]
struct SpilledRun {
    run: Arc<Run>,
    /// The ranks whose rows are in memory again.
    recalled: HashSet<u64>,
}

impl SpilledRuns {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(super) fn add(&mut self, run: Run, edges: Edges) {
        self.runs.push(SpilledRun { run: Arc::new(run), recalled: HashSet::new() });
        self.edges = self.edges.with(edges);
    }

    pub(super) fn memory_size(&self) -> usize {
        self.runs.iter().map(|spilled| spilled.recalled.capacity() * size_of::<u64>()).sum()
    }

    /// Takes the rows with these ranks.
    pub(super) fn recall(&mut self, ranks: &BTreeSet<u64>, order: &mut KeyOrder) -> Result<Vec<RecordBatch>> {
        let mut rows = Vec::new();
        for SpilledRun { run, recalled } in &mut self.runs {
            let mut cursor = Cursor::new(Arc::clone(run));
            for rank in ranks {
                if recalled.insert(*rank) {
                    rows.extend(cursor.take(*rank, *rank, order)?);
                }
            }
        }
        Ok(rows)
    }
}

/// Where a run has been read to.
struct Reader {
    cursor: Cursor,
    recalled: HashSet<u64>,
}

impl Reader {
    fn of(spilled: &SpilledRun) -> Self {
        Self { cursor: Cursor::new(Arc::clone(&spilled.run)), recalled: spilled.recalled.clone() }
    }

    /// Of rows in memory.
    fn of_kept(batches: &[RecordBatch], order: &mut KeyOrder, budget: &Budget) -> Result<Option<Self>> {
        let Some(first) = batches.first() else { return Ok(None) };
        let batch = concat_batches(&first.schema(), batches)?;
        let n_rows = rows_per_chunk(budget, &batch);
        let run = Run::kept(&order.sort(batch)?, n_rows)?;
        Ok(Some(Self { cursor: Cursor::new(Arc::new(run)), recalled: HashSet::new() }))
    }

    fn take(&mut self, from: u64, last: u64, order: &mut KeyOrder) -> Result<Vec<RecordBatch>> {
        let mut rows = self.cursor.take(from, last, order)?;
        if !self.recalled.is_empty() {
            for batch in &mut rows {
                let ranks = order.ranks(batch)?;
                let are_left: BooleanArray = ranks.iter().map(|rank| Some(!self.recalled.contains(rank))).collect();
                *batch = filter_record_batch(batch, &are_left)?;
            }
        }
        Ok(rows)
    }
}

/// Which sessions are given out.
enum Wanted {
    /// Those whose window ends in `(after, through]`. All others that end later stay.
    Closed { after: i64, through: i64, rest: Box<SessionMerge> },
    /// Those with these windows, as they are so far.
    Open(BTreeSet<Window>),
}

/// Sessions that are given out range by range.
pub(in crate::operator) struct SpilledSessions {
    aggregate: Arc<WindowedAggregate>,
    shape: Arc<Shape>,
    readers: Vec<Reader>,
    wanted: Wanted,
    order: KeyOrder,
    memory: MemoryReservation,
}

impl SpilledSessions {
    /// Of each run.
    pub(in crate::operator) fn starts(&self) -> Vec<&[Start]> {
        self.readers.iter().map(|reader| reader.cursor.starts()).collect()
    }

    /// Whether every range has to be taken, because what stays open is gathered.
    pub(in crate::operator) fn has_rest(&self) -> bool {
        matches!(self.wanted, Wanted::Closed { .. })
    }

    /// The sessions of the keys with a rank in `from..=last`; ranks before `from` cannot be taken any more.
    pub(in crate::operator) fn take(&mut self, from: u64, last: u64) -> Result<Option<RecordBatch>> {
        let joined = self.join(from, last)?;
        let limits = self.shape.limits;
        let size = joined.batch.get_array_memory_size();
        let sessions = joined.sorted.runs.iter();
        let given: Vec<Session> = match &mut self.wanted {
            Wanted::Closed { after, through, rest } => {
                self.memory.try_resize(size + rest.size())?;
                let (closed, open): (Vec<Session>, Vec<Session>) =
                    sessions.partition(|session| session.end(limits) <= *through);
                rest.keep_merged(&joined, &open)?;
                rest.spill()?;
                closed.into_iter().filter(|session| *after < session.end(limits)).collect()
            }
            Wanted::Open(windows) => {
                self.memory.try_resize(size)?;
                sessions.filter(|session| windows.contains(&Window::of(session, limits))).copied().collect()
            }
        };
        let rows = self.shape.closed(&joined, given)?;
        let rows = rows.map(|rows| session_rows(&self.aggregate, rows)).transpose();
        self.memory.try_resize(self.rest_size())?;
        rows
    }

    fn rest_size(&self) -> usize {
        match &self.wanted {
            Wanted::Closed { rest, .. } => rest.size(),
            Wanted::Open(_) => 0,
        }
    }

    fn join(&mut self, from: u64, last: u64) -> Result<Joined> {
        let mut batches = Vec::new();
        for reader in &mut self.readers {
            batches.extend(reader.take(from, last, &mut self.order)?);
        }
        self.shape.join(&batches)
    }

    /// After the last range: what stays open.
    pub(in crate::operator) fn into_rest(self) -> Option<SessionMerge> {
        match self.wanted {
            Wanted::Closed { rest, .. } => Some(*rest),
            Wanted::Open(_) => None,
        }
    }
}

impl SessionMerge {
    /// Gives out the sessions whose window ends in `(after, through]`. Until [`SpilledSessions::into_rest`] comes back, nothing is open.
    pub(super) fn close_spilled(&mut self, after: i64, through: i64) -> Result<SpilledSessions> {
        let rest = Box::new(self.fresh());
        let sessions = self.spilled(Wanted::Closed { after, through, rest })?;
        *self = self.fresh();
        Ok(sessions)
    }

    /// The sessions with these windows, as they are so far.
    pub(super) fn open_spilled(&mut self, windows: BTreeSet<Window>) -> Result<SpilledSessions> {
        self.spilled(Wanted::Open(windows))
    }

    /// The windows of the sessions that partial sessions (`__first, __last, keys…`) have become part of, of those that end after `after`.
    pub(super) fn windows_of_spilled(&mut self, after: i64, partials: &[RecordBatch]) -> Result<BTreeSet<Window>> {
        let mut sessions = self.spilled(Wanted::Open(BTreeSet::new()))?;
        let Some(mut partials) = Reader::of_kept(partials, &mut self.order, &self.budget)? else {
            return Ok(BTreeSet::new());
        };
        let mut starts = starts_of(&sessions.starts());
        let limits = Limits { n_rows: usize::MAX, n_bytes: self.budget.state_bytes };
        let mut windows = BTreeSet::new();
        let mut from = 0;
        loop {
            let last = end_of_step(&starts, from, limits);
            let joined = sessions.join(from, last)?;
            let changed = partials.take(from, last, &mut self.order)?;
            windows.extend(self.shape.open(joined, after).windows_of(&changed)?);
            let Some(next) = last.checked_add(1) else { return Ok(windows) };
            starts.drain(..starts.partition_point(|start| start.rank <= last));
            from = next;
        }
    }

    fn spilled(&mut self, wanted: Wanted) -> Result<SpilledSessions> {
        let mut readers: Vec<Reader> = self.on_disk.runs.iter().map(Reader::of).collect();
        readers.extend(Reader::of_kept(&self.open, &mut self.order, &self.budget)?);
        let name = format!("part of window `{}`", self.aggregate.exchange.0);
        Ok(SpilledSessions {
            aggregate: Arc::clone(&self.aggregate),
            shape: Arc::clone(&self.shape),
            readers,
            wanted,
            order: KeyOrder::of_sessions(&self.aggregate),
            memory: MemoryConsumer::new(name).register(self.budget.pool()),
        })
    }
}
