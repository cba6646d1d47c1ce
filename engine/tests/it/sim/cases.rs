//! The smallest cases of what random runs have found.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use davy_engine::log::memory::MemoryLog;
use davy_engine::log::{
    Bounds, Commit, Found, FoundSplit, Partials, Polled, Position, Source, SplitId, Transaction,
    offset_metadata::{OffsetMetadata, Parts, SplitMetadata, SplitState},
};
use davy_engine::operator::spill::{Budget, MemorySpill};
use davy_engine::plan::StageInput;
use davy_engine::task::{ROWS_PER_ADVANCE, Task, TaskParts};
use davy_engine::{Error, Result};

use crate::random::scripts::{by_name, planned};

/// The second stage of tumbling windows, alone with one sender.
#[test]
fn a_piece_of_a_flush_that_was_cut_closes_no_window() {
    let planned = planned(&by_name("tumble").text());
    let dataflow = Arc::clone(&planned.dataflows[0]);
    let StageInput::Exchanges(inputs) = &dataflow.stages[1].input else { panic!("a stage over windows") };
    let aggregate = Arc::clone(&inputs[0].aggregate);
    let log = MemoryLog::new();
    let batch = Some(RecordBatch::new_empty(aggregate.partial_schema().unwrap()));
    let piece = Partials { sender: 0, senders: 1, batch, watermarks: Arc::default() };
    let mut sender = log.commit_for("sender");
    sender.take_over(&[]).unwrap();
    let partials = vec![(aggregate.exchange.clone(), 0, piece)];
    sender.commit(Transaction { partials, ..Transaction::default() }).unwrap();
    let parts = TaskParts {
        name: "0/1/0".into(),
        source: Box::new(log.source_of(std::slice::from_ref(&aggregate.exchange), 0)),
        commit: Box::new(log.commit_for("0/1/0")),
        dataflow,
        stage: 1,
        n_tasks: [1, 1].into(),
        index: 0,
        n_partitions: 1,
        budget: Budget::new(usize::MAX, Arc::new(MemorySpill)).unwrap(),
        metrics: Arc::default(),
        board: Arc::default(),
        run_start: 0,
        rows_per_advance: ROWS_PER_ADVANCE,
        probe: |_| (),
    };
    let mut task = Task::recover(parts, Duration::ZERO).unwrap();
    task.step(Duration::ZERO).unwrap();
    task.commit().unwrap();
    assert_eq!(log.committed("0/1/0").unwrap().closed_through, Some(i64::MIN));
}

/// Pauses between reading its position and reading the bounds of the split: by then a newer owner has committed `now`.
struct Overtaken {
    fingerprint: u64,
    now: u64,
}

impl Overtaken {
    fn found(&self, position: u64) -> Found {
        let state = SplitState::Source { watermark: i64::MIN };
        let metadata = OffsetMetadata::Valid(SplitMetadata {
            fingerprint: self.fingerprint,
            task: 0,
            n_tasks: 1,
            owner: 1,
            sequence: position,
            state,
            parts: Parts::default(),
        });
        Found::Splits(vec![FoundSplit { split: SplitId::from("flows/0"), position: Position(position), metadata }])
    }
}

impl Commit for Overtaken {
    fn take_over(&mut self, _splits: &[SplitId]) -> Result<Found> {
        Ok(self.found(3))
    }

    fn find(&mut self, _splits: &[SplitId]) -> Result<Found> {
        Ok(self.found(self.now))
    }

    fn commit(&mut self, _transaction: Transaction) -> Result<()> {
        Err(Error::Fenced("overtaken".into()))
    }
}

/// All below 7 is deleted.
struct Purged;

impl Source for Purged {
    fn splits(&mut self) -> Result<Vec<SplitId>> {
        Ok(vec![SplitId::from("flows/0")])
    }

    fn bounds(&mut self, _split: &SplitId) -> Result<Option<Bounds>> {
        Ok(Some(Bounds { first: Position(7), end: Position(9) }))
    }

    fn assign(&mut self, _split: &SplitId, _from: Position) -> Result<()> {
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled> {
        Ok(Polled::Pending)
    }
}

#[test]
fn an_owner_that_was_overtaken_while_it_started_is_fenced_and_has_lost_nothing() {
    let dataflow = Arc::clone(&planned(&by_name("tumble").text()).dataflows[0]);
    let start = |now: u64| {
        let parts = TaskParts {
            name: "0/0/0".into(),
            source: Box::new(Purged),
            commit: Box::new(Overtaken { fingerprint: dataflow.state_fingerprint, now }),
            dataflow: Arc::clone(&dataflow),
            stage: 0,
            n_tasks: [1, 1].into(),
            index: 0,
            n_partitions: 1,
            budget: Budget::new(usize::MAX, Arc::new(MemorySpill)).unwrap(),
            metrics: Arc::default(),
            board: Arc::default(),
            run_start: 0,
            rows_per_advance: ROWS_PER_ADVANCE,
            probe: |_| (),
        };
        Task::recover(parts, Duration::ZERO).map(|_| ())
    };
    assert!(matches!(start(8), Err(Error::Fenced(_))));
    let lost = start(3).unwrap_err().to_string();
    assert!(lost.contains("4 messages are lost"), "{lost}");
}
