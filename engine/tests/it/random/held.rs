//! What the log in memory shows and holds: whole commits in order, and all that a recovery still needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use davy_engine::log::memory::{MemoryCommit, MemoryLog, MemorySource};
use davy_engine::log::{
    Commit, CommitRecord, ExchangeId, Fetched, Partials, Payload, Polled, Position, Source, SplitId, Transaction,
};

use super::{Rng, for_seeds};

/// Partials that are distinguished by a number.
pub fn partials(number: u64) -> Partials {
    let schema = Schema::new(vec![Field::new("n", DataType::Int64, false)]);
    let column = Arc::new(Int64Array::from(vec![number as i64]));
    let batch = RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap();
    Partials { sender: 0, senders: 1, batch: Some(batch), watermarks: Arc::default() }
}

fn number_of(partials: &Partials) -> u64 {
    use arrow::array::AsArray;
    partials.batch.as_ref().unwrap().column(0).as_primitive::<Int64Type>().value(0) as u64
}

fn exchange(index: usize) -> ExchangeId {
    ExchangeId(["x", "y"][index].into())
}

fn split(index: usize) -> SplitId {
    SplitId::from(["x/0", "y/0"][index])
}

/// A reader of both exchanges, and what it should see.
struct Reader {
    commit: MemoryCommit,
    source: MemorySource,
    positions: [u64; 2],
    /// What it last committed: positions, and from where it would replay.
    committed: [(u64, u64); 2],
}

impl Reader {
    fn new(log: &MemoryLog) -> Self {
        let mut reader = Self {
            commit: log.commit_for("reader"),
            source: log.source_of(&[exchange(0), exchange(1)], 0),
            positions: [0; 2],
            committed: [(0, 0); 2],
        };
        reader.recover(log);
        reader
    }

    fn recover(&mut self, log: &MemoryLog) {
        self.commit = log.commit_for("reader");
        let last = self.commit.take_over(&[]).unwrap().whole().unwrap_or_default();
        self.source = log.source_of(&[exchange(0), exchange(1)], 0);
        for index in 0..2 {
            let from = last.replay_from.get(&split(index)).copied().unwrap_or_default();
            assert_eq!(from.0, self.committed[index].1);
            self.source.assign(&split(index), from).unwrap();
            self.positions[index] = from.0;
        }
    }

    /// Reads one record: the next one of its split, with what was committed there.
    fn poll(&mut self, wanted: &[Vec<u64>; 2]) {
        let Polled::Data(Fetched { split: of, start, next, payload, .. }) = self.source.poll().unwrap() else {
            let ends = wanted.each_ref().map(|records| records.len() as u64);
            assert_eq!(self.positions, ends, "what is committed can be read");
            return;
        };
        let index = usize::from(of == split(1));
        let Payload::Partials(partials) = payload else { panic!("exchanges hold partials") };
        assert_eq!((start.0, next.0), (self.positions[index], self.positions[index] + 1), "in order, none left out");
        assert_eq!(number_of(&partials), wanted[index][start.0 as usize]);
        self.positions[index] = next.0;
    }

    fn commit(&mut self, rng: &mut Rng) {
        let mut record = CommitRecord::default();
        for index in 0..2 {
            let replay = rng.between(self.committed[index].1 as i64, self.positions[index] as i64) as u64;
            self.committed[index] = (self.positions[index], replay);
            record.positions.insert(split(index), Position(self.positions[index]));
            record.replay_from.insert(split(index), Position(replay));
        }
        self.commit.commit(Transaction { record, ..Transaction::default() }).unwrap();
    }
}

#[test]
fn readers_see_whole_commits_in_order_and_can_always_replay() {
    for_seeds("held::readers_see_whole_commits_in_order_and_can_always_replay", 300, |seed| {
        let mut rng = Rng::new(seed);
        let log = MemoryLog::keeping_rows();
        let mut writers = ["a", "b"].map(|name| log.commit_for(name));
        for writer in &mut writers {
            writer.take_over(&[]).unwrap();
        }
        let mut stale = log.commit_for("a");
        let mut wanted: [Vec<u64>; 2] = Default::default();
        let mut reader = Reader::new(&log);
        for number in 0..rng.between(1, 120) as u64 {
            match rng.below(10) {
                0..=2 => {
                    // One commit puts any number of records into both exchanges.
                    let mut transaction = Transaction::default();
                    for at in 0..rng.below(4) as u64 {
                        let index = rng.below(2);
                        transaction.partials.push((exchange(index), 0, partials(number * 10 + at)));
                        wanted[index].push(number * 10 + at);
                    }
                    writers[rng.below(2)].commit(transaction).unwrap();
                }
                3 => {
                    let refused =
                        Transaction { partials: vec![(exchange(0), 0, partials(9_999))], ..Transaction::default() };
                    assert!(stale.commit(refused).is_err(), "a fenced commit shows nothing");
                }
                4..=7 => reader.poll(&wanted),
                8 => reader.commit(&mut rng),
                _ => reader.recover(&log),
            }
            for (index, records) in wanted.iter().enumerate() {
                let (end, (_, replay)) = (records.len() as u64, reader.committed[index]);
                assert_eq!(log.end(&split(index)), Position(end));
                assert_eq!(log.held(&exchange(index)) as u64, end - replay, "just what a recovery needs is held");
                assert!(log.unread(&exchange(index), 0).n_records <= end);
            }
        }
        Ok(())
    });
}

#[test]
fn a_position_that_was_dropped_is_an_error_and_not_a_gap() {
    let log = MemoryLog::new();
    let mut writer = log.commit_for("a");
    writer.take_over(&[]).unwrap();
    for number in 0..3 {
        let partials = vec![(exchange(0), 0, partials(number))];
        writer.commit(Transaction { partials, ..Transaction::default() }).unwrap();
    }
    let record = CommitRecord { replay_from: BTreeMap::from([(split(0), Position(2))]), ..CommitRecord::default() };
    writer.commit(Transaction { record, ..Transaction::default() }).unwrap();
    assert_eq!(log.held(&exchange(0)), 1);
    let mut source = log.source_of(&[exchange(0)], 0);
    source.assign(&split(0), Position(1)).unwrap();
    let error = source.poll().unwrap_err().to_string();
    assert!(error.contains("records below 2 are gone"), "{error}");
}
