//! A topic that is read in ranges, and then ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use davy_engine::log::{Bounds, Fetched, Messages, Payload, Polled, Position, Source, SplitId};
use davy_engine::{Error, Result};

use super::ranges::{Offsets, Ranges, check};
use super::source::{KafkaSource, partition_of};

pub(crate) struct BoundedSource {
    inner: KafkaSource,
    ranges: Ranges,
    /// Those that are not read to their end.
    open: BTreeSet<SplitId>,
}

impl BoundedSource {
    pub(crate) fn new(inner: KafkaSource, ranges: Ranges) -> Self {
        Self { inner, ranges, open: BTreeSet::new() }
    }

    fn offsets(&self, split: &SplitId) -> Result<Offsets> {
        let wanted = self.ranges.of(partition_of(split)?.partition);
        wanted.ok_or_else(|| Error::internal(format!("split `{split}` is in no range")))
    }
}

impl Source for BoundedSource {
    fn splits(&mut self) -> Result<Vec<SplitId>> {
        self.inner.splits()
    }

    fn start(&mut self, split: &SplitId, _has_joined: bool) -> Result<Position> {
        let wanted = self.offsets(split)?;
        if let Some(Bounds { first, end }) = self.inner.bounds(split)? {
            check(&split.0, wanted, first.0, end.0)?;
        }
        Ok(Position(wanted.first))
    }

    fn bounds(&mut self, split: &SplitId) -> Result<Option<Bounds>> {
        self.inner.bounds(split)
    }

    fn want(&mut self, keys: bool, headers: bool) {
        self.inner.want(keys, headers);
    }

    fn end(&mut self, split: &SplitId) -> Result<Option<Position>> {
        Ok(Some(Position(self.offsets(split)?.last + 1)))
    }

    fn lag(&self) -> u64 {
        self.inner.lag()
    }

    fn hold(&mut self, split: &SplitId, is_held: bool) -> Result<()> {
        if self.open.contains(split) { self.inner.hold(split, is_held) } else { Ok(()) }
    }

    fn assign(&mut self, split: &SplitId, from: Position) -> Result<()> {
        self.open.insert(split.clone());
        self.inner.assign(split, from)
    }

    fn poll(&mut self) -> Result<Polled> {
        loop {
            if self.open.is_empty() {
                return Ok(Polled::End);
            }
            let Polled::Data(fetched) = self.inner.poll()? else { return Ok(Polled::Pending) };
            // What was read ahead before the split was held.
            if !self.open.contains(&fetched.split) {
                continue;
            }
            let Offsets { last, .. } = self.offsets(&fetched.split)?;
            if fetched.next.0 <= last {
                return Ok(Polled::Data(fetched));
            }
            self.inner.hold(&fetched.split, true)?;
            self.open.remove(&fetched.split);
            return Ok(Polled::Data(cut(fetched, last)));
        }
    }
}

/// What is not beyond `last`, as the end of its split.
fn cut(fetched: Fetched, last: u64) -> Fetched {
    let Payload::Bytes(mut bytes) = fetched.payload else {
        // Transaction markers: nothing to decode, but the end is to be seen.
        return Fetched { payload: Payload::Bytes(Vec::new()), end_of_split: true, ..fetched };
    };
    let mut messages: Messages = fetched.messages.map(Arc::unwrap_or_clone).unwrap_or_default();
    let n = messages.positions.partition_point(|position| *position <= last);
    bytes.truncate(n.checked_sub(1).map_or(0, |index| messages.ends[index] as usize));
    messages.ends.truncate(n);
    messages.positions.truncate(n);
    messages.timestamps.truncate(n);
    messages.keys.truncate(n);
    messages.headers.truncate(n);
    messages.empty.retain(|message| message.position <= last);
    Fetched {
        next: Position(last + 1),
        payload: Payload::Bytes(bytes),
        messages: Some(Arc::new(messages)),
        end_of_split: true,
        ..fetched
    }
}

#[cfg(test)]
mod tests {
    use davy_engine::log::EmptyMessage;

    use super::*;

    #[test]
    fn messages_beyond_the_last_are_cut_off() {
        let messages = Messages {
            ends: vec![2, 4, 6],
            positions: vec![5, 7, 9],
            timestamps: vec![1, 2, 3],
            empty: [6, 8].map(|position| EmptyMessage { position, is_tombstone: false, key: None }).to_vec(),
            keys: vec![None; 3],
            headers: Vec::new(),
        };
        let fetched = Fetched {
            split: SplitId::from("flows/0"),
            start: Position(5),
            next: Position(10),
            preamble: None,
            payload: Payload::Bytes(b"a\nb\nc\n".to_vec()),
            messages: Some(Arc::new(messages)),
            end_of_split: false,
        };
        for (last, kept, n_empty) in [(9, &b"a\nb\nc\n"[..], 2), (8, b"a\nb\n", 2), (7, b"a\nb\n", 1), (5, b"a\n", 0)] {
            let Fetched { next, payload, messages, end_of_split, .. } = cut(fetched.clone(), last);
            let Payload::Bytes(bytes) = payload else { panic!("bytes") };
            let messages = messages.expect("messages");
            assert_eq!((bytes.as_slice(), next, end_of_split), (kept, Position(last + 1), true));
            assert_eq!(
                (messages.ends.len() * 2, messages.keys.len() * 2, messages.empty.len()),
                (kept.len(), kept.len(), n_empty)
            );
        }
        let moved = Fetched { payload: Payload::Nothing, messages: None, ..fetched };
        assert!(cut(moved, 7).end_of_split);
    }
}
