//! What is in windows that are still open, without taking it out of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::changes::Changes;
use super::{Pane, State, WindowMerge, rows_of, session_rows};
use crate::error::Result;
use crate::operator::window::pane::{GroupLayout, GroupStates};
use crate::operator::window::spec::{WindowSpec, floor};

/// The bounds of a window, half open; by its end first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    pub end: i64,
    pub start: i64,
}

impl WindowMerge {
    /// Remembers from now on where rows come in, for [`Self::take_changed`].
    pub fn watch(&mut self) {
        self.changes = Some(Changes::default());
    }

    pub fn has_sessions(&self) -> bool {
        matches!(self.state, State::Sessions(_))
    }

    /// The open windows into which rows have come since the last call.
    pub fn take_changed(&mut self) -> Result<BTreeSet<Window>> {
        let Some(changes) = self.changes.as_mut().map(std::mem::take) else { return Ok(BTreeSet::new()) };
        match &self.state {
            State::Panes(_) => Ok(self.open_windows(&changes)),
            State::Sessions(sessions) => {
                let windows = sessions.open(self.closed_through)?.map(|open| open.windows_of(&changes.sessions));
                Ok(windows.transpose()?.unwrap_or_default())
            }
        }
    }

    fn open_windows(&self, changes: &Changes) -> BTreeSet<Window> {
        let spec = self.aggregate.spec;
        let windows_of = |pane: &i64| {
            let pane = *pane;
            let ends = spec.window_ends(pane).filter(move |end| spec.is_for(pane, *end));
            ends.map(move |end| Window { end, start: end.saturating_sub(spec.reach()) })
        };
        changes.panes.iter().flat_map(windows_of).filter(|window| self.closed_through < window.end).collect()
    }

    /// The rows so far of those of the windows that this operator has. State stays as it is, and later rows merge with it as they would
    /// have: what a window gives out at its close does not depend on whether it was looked at before.
    pub fn peek(&mut self, windows: &BTreeSet<Window>) -> Result<Vec<RecordBatch>> {
        match &mut self.state {
            State::Panes(_) => {
                let rows = windows.iter().map(|window| self.peek_window(*window));
                Ok(rows.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
            }
            State::Sessions(sessions) => {
                let Some(open) = sessions.open(self.closed_through)? else { return Ok(Vec::new()) };
                let rows = open.rows(windows)?;
                Ok(rows.map(|rows| session_rows(&self.aggregate, rows)).transpose()?.into_iter().collect())
            }
        }
    }

    fn peek_window(&mut self, Window { start, end }: Window) -> Result<Option<RecordBatch>> {
        let (WindowSpec::Hop { slide, width }, State::Panes(panes)) = (self.aggregate.spec, &mut self.state) else {
            return Ok(None);
        };
        if end.saturating_sub(width) != start || floor(start, slide) != start {
            return Ok(None);
        }
        let layout = &self.aggregate.layout;
        let mut merged = GroupStates::new(Arc::clone(layout))?;
        for (_, pane) in panes.range_mut(start..end).filter(|(pane, _)| self.aggregate.spec.is_for(**pane, end)) {
            for states in pane.peek(layout)? {
                let (keys, states) = states.columns().split_at(layout.keys.len());
                merged.merge(keys, states)?;
            }
        }
        if merged.is_empty() {
            return Ok(None);
        }
        rows_of(&self.aggregate, merged, start, end).map(Some)
    }
}

impl Pane {
    /// Its partials, `keys…, states…, __rows`. What is live becomes live again with the same groups in the same order: to merge it with
    /// later rows gives the same bits, also of sums of floats.
    fn peek(&mut self, layout: &Arc<GroupLayout>) -> Result<Vec<RecordBatch>> {
        let mut states = self.frozen.clone();
        if let Some(live) = self.live.as_mut().filter(|live| !live.is_empty()) {
            let columns = live.emit_states()?;
            let (keys, merged) = columns.split_at(layout.keys.len());
            live.merge(keys, merged)?;
            states.push(RecordBatch::try_new(Arc::clone(&layout.partial_schema), columns)?);
        }
        Ok(states)
    }
}
