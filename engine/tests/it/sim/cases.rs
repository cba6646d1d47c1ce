//! The smallest cases of what random runs have found.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use davy_engine::log::memory::MemoryLog;
use davy_engine::log::{Commit, Partials, Transaction};
use davy_engine::plan::StageInput;
use davy_engine::task::{Task, TaskParts};

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
        runtime: Arc::default(),
        metrics: Arc::default(),
        board: Arc::default(),
        probe: |_| (),
    };
    let mut task = Task::recover(parts, Duration::ZERO).unwrap();
    task.step(Duration::ZERO).unwrap();
    task.commit().unwrap();
    assert_eq!(log.committed("0/1/0").unwrap().closed_through, Some(i64::MIN));
}
