//! Every row of the table.

use super::*;
use crate::log::offset_metadata::Parts;

const TASK: TaskFacts<'_> = TaskFacts {
    name: "1/1/0",
    index: 0,
    n_tasks: 2,
    fingerprint: 7,
    splits: &[],
    reads: Reads::Table,
    accepts_loss: false,
};

fn split() -> SplitId {
    SplitId::from("x/0")
}

fn whole(fingerprint: u64, replay: Option<u64>, position: Option<u64>) -> Found {
    Found::Whole(Some(Box::new(CommitRecord {
        fingerprint,
        replay_from: replay.map(|at| (split(), Position(at))).into_iter().collect(),
        positions: position.map(|at| (split(), Position(at))).into_iter().collect(),
        ..CommitRecord::default()
    })))
}

fn metadata(state: SplitState) -> SplitMetadata {
    SplitMetadata { fingerprint: 7, task: 0, n_tasks: 2, owner: 1, sequence: 1, state, parts: Parts::default() }
}

fn source() -> SplitMetadata {
    metadata(SplitState::Source { watermark: 5 })
}

fn windows(replay_from: u64, closed_through: i64) -> SplitMetadata {
    metadata(SplitState::Windows { replay_from: Position(replay_from), closed_through, expected: 90 })
}

fn at(split: &str, position: u64, metadata: OffsetMetadata) -> FoundSplit {
    FoundSplit { split: SplitId::from(split), position: Position(position), metadata }
}

/// What is decided, in one line.
fn decided(task: &TaskFacts<'_>, found: Found, bounds: Option<(u64, u64)>) -> String {
    let bounds = bounds.map(|(first, end)| Bounds { first: Position(first), end: Position(end) });
    match decide(task, found, &|_| bounds) {
        Recovery::StartFresh => "fresh".to_owned(),
        Recovery::Refuse { why, .. } => format!("refuse: {why}"),
        Recovery::Resume(record, notices) => {
            let positions: Vec<String> =
                record.positions.iter().map(|(split, position)| format!("{split}@{}", position.0)).collect();
            let closed = record.closed_through.map_or(String::new(), |closed| format!(" closed {closed}"));
            let notices = notices.iter().map(|notice| format!(" ! {notice}")).collect::<String>();
            format!("resume {}{closed}{notices}", positions.join(" "))
        }
    }
}

#[test]
fn of_a_record_that_is_kept_whole() {
    let cases = [
        (Found::Whole(None), "fresh"),
        (whole(7, Some(3), Some(9)), "resume x/0@9"),
        (
            whole(8, Some(3), Some(9)),
            "refuse: the committed position was written by plan `00000008`, this build plans `00000007`",
        ),
        (whole(7, Some(3), Some(2)), "refuse: the last commit would replay split `x/0` from 3 but never read that far"),
        (whole(7, Some(3), None), "refuse: the last commit would replay split `x/0` from 3 but never read that far"),
    ];
    for (found, expected) in cases {
        assert_eq!(decided(&TASK, found, None), expected);
    }
}

#[test]
fn of_positions_with_offset_metadata() {
    use OffsetMetadata::{Erased, Unreadable, Valid};
    let other_plan = SplitMetadata { fingerprint: 8, ..source() };
    let other_task = SplitMetadata { task: 1, ..source() };
    let other_count = SplitMetadata { n_tasks: 3, ..source() };
    type Case = (Vec<FoundSplit>, Option<(u64, u64)>, &'static str);
    let cases: Vec<Case> = vec![
        (vec![], None, "fresh"),
        (vec![at("a/0", 4, Valid(source()))], None, "resume a/0@4"),
        (vec![at("a/0", 4, Valid(source()))], Some((4, 4)), "resume a/0@4"),
        (
            vec![at("a/0", 4, Valid(windows(2, 60))), at("a/2", 9, Valid(windows(9, 60)))],
            Some((2, 9)),
            "resume a/0@4 a/2@9 closed 60",
        ),
        (
            vec![at("a/0", 4, Unreadable("its checksum is wrong".to_owned()))],
            None,
            "refuse: the offset metadata beside the position of split `a/0` cannot be read: its checksum is wrong",
        ),
        (
            vec![at("a/0", 4, Valid(other_plan))],
            None,
            "refuse: the committed position was written by plan `00000008`, this build plans `00000007`",
        ),
        (
            vec![at("a/0", 4, Valid(other_task))],
            None,
            "refuse: split `a/0` was committed by task 1 of 2, this is task 0 of 2",
        ),
        (
            vec![at("a/0", 4, Valid(other_count))],
            None,
            "refuse: split `a/0` was committed by task 0 of 3, this is task 0 of 2",
        ),
        (
            vec![at("a/0", 4, Valid(windows(2, 60))), at("a/2", 9, Valid(windows(9, 61)))],
            None,
            "refuse: the offset metadata of its splits disagrees on what is closed, `a/2` among them",
        ),
        (
            vec![at("a/0", 4, Valid(windows(5, 60)))],
            None,
            "refuse: the last commit would replay split `a/0` from 5 but never read that far",
        ),
        (
            vec![at("a/0", 4, Valid(source()))],
            Some((6, 10)),
            "refuse: split `a/0` begins at 6, reading had come to 4: 2 messages are lost",
        ),
        (
            vec![at("a/0", 4, Valid(source()))],
            Some((0, 3)),
            "refuse: split `a/0` ends at 3, but reading had come to 4: it is another topic now",
        ),
        (
            vec![at("a/0", 4, Valid(windows(2, 60)))],
            Some((3, 10)),
            "refuse: open windows need split `a/0` from 2, but it begins at 3",
        ),
        (vec![at("a/0", 4, Valid(windows(4, 60)))], Some((4, 4)), "resume a/0@4 closed 60"),
        (
            vec![at("a/0", 4, Erased)],
            Some((0, 9)),
            "resume a/0@4 ! split `a/0`: the position 4 was set from outside; reading goes on there with nothing remembered",
        ),
    ];
    for (found, bounds, expected) in cases {
        assert_eq!(decided(&TASK, Found::Splits(found), bounds), expected);
    }
}

#[test]
fn of_a_loss_that_is_accepted() {
    let task = TaskFacts { accepts_loss: true, ..TASK };
    let found = || Found::Splits(vec![at("a/0", 4, OffsetMetadata::Valid(source()))]);
    let lost = "resume a/0@6 ! split `a/0` begins at 6, reading had come to 4: 2 messages are lost";
    assert_eq!(decided(&task, found(), Some((6, 10))), lost);
    let anew = "resume a/0@1 ! split `a/0` ends at 3, but reading had come to 4: it is another topic now";
    assert_eq!(decided(&task, found(), Some((1, 3))), anew);
    // Windows in the task that reads the table: what they would replay from is gone too.
    let local = |position| Found::Splits(vec![at("a/0", position, OffsetMetadata::Valid(windows(2, 60)))]);
    for (position, bounds, from) in [(4, (6, 10), 6), (9, (6, 10), 6), (4, (0, 3), 0)] {
        let bounds = Some(Bounds { first: Position(bounds.0), end: Position(bounds.1) });
        let Recovery::Resume(record, notices) = decide(&task, local(position), &|_| bounds) else { panic!("resumed") };
        assert_eq!(record.replay_from[&SplitId::from("a/0")], Position(from), "position {position}");
        assert!(!notices.is_empty(), "a notice says so");
    }
}

#[test]
fn of_positions_that_are_gone() {
    use OffsetMetadata::Valid;
    let splits = ["a/0", "a/2", "a/10"].map(SplitId::from);
    let table = TaskFacts { splits: &splits, ..TASK };
    let exchange = TaskFacts { reads: Reads::Exchanges, ..table };
    let continues = TaskFacts { accepts_loss: true, ..table };
    let some = |names: &[&str], metadata: SplitMetadata| {
        Found::Splits(names.iter().map(|name| at(name, 4, Valid(metadata.clone()))).collect())
    };
    type Case<'a> = (TaskFacts<'a>, Found, Option<(u64, u64)>, &'static str);
    let cases: [Case<'_>; 8] = [
        (table, some(&[], source()), Some((3, 9)), "fresh"),
        (exchange, some(&[], source()), Some((0, 9)), "fresh"),
        (
            exchange,
            some(&[], source()),
            Some((3, 9)),
            "refuse: no position is committed, but split `a/0` begins at 3, so the stage has run before",
        ),
        (
            exchange,
            some(&["a/0", "a/2"], windows(4, 60)),
            None,
            "refuse: split `a/10` has no committed position, although others have",
        ),
        (exchange, some(&["a/0", "a/2", "a/10"], windows(4, 60)), None, "resume a/0@4 a/10@4 a/2@4 closed 60"),
        // A partition that was added has the greatest number.
        (table, some(&["a/0", "a/2"], source()), None, "resume a/0@4 a/2@4"),
        (
            table,
            some(&["a/0", "a/10"], source()),
            None,
            "refuse: split `a/2` has no committed position, although others have",
        ),
        (
            continues,
            some(&["a/0", "a/10"], source()),
            None,
            "resume a/0@4 a/10@4 ! split `a/2` has no committed position, although others have; it is read from its beginning",
        ),
    ];
    for (task, found, bounds, expected) in cases {
        assert_eq!(decided(&task, found, bounds), expected);
    }
}
