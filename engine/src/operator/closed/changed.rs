//! Which keys have new rows in open windows since early results were last given out.
//!
//! Keys are known by the hash of those columns by which the query goes, so a change in one of its aggregates also brings the rows of the
//! others with the same key. Two keys with one hash only cost a row that has not changed.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;

use crate::error::Result;
use crate::operator::merge::{Window, WindowMerge};
use crate::operator::partition::KeyHashes;
use crate::operator::window::spec::WindowSpec;

/// So many hashes are kept; beyond that, all keys of windows that have changed count as changed.
const HASHES_MAX: usize = 1 << 20;

pub(super) struct Changed {
    merges: Vec<OfMerge>,
    n_hashes: usize,
    /// The window that was filtered last, and the hashes of its keys.
    last: Option<(Window, HashSet<u64>)>,
}

struct OfMerge {
    placeholder: Arc<str>,
    spec: WindowSpec,
    of_partials: KeyHashes,
    of_closed: KeyHashes,
    panes: BTreeMap<i64, HashSet<u64>>,
}

impl Changed {
    /// For a query that goes by keys. Sessions are of a key as they are.
    pub(super) fn of(merges: &[(Arc<str>, WindowMerge)]) -> Option<Self> {
        let of_merge = |(placeholder, merge): &(Arc<str>, WindowMerge)| {
            let aggregate = merge.aggregate();
            let closed = |key: &usize| key + usize::from(aggregate.window_index <= *key);
            let goes_by_keys = !aggregate.spec.is_session() && !aggregate.spread.is_empty();
            goes_by_keys.then(|| OfMerge {
                placeholder: Arc::clone(placeholder),
                spec: aggregate.spec,
                of_partials: KeyHashes::new(aggregate.partition_columns()),
                of_closed: KeyHashes::new(aggregate.spread.iter().map(closed).collect()),
                panes: BTreeMap::new(),
            })
        };
        let merges = merges.iter().map(of_merge).collect::<Option<Vec<_>>>()?;
        Some(Self { merges, n_hashes: 0, last: None })
    }

    /// Notes the keys of partials, whose first column is the pane.
    pub(super) fn note(&mut self, merge: usize, partials: &RecordBatch) -> Result<()> {
        if HASHES_MAX < self.n_hashes {
            return Ok(());
        }
        let of_merge = &mut self.merges[merge];
        let hashes = of_merge.of_partials.of(partials)?;
        for (pane, hash) in partials.column(0).as_primitive::<Int64Type>().values().iter().zip(hashes) {
            self.n_hashes += usize::from(of_merge.panes.entry(*pane).or_default().insert(hash));
        }
        Ok(())
    }

    /// The rows of a window's keys that have changed.
    pub(super) fn filter(&mut self, window: Window, placeholder: &str, rows: &RecordBatch) -> Result<RecordBatch> {
        if HASHES_MAX < self.n_hashes {
            return Ok(rows.clone());
        }
        if self.last.as_ref().is_none_or(|(last, _)| *last != window) {
            self.last = Some((window, self.hashes(window)));
        }
        let of_merge = self.merges.iter_mut().find(|merge| &*merge.placeholder == placeholder);
        let (Some(of_merge), Some((_, changed))) = (of_merge, &self.last) else { return Ok(rows.clone()) };
        let hashes = of_merge.of_closed.of(rows)?;
        let is_changed: BooleanArray = hashes.iter().map(|hash| Some(changed.contains(hash))).collect();
        Ok(filter_record_batch(rows, &is_changed)?)
    }

    fn hashes(&self, window: Window) -> HashSet<u64> {
        let of_merge = |merge: &OfMerge| -> HashSet<u64> {
            let panes = merge.panes.range(window.start..window.end);
            panes
                .filter(|(pane, _)| merge.spec.is_for(**pane, window.end))
                .flat_map(|(_, keys)| keys)
                .copied()
                .collect()
        };
        self.merges.iter().flat_map(of_merge).collect()
    }

    /// Begins anew, when everything is given out.
    pub(super) fn clear(&mut self) {
        self.merges.iter_mut().for_each(|merge| merge.panes.clear());
        (self.n_hashes, self.last) = (0, None);
    }
}
