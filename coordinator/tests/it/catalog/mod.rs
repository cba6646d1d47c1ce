//! What every catalog promises, whatever stores its records; and what only one of them promises.

mod doubt;
mod file;
mod kafka;
mod killed;
mod paused;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use davy_coordinator::catalog::file::FileCatalog;
use davy_coordinator::catalog::memory::MemoryCatalog;
use davy_coordinator::catalog::{Catalog, CatalogError, Record, Snapshot};
use davy_coordinator::model::{AcceptedRequest, DesiredState, PipelineRecord};
use davy_proto::domain::{DataflowShape, PipelineSpec, Script, StageShape};
use davy_proto::domain::{Epoch, PipelineId, Term};
use davy_testkit::broker;

/// How long anything may take that must happen: as long as a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes one more coordinator of the same catalog.
type Open<'a> = &'a dyn Fn() -> Box<dyn Catalog>;

/// What it promises, and the check of it.
type Case = (&'static str, fn(Open<'_>));

/// Each case runs over a catalog of its own, which is empty at first.
const CASES: [Case; 7] = [
    ("an empty catalog has a leader and nothing else", an_empty_catalog_has_a_leader_and_nothing_else),
    ("what is written is there for the next one", what_is_written_is_there_for_the_next_one),
    ("a later record replaces an earlier one", a_later_record_replaces_an_earlier_one),
    ("what is forgotten is gone", what_is_forgotten_is_gone),
    ("numbers grow with every leader", numbers_grow_with_every_leader),
    ("one stands by until the leader is gone", one_stands_by_until_the_leader_is_gone),
    ("a thousand pipelines are kept", a_thousand_pipelines_are_kept),
];

#[test]
fn memory_keeps_what_every_catalog_promises() {
    for (name, case) in CASES {
        println!("{name}");
        let memory = MemoryCatalog::new();
        case(&|| Box::new(memory.clone()));
    }
}

#[test]
fn a_file_keeps_what_every_catalog_promises() {
    for (name, case) in CASES {
        println!("{name}");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("catalog");
        case(&|| Box::new(FileCatalog::open(&path).expect("a folder that can be written to")));
    }
}

#[test]
fn a_topic_keeps_what_every_catalog_promises() {
    for (name, case) in CASES {
        println!("{name}");
        let cluster = broker::unique("promises");
        case(&|| Box::new(kafka::catalog(broker::servers(), &cluster)));
    }
}

fn an_empty_catalog_has_a_leader_and_nothing_else(open: Open<'_>) {
    let mut catalog = open();
    let found = leads(&mut *catalog);
    assert_eq!((found.pipelines, found.ceiling, found.term), (Vec::new(), Epoch(0), Term(1)));
    assert_eq!(catalog.still_leads(), Ok(()));
    assert_eq!(catalog.write(&[]), Ok(()), "nothing is easily written");
}

fn what_is_written_is_there_for_the_next_one(open: Open<'_>) {
    let (first, second) = (pipeline("a", "SELECT 1"), pipeline("b", "SELECT '\n„ü“\u{0}'"));
    let mut catalog = open();
    assert!(matches!(catalog.write(&[put(&first)]), Err(CatalogError::Fenced(_))), "there is no leader yet");
    leads(&mut *catalog);
    write(&mut *catalog, &[put(&second), ceiling(7), put(&first)]);
    drop(catalog);
    let found = leads(&mut *open());
    assert_eq!((found.pipelines, found.ceiling), (vec![first, second], Epoch(7)));
}

fn a_later_record_replaces_an_earlier_one(open: Open<'_>) {
    let mut catalog = open();
    leads(&mut *catalog);
    let [first, second, third] = ["SELECT 1", "SELECT 2", "SELECT 3"].map(|sql| pipeline("a", sql));
    write(&mut *catalog, &[put(&first), ceiling(1), put(&second)]);
    write(&mut *catalog, &[ceiling(2), put(&third)]);
    drop(catalog);
    let found = leads(&mut *open());
    assert_eq!((found.pipelines, found.ceiling), (vec![third], Epoch(2)));
}

fn what_is_forgotten_is_gone(open: Open<'_>) {
    let mut catalog = open();
    leads(&mut *catalog);
    let [kept, gone, back] = ["kept", "gone", "back"].map(|name| pipeline(name, "SELECT 1"));
    let forget = |pipeline: &PipelineRecord| Record::Forgotten { id: pipeline.id().clone() };
    write(&mut *catalog, &[put(&kept), put(&gone), put(&back)]);
    write(&mut *catalog, &[forget(&gone), forget(&back), put(&back)]);
    write(&mut *catalog, &[forget(&pipeline("never", "SELECT 1"))]);
    drop(catalog);
    let mut next = open();
    assert_eq!(leads(&mut *next).pipelines, [back, kept]);
}

fn numbers_grow_with_every_leader(open: Open<'_>) {
    let mut catalog = open();
    let mut terms = vec![leads(&mut *catalog).term];
    write(&mut *catalog, &[ceiling(100)]);
    // The same one may lead again.
    terms.push(leads(&mut *catalog).term);
    drop(catalog);
    for number in [100, 110, 120] {
        let mut catalog = open();
        let found = leads(&mut *catalog);
        assert_eq!(found.ceiling, Epoch(number));
        terms.push(found.term);
        write(&mut *catalog, &[ceiling(number + 10)]);
    }
    assert!(terms.is_sorted_by(|earlier, later| earlier < later), "{terms:?}");
}

fn one_stands_by_until_the_leader_is_gone(open: Open<'_>) {
    /// Often enough that it has tried to lead.
    const CHECKS: usize = 30;
    let mut first = open();
    let began = leads(&mut *first);
    let mut second = open();
    let (checks, checked) = mpsc::sync_channel(CHECKS);
    thread::scope(|scope| {
        let takes_over = scope.spawn(|| {
            let begun = Instant::now();
            second.lead(&|| {
                // Full when enough have been counted.
                checks.try_send(()).unwrap_or_default();
                PATIENCE < begun.elapsed()
            })
        });
        // It checks the flag only as long as it does not lead.
        (0..CHECKS).for_each(|_| checked.recv_timeout(PATIENCE).expect("the second stands by"));
        assert_eq!(first.still_leads(), Ok(()));
        write(&mut *first, &[put(&pipeline("a", "SELECT 1"))]);
        assert!(!takes_over.is_finished(), "two lead");
        drop(first);
        let found = takes_over.join().expect("no panic").expect("a catalog").expect("the first is gone");
        assert!(began.term < found.term);
        assert_eq!(found.pipelines, [pipeline("a", "SELECT 1")]);
    });
    assert_eq!(second.still_leads(), Ok(()));
    let mut third = open();
    assert_eq!(third.lead(&counted(3)), Ok(None), "the third was cancelled");
}

fn a_thousand_pipelines_are_kept(open: Open<'_>) {
    let sql = |index: usize| format!("SELECT {index} -- {}", "x".repeat(if index == 500 { 1_000_000 } else { 5_000 }));
    let pipelines: Vec<PipelineRecord> =
        (0..1_000).map(|index| pipeline(&format!("p{index:04}"), &sql(index))).collect();
    let mut catalog = open();
    leads(&mut *catalog);
    write(&mut *catalog, &pipelines.iter().map(put).collect::<Vec<_>>());
    drop(catalog);
    let found = leads(&mut *open());
    assert!(found.pipelines == pipelines, "{} of {} came back", found.pipelines.len(), pipelines.len());
}

/// Leads, or fails the test after a while.
fn leads(catalog: &mut dyn Catalog) -> Snapshot {
    let begun = Instant::now();
    let led = catalog.lead(&|| PATIENCE < begun.elapsed());
    led.expect("a catalog").expect("there is no other leader")
}

/// Returns true after `n` calls.
fn counted(n: usize) -> impl Fn() -> bool {
    let calls = Cell::new(0);
    move || n < calls.replace(calls.get() + 1)
}

fn write(catalog: &mut dyn Catalog, records: &[Record]) {
    assert_eq!(catalog.write(records), Ok(()));
}

fn put(pipeline: &PipelineRecord) -> Record {
    Record::Pipeline(Box::new(pipeline.clone()))
}

fn ceiling(ceiling: u64) -> Record {
    Record::Epochs { ceiling: Epoch(ceiling) }
}

fn pipeline(name: &str, sql: &str) -> PipelineRecord {
    let settings = BTreeMap::from([("commit_interval".to_owned(), "1s".to_owned())]);
    let spec = PipelineSpec {
        id: PipelineId { tenant: "soc".into(), name: name.into() },
        spec_version: 2,
        kafka_name: format!("soc.{name}.1"),
        script: Script { sql: sql.to_owned(), settings },
        dataflows: vec![DataflowShape {
            sink: "out".to_owned(),
            fingerprint: "9c1f".to_owned(),
            stages: vec![StageShape { input: "flows".to_owned(), n_tasks: 4 }],
        }],
    };
    PipelineRecord {
        spec: Arc::new(spec),
        desired_state: DesiredState::Run,
        version: 3,
        incarnation: 1,
        submitted_by: "ada".to_owned(),
        submitted_at_ms: 1_700_000_000_000,
        changed_at_ms: 1_700_000_000_001,
        request: Some(AcceptedRequest { id: "r1".to_owned(), digest: "00ff".to_owned() }),
    }
}
