//! Sources whose splits are read one after the other, in their own order.
//!
//! A directory of a thousand files would otherwise hold a thousand open files (or run a thousand programs). A split is
//! opened when its turn comes and closed at its end; results come in the order of the splits.

use std::collections::BTreeMap;

use davy_engine::connector::Share;
use davy_engine::log::{Fetched, Payload, Polled, Position, Source, SplitId};
use davy_engine::{Error, Result};

/// A piece of one split; [`Fetched`] without the split's name.
pub(crate) struct Piece {
    pub(crate) start: Position,
    pub(crate) next: Position,
    pub(crate) preamble: Option<Vec<u8>>,
    pub(crate) payload: Payload,
    pub(crate) end_of_split: bool,
}

impl Piece {
    pub(crate) fn fetched(self, split: SplitId) -> Fetched {
        Fetched {
            split,
            start: self.start,
            next: self.next,
            preamble: self.preamble.map(Into::into),
            messages: None,
            payload: self.payload,
            end_of_split: self.end_of_split,
        }
    }
}

/// Reads one split from a position on.
pub(crate) trait SplitReader: Send {
    /// The next piece; `None` when nothing has come for some milliseconds. Not called again after `end_of_split`.
    fn next(&mut self) -> Result<Option<Piece>>;
}

/// Opens a split at a position.
pub(crate) type OpenSplit = Box<dyn Fn(&SplitId, Position) -> Result<Box<dyn SplitReader>> + Send>;

/// Those of `all` that belong to `share`.
pub(crate) fn shared<T>(all: impl IntoIterator<Item = T>, share: Share) -> Vec<T> {
    let mine = |index: usize| index % share.count == share.index;
    all.into_iter().enumerate().filter(|(index, _)| mine(*index)).map(|(_, item)| item).collect()
}

/// A source that reads its splits one after the other.
pub(crate) struct Sequential {
    splits: Vec<SplitId>,
    open: OpenSplit,
    /// Assigned splits not begun yet, by their index in `splits`.
    waiting: BTreeMap<usize, Position>,
    current: Option<(usize, Box<dyn SplitReader>)>,
}

impl Sequential {
    pub(crate) fn new(splits: Vec<SplitId>, open: OpenSplit) -> Self {
        Self { splits, open, waiting: BTreeMap::new(), current: None }
    }

    fn begin_next(&mut self) -> Result<bool> {
        let Some((&index, &from)) = self.waiting.first_key_value() else { return Ok(false) };
        let reader = (self.open)(&self.splits[index], from)?;
        self.waiting.remove(&index);
        self.current = Some((index, reader));
        Ok(true)
    }
}

impl Source for Sequential {
    fn splits(&mut self) -> Result<Vec<SplitId>> {
        Ok(self.splits.clone())
    }

    fn assign(&mut self, split: &SplitId, from: Position) -> Result<()> {
        let Some(index) = self.splits.iter().position(|known| known == split) else {
            return Err(Error::internal(format!("split `{split}` was assigned but is not in this task's share")));
        };
        self.current.take_if(|(current, _)| *current == index);
        self.waiting.insert(index, from);
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled> {
        if self.current.is_none() && !self.begin_next()? {
            return Ok(Polled::End);
        }
        let Some((index, reader)) = self.current.as_mut() else { return Ok(Polled::Pending) };
        let Some(piece) = reader.next()? else { return Ok(Polled::Pending) };
        let split = self.splits[*index].clone();
        if piece.end_of_split {
            self.current = None;
        }
        Ok(Polled::Data(piece.fetched(split)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_every_split_once() {
        for count in 1..5 {
            let mut seen: Vec<usize> = (0..count).flat_map(|index| shared(0..7, Share { index, count })).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..7).collect::<Vec<_>>(), "{count} tasks");
        }
    }

    #[test]
    fn a_split_of_another_share_is_refused() {
        let mut source = Sequential::new(vec!["a".into()], Box::new(|_, _| unreachable!("nothing is opened")));
        let error = source.assign(&"b".into(), Position(0)).expect_err("not ours");
        assert!(error.to_string().contains("split `b`"), "{error}");
    }
}
