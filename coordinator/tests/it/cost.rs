//! What a thousand tasks cost the coordinator: printed, not judged. `cargo test -p davy-coordinator --release --test it cost -- --ignored --nocapture`

#![expect(clippy::print_stdout, reason = "this measures, and shows what it found")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use davy_coordinator::cluster::{Action, Cluster, ClusterOptions, WorkerInfo};
use davy_coordinator::model::{DesiredState, PipelineRecord};
use davy_proto::domain::{
    DataflowShape, Epoch, EventTime, Messages, Phase, PipelineId, PipelineSpec, Rows, Script, StageShape, TaskReport,
    WorkerId,
};

const WORKERS: u32 = 100;
const PIPELINES: u32 = 100;
const TASKS_PER_PIPELINE: u32 = 10;

fn record(number: u32) -> PipelineRecord {
    let stage = |input: &str, n_tasks| StageShape { input: input.to_owned(), n_tasks };
    let spec = PipelineSpec {
        id: PipelineId { tenant: "default".into(), name: format!("p{number}").into() },
        spec_version: 1,
        kafka_name: format!("p{number}"),
        script: Script { sql: "SELECT 1;\n".repeat(200), settings: BTreeMap::new() },
        dataflows: vec![DataflowShape {
            sink: "sums".to_owned(),
            fingerprint: "0123456789abcdef".to_owned(),
            stages: vec![stage("flows", TASKS_PER_PIPELINE / 2), stage("w1_1", TASKS_PER_PIPELINE / 2)],
        }],
    };
    PipelineRecord {
        spec: Arc::new(spec),
        desired_state: DesiredState::Run,
        version: 1,
        incarnation: 1,
        submitted_by: "bench".to_owned(),
        submitted_at_ms: 0,
        changed_at_ms: 0,
        request: None,
    }
}

fn worker(number: u32) -> WorkerInfo {
    WorkerInfo {
        id: WorkerId(format!("w{number}").into()),
        name: format!("w{number}"),
        version: "1".to_owned(),
        slots: 8,
        labels: [("zone".to_owned(), format!("z{}", number % 3))].into(),
    }
}

/// Bytes in memory now.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    pages.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok()).expect("a number") * 4096
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let made = run();
    println!("{what}: {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    made
}

#[test]
#[ignore = "measures; see the module"]
fn a_thousand_tasks_on_a_hundred_workers() {
    let mut next = 0;
    let mut epoch = || {
        next += 1;
        Epoch(next)
    };
    let before = resident();
    let mut cluster = Cluster::new(
        ClusterOptions { startup_grace_period: Duration::ZERO, ..ClusterOptions::default() },
        Duration::ZERO,
    );
    let now = Duration::from_secs(1);
    (0..WORKERS).for_each(|number| cluster.register(worker(number), Vec::new(), now));
    (0..PIPELINES).for_each(|number| cluster.set_pipeline(&record(number)));
    let actions = timed("placing 1,000 tasks on 100 workers", || cluster.decide(now, &mut epoch));
    assert_eq!(actions.len(), (PIPELINES * TASKS_PER_PIPELINE) as usize);
    let mut held: BTreeMap<WorkerId, Vec<TaskReport>> = BTreeMap::new();
    for action in actions {
        let Action::Grant { worker, task, epoch, spec_version, .. } = action else { panic!("nothing to revoke") };
        let report = TaskReport {
            task,
            epoch,
            spec_version,
            phase: Phase::Running,
            error: None,
            lag: Messages(7),
            messages: Messages(10),
            rows: Rows(1_000),
            busy_ratio: 0.5,
            watermark: Some(EventTime(1)),
            restarts: 0,
        };
        held.entry(worker).or_default().push(report);
    }
    timed("a heartbeat of each of 100 workers", || {
        held.iter().for_each(|(id, reports)| cluster.heartbeat(id, reports.clone(), false, now).expect("known"));
    });
    assert_eq!(timed("deciding that nothing has to change", || cluster.decide(now, &mut epoch)), []);
    println!(
        "memory for these 1,000 tasks, 100 pipelines of 2 kB and 100 workers: {} kB",
        (resident() - before) / 1024
    );
    let lost = WorkerId("w7".into());
    let later = Duration::from_secs(20);
    for (id, reports) in held.iter().filter(|(id, _)| **id != lost) {
        cluster.heartbeat(id, reports.clone(), false, later).expect("known");
    }
    let moved = timed("moving the tasks of a worker that is lost", || cluster.decide(later, &mut epoch));
    println!("{} tasks moved", moved.len());
}
