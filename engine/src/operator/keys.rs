//! How many keys open windows may have (`max_keys`), and which keys those are.
//!
//! In: the partials of an exchange's partition in the order of its log, or the rows of a source's split in their order. Out: those whose
//! key is in its window already, or for which there is room. Each partition has a share of its own: the order within one is what a replay
//! reads again, the order across them is not. All partials of an open window are read again, so the same keys are in.
//!
//! Of tumbling and hopping windows, the limit is one of each pane. Of sessions, it is one of all that are open; which keys those were
//! depends on sessions that have closed and that a replay does not bring back, so there it can only be a failure ([`Overflow::Fail`]).
//!
//! Keys are known by hashes of 64 bits, so that they may be spilled: two keys with the same hash count as one (among a million keys, with
//! a chance of 1 in 30 million), and then there is one key more than the limit.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;

use super::partial::{EVENT_TIME, WATERMARK, WindowedAggregate};
use super::partition::KeyHashes;
use super::window::session::event_times;
use super::window::spec::{WindowSpec, floor};
use crate::error::{Diagnostic, Error, Result};
use crate::log::SplitId;
use crate::plan::{KeyLimit, Overflow};
use crate::time::format_ns;

/// Hashes are spread well already. Keys of one partition agree in low bits, by which a hash table would choose its buckets.
#[derive(Default)]
struct Rotated(u64);

impl Hasher for Rotated {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = (self.0 ^ hash).rotate_right(32);
    }
}

type Hashed = BuildHasherDefault<Rotated>;

/// The keys of one split.
#[derive(Default)]
struct Known {
    /// By the start of their pane.
    panes: BTreeMap<i64, HashSet<u64, Hashed>>,
    /// Those of sessions, with the end of the last one.
    sessions: HashMap<u64, i64, Hashed>,
}

impl Known {
    /// Whether a key may be in a pane of at most `share` keys.
    fn admit_to_pane(&mut self, pane: i64, hash: u64, share: usize) -> bool {
        let keys = self.panes.entry(pane).or_default();
        if share <= keys.len() {
            return keys.contains(&hash);
        }
        keys.insert(hash);
        true
    }

    /// Whether there are at most `share` keys with sessions that have not closed, with one that ends at `end`.
    fn admit_session(&mut self, hash: u64, end: i64, closed_through: i64, share: usize) -> bool {
        if end <= closed_through {
            return true;
        }
        let latest = self.sessions.entry(hash).or_insert(end);
        *latest = end.max(*latest);
        if share < self.sessions.len() {
            self.sessions.retain(|_, end| closed_through < *end);
        }
        self.sessions.len() <= share
    }

    fn size(&self) -> usize {
        // A table is at most seven eighths full, and has a byte more per place.
        let panes: usize = self.panes.values().map(|keys| keys.capacity() * (size_of::<u64>() + 1) * 8 / 7).sum();
        panes + self.sessions.capacity() * (size_of::<(u64, i64)>() + 1) * 8 / 7
    }
}

/// Where a row belongs.
#[derive(Clone, Copy)]
enum Place {
    /// It is late: what becomes of it does not depend on its key.
    Late,
    /// A pane key (see [`WindowSpec::pane_key`]).
    Pane(i64),
    /// The earliest end of its session.
    Session(i64),
}

/// What was left out.
#[derive(Debug, Default)]
pub struct Dropped {
    /// Which rows, or partials, of the batch.
    pub rows: Vec<u32>,
    /// How many keys of panes they have.
    pub n_keys: u64,
    /// Of each pane that is incomplete from now on, a sentence.
    pub notices: Vec<String>,
}

pub(super) struct KeyGuard {
    limit: KeyLimit,
    /// Of each split.
    share: usize,
    aggregate: Arc<WindowedAggregate>,
    of_partials: KeyHashes,
    of_rows: KeyHashes,
    known: HashMap<SplitId, Known>,
    /// Every window that ends at or before this has been given out.
    closed_through: i64,
    /// Panes of which keys were left out, with the least pane key (see [`WindowSpec::pane_key`]) of those.
    incomplete: BTreeMap<i64, i64>,
}

impl KeyGuard {
    /// For windows whose keys are spread over `n_splits`; `None` where there is no limit.
    pub(super) fn new(aggregate: &Arc<WindowedAggregate>, closed_through: i64, n_splits: u32) -> Option<Self> {
        let limit = aggregate.key_limit.clone()?;
        let (first, n_keys) = (aggregate.keys_from(), aggregate.layout.keys.len());
        let n_splits = if aggregate.spread.is_empty() { 1 } else { n_splits };
        Some(Self {
            share: limit.share(n_splits),
            limit,
            of_partials: KeyHashes::new((first..first + n_keys).collect()),
            of_rows: KeyHashes::new((0..n_keys).collect()),
            aggregate: Arc::clone(aggregate),
            known: HashMap::new(),
            closed_through,
            incomplete: BTreeMap::new(),
        })
    }

    pub(super) fn size(&self) -> usize {
        self.known.values().map(Known::size).sum()
    }

    /// Admits partials of a split, of which none is late.
    pub(super) fn admit_partials(
        &mut self,
        batch: &RecordBatch,
        split: &SplitId,
    ) -> Result<Option<(RecordBatch, Dropped)>> {
        let spec = self.aggregate.spec;
        let times = |column: usize| batch.column(column).as_primitive::<Int64Type>().values().iter();
        let places: Vec<Place> = match spec {
            WindowSpec::Hop { .. } => times(0).map(|pane| Place::Pane(*pane)).collect(),
            WindowSpec::Session(_) => times(1).map(|last| Place::Session(spec.last_end(*last))).collect(),
        };
        let hashes = self.of_partials.of(batch)?;
        self.admit(batch, split, &places, &hashes)
    }

    /// Admits rows of a split, `keys…, …, __event_time[, __watermark]`.
    pub(super) fn admit_rows(
        &mut self,
        batch: &RecordBatch,
        split: &SplitId,
    ) -> Result<Option<(RecordBatch, Dropped)>> {
        let spec = self.aggregate.spec;
        let watermarks = batch.column_by_name(WATERMARK).map(|column| column.as_primitive::<Int64Type>().values());
        let place = |(row, time): (usize, i64)| {
            let watermark = watermarks.map_or(i64::MIN, |watermarks| watermarks[row]);
            match spec {
                _ if spec.is_late(time, watermark) => Place::Late,
                WindowSpec::Hop { .. } => Place::Pane(spec.pane_key(time, watermark)),
                WindowSpec::Session(_) => Place::Session(spec.last_end(time)),
            }
        };
        let places: Vec<Place> = event_times(batch, EVENT_TIME)?.into_iter().enumerate().map(place).collect();
        let hashes = self.of_rows.of(batch)?;
        self.admit(batch, split, &places, &hashes)
    }

    /// The rows that are in, and what is known of the others; `None` where all are in.
    fn admit(
        &mut self,
        batch: &RecordBatch,
        split: &SplitId,
        places: &[Place],
        hashes: &[u64],
    ) -> Result<Option<(RecordBatch, Dropped)>> {
        let mut known = self.known.remove(split).unwrap_or_default();
        let mut dropped = Dropped::default();
        let mut keys: HashSet<(i64, u64)> = HashSet::new();
        for (row, (place, hash)) in places.iter().zip(hashes).enumerate() {
            match *place {
                Place::Late => {}
                Place::Session(end) => {
                    if !known.admit_session(*hash, end, self.closed_through, self.share) {
                        return Err(self.overflow(split, "open sessions"));
                    }
                }
                Place::Pane(pane_key) => {
                    let pane = floor(pane_key, self.aggregate.spec.pane_width());
                    let is_over = self.aggregate.spec.last_end(pane) <= self.closed_through;
                    if is_over || known.admit_to_pane(pane, *hash, self.share) {
                        continue;
                    }
                    if self.limit.overflow == Overflow::Fail {
                        return Err(self.overflow(split, &self.pane_in_words(pane)));
                    }
                    dropped.rows.push(row as u32);
                    keys.insert((pane, *hash));
                    if !self.incomplete.contains_key(&pane) {
                        dropped.notices.push(self.notice(split, pane));
                    }
                    let least = self.incomplete.entry(pane).or_insert(pane_key);
                    *least = pane_key.min(*least);
                }
            }
        }
        self.known.insert(split.clone(), known);
        if dropped.rows.is_empty() {
            return Ok(None);
        }
        dropped.n_keys = keys.len() as u64;
        let mut is_in = vec![true; batch.num_rows()];
        dropped.rows.iter().for_each(|row| is_in[*row as usize] = false);
        Ok(Some((filter_record_batch(batch, &BooleanArray::from(is_in))?, dropped)))
    }

    /// Whether no key was left out of the window that ends at `end`; there may be no such window.
    pub(super) fn is_complete(&self, end: i64) -> bool {
        let spec = self.aggregate.spec;
        let WindowSpec::Hop { slide, width } = spec else { return true };
        let start = end.saturating_sub(width);
        let is_window = floor(start, slide) == start;
        !(is_window && self.incomplete.range(start..end).any(|(_, least)| spec.is_for(*least, end)))
    }

    /// Forgets the panes of windows that have all closed.
    pub(super) fn drop_through(&mut self, through: i64) {
        self.closed_through = through;
        let is_open = |pane: i64| through < self.aggregate.spec.last_end(pane);
        self.incomplete.retain(|pane, _| is_open(*pane));
        for known in self.known.values_mut() {
            known.panes.retain(|pane, _| is_open(*pane));
        }
    }

    fn pane_in_words(&self, pane: i64) -> String {
        let spec = self.aggregate.spec;
        let what = if spec.is_tumbling() { "window" } else { "pane" };
        format!("{what} [{}, {})", format_ns(pane), format_ns(pane.saturating_add(spec.pane_width())))
    }

    fn more_keys(&self, split: &SplitId, place: &str) -> String {
        let KeyLimit { max_keys, table, .. } = &self.limit;
        let (exchange, share) = (&self.aggregate.exchange.0, self.share);
        format!(
            "{} in `{exchange}`: {place}: more than {share} keys in `{split}`, its share of max_keys = {max_keys} of table \
             `{table}`",
            self.aggregate.spec
        )
    }

    fn notice(&self, split: &SplitId, pane: i64) -> String {
        format!("{}; rows of new keys are left out", self.more_keys(split, &self.pane_in_words(pane)))
    }

    fn overflow(&self, split: &SplitId, place: &str) -> Error {
        let hint = match self.aggregate.spec {
            WindowSpec::Hop { .. } => {
                "raise max_keys and run again, or say overflow = 'drop_new', or use shorter windows or fewer keys"
            }
            WindowSpec::Session(_) => "raise max_keys and run again, or use a shorter gap or fewer keys",
        };
        Error::Data(Box::new(Diagnostic {
            message: self.more_keys(split, place),
            location: None,
            subject: None,
            hint: Some(hint.to_owned()),
        }))
    }
}
