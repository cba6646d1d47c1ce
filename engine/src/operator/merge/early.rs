//! What is in windows that are still open, without taking it out of them.

use std::collections::BTreeSet;

use super::changes::Changes;
use super::{State, WindowMerge, closed_rows};
use crate::error::Result;
use crate::operator::panes::ClosedRows;
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
        match &mut self.state {
            State::Panes(_) => Ok(self.open_windows(&changes)),
            State::Sessions(sessions) => sessions.windows_of(self.closed_through, &changes.sessions),
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
    pub(in crate::operator) fn peek(&mut self, windows: &BTreeSet<Window>) -> Result<Vec<ClosedRows>> {
        match &mut self.state {
            State::Panes(_) => {
                let rows = windows.iter().map(|window| self.peek_window(*window));
                Ok(rows.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
            }
            State::Sessions(sessions) => {
                let open = sessions.peek(self.closed_through, windows)?;
                open.into_iter().map(|open| closed_rows(&self.aggregate, open)).collect()
            }
        }
    }

    fn peek_window(&mut self, Window { start, end }: Window) -> Result<Option<ClosedRows>> {
        let (WindowSpec::Hop { slide, width }, State::Panes(panes)) = (self.aggregate.spec, &mut self.state) else {
            return Ok(None);
        };
        if end.saturating_sub(width) != start || floor(start, slide) != start {
            return Ok(None);
        }
        panes.peek(start, end)
    }
}
