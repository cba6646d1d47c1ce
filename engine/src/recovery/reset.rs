//! A watermark that is set back by an administrator, after rows with a wrong timestamp have moved it too far.
//!
//! What was closed by the wrong watermark is in the output and stays there; what was late by it was dropped and is not regained.
//! From the reset on, windows that end after the new watermark are open.

use std::collections::BTreeMap;

use crate::log::offset_metadata::Reset;
use crate::log::{CommitRecord, Position, SplitId};

/// The record with no watermark beyond `to`. `ends` says where the splits end now, of a stage over exchanges.
///
/// Windows that were open lie behind the wrong watermark, since it closed all before it. They are given up: one that ends in a hundred
/// years would keep the exchange from ever being purged.
pub fn set_back(record: CommitRecord, to: i64, ends: &BTreeMap<SplitId, Position>) -> CommitRecord {
    let mut record = record;
    let closed_too_much = record.closed_through.is_some_and(|closed| to < closed);
    let partly = record.partly_closed.map_or(i64::MIN, |partly| partly.window_end);
    // A window that is partly in the output is finished, unless it is given up with the others.
    let to = if closed_too_much { to } else { to.max(partly) };
    if closed_too_much {
        record.partly_closed = None;
    }
    let is_wrong = |watermark: i64| to < watermark;
    let expected_too_much = record.expected.is_some_and(is_wrong);
    let is_unread = |(split, end): (&SplitId, &Position)| record.positions.get(split).is_some_and(|read| read < end);
    if closed_too_much || expected_too_much || ends.iter().any(is_unread) {
        for (split, end) in ends {
            let Some(read_until) = record.positions.get(split).copied() else { continue };
            // What a task over exchanges has read is closed or given up only if it has closed too much.
            let read_until = if closed_too_much { read_until } else { Position(0) };
            // Of an earlier reset, whose records may still be needed.
            let earlier = record.resets.get(split).map_or(to, |reset| reset.to.min(to));
            record.resets.insert(split.clone(), Reset { read_until, written_until: *end, to: earlier });
        }
    }
    if closed_too_much && ends.is_empty() {
        // Windows in the task that reads the table: the rows of open ones are read from there.
        record
            .replay_from
            .iter_mut()
            .for_each(|(split, from)| *from = record.positions.get(split).copied().unwrap_or(*from));
    }
    record.judged.values_mut().for_each(|judged| judged.watermark = judged.watermark.min(to));
    record.watermarks.values_mut().for_each(|watermark| *watermark = (*watermark).min(to));
    record.closed_through = record.closed_through.map(|closed| closed.min(to));
    record.expected = record.expected.map(|expected| expected.min(to));
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::PartlyClosed;

    fn record(watermark: i64) -> CommitRecord {
        let split = SplitId::from("x/0");
        CommitRecord {
            positions: [(split.clone(), Position(20))].into(),
            replay_from: [(split.clone(), Position(10))].into(),
            watermarks: [(split, watermark)].into(),
            closed_through: Some(watermark),
            expected: Some(watermark),
            ..CommitRecord::default()
        }
    }

    fn ends() -> BTreeMap<SplitId, Position> {
        [(SplitId::from("x/0"), Position(25))].into()
    }

    #[test]
    fn a_watermark_that_is_not_beyond_stays() {
        let is_read = BTreeMap::from([(SplitId::from("x/0"), Position(20))]);
        assert_eq!(set_back(record(100), 100, &is_read), record(100));
    }

    #[test]
    fn a_wrong_watermark_that_was_not_read_yet_is_left_out() {
        let left_out = Reset { read_until: Position(0), written_until: Position(25), to: 100 };
        let reset = [(SplitId::from("x/0"), left_out)].into();
        assert_eq!(set_back(record(100), 100, &ends()), CommitRecord { resets: reset, ..record(100) });
    }

    #[test]
    fn a_stage_over_exchanges_neither_hears_nor_reads_what_was_there() {
        let reset = set_back(record(100), 50, &ends());
        let split = SplitId::from("x/0");
        let left_out = Reset { read_until: Position(20), written_until: Position(25), to: 50 };
        assert_eq!((reset.closed_through, reset.expected), (Some(50), Some(50)));
        assert_eq!(reset.resets, [(split.clone(), left_out)].into());
        assert_eq!(reset.replay_from[&split], Position(10), "a record in pieces may have begun there");
    }

    #[test]
    fn windows_beside_their_source_begin_where_it_was_read_to() {
        let reset = set_back(record(100), 50, &BTreeMap::new());
        let split = SplitId::from("x/0");
        assert_eq!(
            (reset.replay_from[&split], reset.watermarks[&split], reset.closed_through),
            (Position(20), 50, Some(50))
        );
        assert!(reset.resets.is_empty());
    }

    #[test]
    fn a_window_that_is_partly_in_the_output_is_finished_or_given_up() {
        let partly_closed = Some(PartlyClosed { window_end: 60, place: 2 });
        let closing = CommitRecord { closed_through: Some(40), partly_closed, ..record(100) };
        let reset = set_back(closing, 50, &ends());
        assert_eq!((reset.partly_closed, reset.expected), (partly_closed, Some(60)));
        let reset = set_back(CommitRecord { partly_closed, ..record(100) }, 50, &ends());
        assert_eq!((reset.partly_closed, reset.expected), (None, Some(50)));
    }

    #[test]
    fn windows_that_are_still_being_closed_are_kept() {
        let closing = CommitRecord { closed_through: Some(40), ..record(100) };
        let reset = set_back(closing, 50, &ends());
        let left_out = Reset { read_until: Position(0), written_until: Position(25), to: 50 };
        assert_eq!(reset.resets[&SplitId::from("x/0")], left_out);
        assert_eq!((reset.closed_through, reset.expected), (Some(40), Some(50)));
    }
}
