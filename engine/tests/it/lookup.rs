//! Versions of lists across a restart: a commit names them, and a task that continues with other ones says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use davy_engine::connector::Share;
use davy_engine::log::SplitId;
use davy_engine::log::memory::MemoryLog;
use davy_engine::metrics::Metrics;
use davy_engine::operator::spill::{Budget, MemorySpill};
use davy_engine::plan::StageInput;
use davy_engine::task::{ROWS_PER_ADVANCE, Task, TaskParts};

use crate::support::{Event, World, run};

#[test]
fn a_row_is_looked_up_once_however_often_its_entry_is_used() {
    let records = ["a", "b", "c"].map(|record| Event::Record(SplitId::from("0"), record.to_owned()));
    let world = World::new(BTreeMap::from([("flows".to_owned(), records.to_vec())]));
    world.lists.0.lock().unwrap().insert("hosts.csv".to_owned(), "a,x\nb,y".to_owned());
    let script = SCRIPT.replace(
        "SELECT sa, role FROM flows LEFT JOIN hosts ON name = sa;",
        "CREATE VIEW v AS SELECT sa, name, role, upper(role) AS big FROM flows LEFT JOIN hosts ON name = sa AND role <> 'y';
         SELECT sa, role, concat(role, big), name FROM v WHERE name IS NOT NULL OR sa = role OR big = 'Y' OR sa = 'c';",
    );
    let pipeline = world.plan(&script).expect("a valid script");
    let lookups = pipeline.lookups.clone();
    let rows = run(&world, pipeline).expect("it runs").rows;
    assert_eq!(rows["results"], ["a | x | xX | a", "c | ∅ |  | ∅"]);
    assert_eq!((lookups[0].metrics.rows.get(), lookups[0].metrics.matches.get()), (3, 2));
}

const SCRIPT: &str = "CREATE TABLE flows (sa TEXT) WITH (connector = 'test', format = 'csv');
    CREATE TABLE hosts (name TEXT, role TEXT) WITH (connector = 'lookup', path = 'hosts.csv', format = 'csv', key = 'name');
    SELECT sa, role FROM flows LEFT JOIN hosts ON name = sa;";

/// A worker that plans the script with this list, and continues the task.
fn task(log: &MemoryLog, list: &str) -> Task {
    let records = ["a", "b"].map(|record| Event::Record(SplitId::from("0"), record.to_owned()));
    let world = World::new(BTreeMap::from([("flows".to_owned(), records.to_vec())]));
    world.lists.0.lock().unwrap().insert("hosts.csv".to_owned(), list.to_owned());
    let pipeline = world.plan(SCRIPT).expect("a valid script");
    let dataflow = Arc::new(pipeline.dataflows.into_iter().next().expect("one SELECT"));
    let StageInput::Table(plan) = &dataflow.stages[0].input else { panic!("it reads a table") };
    let source = plan.table.table.source(&plan.schema, Share { index: 0, count: 1 }).expect("a source");
    let parts = TaskParts {
        name: "1/1/0".into(),
        commit: Box::new(log.commit_for("1/1/0")),
        stage: 0,
        n_tasks: vec![1].into(),
        index: 0,
        n_partitions: 1,
        source,
        budget: Budget::new(1 << 30, Arc::new(MemorySpill)).expect("a budget"),
        metrics: Arc::new(Metrics::default()),
        board: Arc::default(),
        run_start: 0,
        rows_per_advance: ROWS_PER_ADVANCE,
        probe: |_| (),
        dataflow,
    };
    Task::recover(parts, Duration::ZERO).expect("nothing is in the way")
}

#[test]
fn a_task_that_continues_with_another_list_says_so() {
    let log = MemoryLog::new();
    let mut first = task(&log, "a,x");
    assert!(first.take_notices().is_empty(), "nothing was committed before");
    first.step(Duration::ZERO).expect("a row");
    first.commit().expect("committed");
    assert!(task(&log, "a,x").take_notices().is_empty(), "the same list");
    let notices = task(&log, "a,y").take_notices();
    let [notice] = notices.as_slice() else { panic!("{notices:?}") };
    assert!(notice.starts_with("lookup table `hosts`: the last commit used version "), "{notice}");
}
