//! A record that no broker would take whole, as several: one key's partial may be of any size (`array_agg`, `median`, `count(DISTINCT)`).
//!
//! The pieces of a record are written by one transaction, so a reader sees all of them or none, in order, but records of other senders
//! may lie between them. The value is cut by bytes; the header of each piece says which of how many it is.

use std::collections::HashMap;

use crate::log::SplitId;

/// Which piece of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PieceNumber {
    pub(super) index: u32,
    pub(super) count: u32,
}

/// What a piece adds to those before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// The record is whole: its value.
    Whole(Vec<u8>),
    /// More are to come.
    Unfinished,
    /// The first piece lies before the position where reading began.
    Headless,
}

/// Records whose pieces have not all been read.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    records: HashMap<(SplitId, u32), Growing>,
}

#[derive(Debug)]
struct Growing {
    n_read: u32,
    count: u32,
    value: Vec<u8>,
}

impl Unfinished {
    /// Adds a piece that was read from `split`.
    pub(super) fn join(
        &mut self,
        split: &SplitId,
        sender: u32,
        PieceNumber { index, count }: PieceNumber,
        bytes: &[u8],
    ) -> Result<Joined, String> {
        if count < 2 || count <= index {
            return Err(format!("it is piece {index} of {count}"));
        }
        let key = (split.clone(), sender);
        let growing = match self.records.remove(&key) {
            None if index == 0 => Growing { n_read: 0, count, value: Vec::new() },
            None => return Ok(Joined::Headless),
            Some(growing) => growing,
        };
        if (growing.n_read, growing.count) != (index, count) {
            let Growing { n_read, count: expected, .. } = growing;
            return Err(format!("it is piece {index} of {count}, after {n_read} of {expected} of a record"));
        }
        let mut value = growing.value;
        value.extend_from_slice(bytes);
        if index + 1 == count {
            return Ok(Joined::Whole(value));
        }
        self.records.insert(key, Growing { n_read: index + 1, count, value });
        Ok(Joined::Unfinished)
    }

    /// Forgets what was read of a split: it is read from elsewhere now.
    pub(super) fn forget(&mut self, split: &SplitId) {
        self.records.retain(|(of, _), _| of != split);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_by_sender_and_damage_is_found() {
        use Joined::{Headless, Unfinished as More, Whole};
        let refused = |text: &str| Err(text.to_owned());
        // (sender, index, count, bytes, what becomes of it), one after the other
        let steps = [
            (0, 1, 3, "x", Ok(Headless)),
            (0, 2, 3, "x", Ok(Headless)),
            (0, 0, 2, "ab", Ok(More)),
            (1, 0, 2, "AB", Ok(More)),
            (0, 1, 2, "c", Ok(Whole(b"abc".to_vec()))),
            (1, 1, 2, "C", Ok(Whole(b"ABC".to_vec()))),
            (2, 0, 3, "a", Ok(More)),
            (2, 2, 3, "c", refused("it is piece 2 of 3, after 1 of 3 of a record")),
            (2, 0, 1, "c", refused("it is piece 0 of 1")),
        ];
        let mut unfinished = Unfinished::default();
        let split = SplitId::from("x/0");
        for (sender, index, count, bytes, expected) in steps {
            let joined = unfinished.join(&split, sender, PieceNumber { index, count }, bytes.as_bytes());
            assert_eq!(joined, expected, "sender {sender}, piece {index} of {count}");
        }
    }

    #[test]
    fn a_split_that_is_assigned_anew_begins_anew() {
        let mut unfinished = Unfinished::default();
        let (here, there) = (SplitId::from("x/0"), SplitId::from("x/1"));
        for split in [&here, &there] {
            let joined = unfinished.join(split, 0, PieceNumber { index: 0, count: 2 }, b"a");
            assert_eq!(joined, Ok(Joined::Unfinished));
        }
        unfinished.forget(&here);
        let second = PieceNumber { index: 1, count: 2 };
        assert_eq!(unfinished.join(&here, 0, second, b"b"), Ok(Joined::Headless));
        assert_eq!(unfinished.join(&there, 0, second, b"b"), Ok(Joined::Whole(b"ab".to_vec())));
    }
}
