//! Scripts: at each line something happens, and then the cluster decides.
//!
//! ```text
//! <second> <event> => <actions>
//! load p 2            the catalog has pipeline `p` with 2 tasks (no decision follows)
//! run p 2 / pause p / stop p / stop-now p / update p / forget p
//! join a 2 <reports>  worker `a` registers, with 2 slots
//! hear a <reports>    its heartbeat; `hear a! …`: it drains
//! hang a              its session ends
//! wake                the coordinator was suspended until now
//! tick                nothing happens
//! ```
//! A report is `p0@5r`: task 0 of `p`, epoch 5, phase `s`tarting, `r`unning, `d`raining, `x` released, `f`ailed; `p0@5r/2` runs version 2.
//! Epochs given out start with 10.

use super::*;
use std::sync::Arc;

use davy_proto::domain::{DataflowShape, Messages, Phase, PipelineSpec, Rows, Script, StageShape};

#[test]
fn tasks_of_a_new_pipeline_are_granted_at_once_and_those_of_an_old_one_after_a_while() {
    check(&[
        "0  load p 2",
        "0  join a 2 =>",
        "1  run q 1 => grant q0@10 a",
        "9  hear a q0@10r =>",
        "10 tick => grant p0@11 a, grant p1@12 a",
        "11 hear a q0@10r p0@11s p1@12s =>",
    ]);
}

#[test]
fn a_restart_of_the_coordinator_disturbs_no_running_task() {
    check(&[
        "0  load p 3",
        "1  join a 2 p0@5r p1@6r =>",
        "2  join b 2 =>",
        "10 tick => grant p2@10 b",
        "11 hear a p0@5r p1@6r =>",
        "11 hear b p2@10r =>",
    ]);
}

#[test]
fn the_greater_epoch_owns_a_task_that_two_report() {
    let later_is_newer = ["0 load p 1", "1 join a 1 p0@5r =>", "2 join b 1 p0@7r => drop p0@5 a", "11 hear b p0@7r =>"];
    check(&later_is_newer);
    check(&["0 load p 1", "1 join b 1 p0@7r =>", "2 join a 1 p0@5r => drop p0@5 a", "3 hear b p0@7r =>"]);
    check(&["0 load p 1", "1 join a 1 p0@7r =>", "2 join b 1 p0@7r => drop p0@7 b", "3 hear a p0@7r =>"]);
}

#[test]
fn a_lost_workers_tasks_move_and_it_finds_them_gone() {
    check(&[
        "0  tick",
        "0  join a 2 =>",
        "0  join b 2 =>",
        "0  run p 2 => grant p0@10 a, grant p1@11 b",
        "1  hear a p0@10r =>",
        "9  hear b p1@11r =>",
        "10 hang a =>",
        "11 tick => grant p0@12 b",
        "12 hear a p0@10r => unknown",
        "13 join a 2 p0@10r => drop p0@10 a",
        "14 hear a =>",
    ]);
}

#[test]
fn a_coordinator_that_was_suspended_takes_no_worker_for_lost() {
    check(&[
        "0  tick",
        "0  join a 1 =>",
        "0  join b 1 =>",
        "0  run p 1 => grant p0@10 a",
        "1  hear a p0@10r =>",
        "60 wake =>",
        "61 join b 1 =>",
        "69 join a 1 p0@10r =>",
        "70 tick =>",
        "78 hear b =>",
        "79 tick => grant p0@11 b",
    ]);
}

#[test]
fn a_worker_without_a_session_keeps_its_tasks_and_gets_no_others() {
    check(&[
        "0 tick",
        "0 join a 1 =>",
        "0 run p 1 => grant p0@10 a",
        "1 hear a p0@10r =>",
        "2 hang a =>",
        "3 run q 1 =>",
        "4 join b 1 => grant q0@11 b",
        "5 join a 1 p0@10r =>",
    ]);
}

#[test]
fn a_worker_that_was_lost_keeps_tasks_that_no_other_worker_got() {
    check(&[
        "0  tick",
        "0  join a 1 =>",
        "0  run p 1 => grant p0@10 a",
        "1  hear a p0@10r =>",
        "20 tick =>",
        "21 join a 1 p0@10r =>",
        "22 join b 1 =>",
    ]);
}

#[test]
fn a_task_moves_to_a_new_worker_only_once_it_was_given_back() {
    check(&[
        "0  tick",
        "11 join a 2 =>",
        "11 run p 2 => grant p0@10 a, grant p1@11 a",
        "12 hear a p0@10r p1@11r =>",
        "13 join b 2 =>",
        "15 hear a p0@10r p1@11r =>",
        // It was granted 5 s ago: long enough.
        "16 hear a p0@10r p1@11r => drain p0@10 a",
        "17 hear a p0@10d p1@11r =>",
        "18 hear b =>",
        "19 hear a p0@10x p1@11r => grant p0@12 b",
        "20 hear b p0@12r =>",
    ]);
    // Not before it is known who runs what.
    check(&[
        "0 load p 2",
        "1 join a 1 p0@5r p1@6r =>",
        "2 join b 1 =>",
        "9 hear a p0@5r p1@6r =>",
        "10 tick => drain p0@5 a",
    ]);
}

#[test]
fn a_worker_that_does_not_give_a_task_back_is_passed_over() {
    check(&[
        "0  tick",
        "0  join a 2 =>",
        "0  join b 2 =>",
        "0  run p 1 => grant p0@10 a",
        "1  hear a p0@10r =>",
        "2  hear a! p0@10r => drain p0@10 a",
        "3  hear a! p0@10d =>",
        "10 hear b =>",
        "11 hear a! p0@10d =>",
        "17 hear a! p0@10d => drop p0@10 a, grant p0@11 b",
        "18 hear a! =>",
    ]);
}

#[test]
fn a_lost_revocation_is_sent_again() {
    check(&[
        "0 tick",
        "0 join a 2 =>",
        "0 run p 1 => grant p0@10 a",
        "1 hear a p0@10r =>",
        "2 pause p => drain p0@10 a",
        "3 hear a p0@10r =>",
        "5 hear a p0@10r => drain p0@10 a",
        "6 hang a =>",
        "7 join a 2 p0@10r => drain p0@10 a",
        "8 stop-now p => drop p0@10 a",
        "9 hear a p0@10x =>",
    ]);
}

#[test]
fn a_lost_grant_is_sent_again() {
    check(&[
        "0  tick",
        "0  join a 1 =>",
        "0  run p 1 => grant p0@10 a",
        "5  hear a =>",
        "10 hear a => drop p0@10 a, grant p0@11 a",
        "11 hear a p0@11r =>",
    ]);
    check(&["0 tick", "0 join a 1 =>", "0 run p 1 => grant p0@10 a", "1 hang a =>", "2 join a 1 => grant p0@11 a"]);
    check(&["0 tick", "0 join a 1 =>", "0 run p 1 => grant p0@10 a", "1 hang a =>", "2 join a 1 p0@10s =>"]);
}

#[test]
fn a_new_version_waits_until_no_worker_has_an_older_one() {
    check(&[
        "0 tick",
        "0 join a 1 =>",
        "0 join b 1 =>",
        "0 run p 2 => grant p0@10 a, grant p1@11 b",
        "1 hear a p0@10r =>",
        "1 hear b p1@11r =>",
        "2 update p => drain p0@10 a, drain p1@11 b",
        "3 hear a p0@10x =>",
        "4 hear b p1@11d =>",
        "5 hear b p1@11x => grant p0@12/2 a, grant p1@13/2 b",
    ]);
    // After a restart, too: a worker still runs the replaced version.
    check(&[
        "0 load p 1",
        "0 update p =>",
        "1 join a 1 p0@5r => drain p0@5 a",
        "2 hear a p0@5x =>",
        "9 hear a =>",
        "10 tick => grant p0@10/2 a",
    ]);
}

#[test]
fn a_failed_task_is_tried_again_later_and_elsewhere() {
    check(&[
        "0 tick",
        "0 join a 2 =>",
        "0 join b 1 =>",
        "0 run p 1 => grant p0@10 a",
        "1 hear a p0@10f =>",
        "1 hear a p0@10f =>",
        "2 tick => grant p0@11 b",
        "3 hear b p0@11f =>",
        "4 hear b =>",
        "5 tick => grant p0@12 a",
        "6 hear a =>",
        // It said nothing of it yet; from here it had it, and lost it.
        "7 hear a p0@12r =>",
        "8 hear a =>",
        "11 hear b =>",
        "12 tick => grant p0@13 b",
    ]);
}

#[test]
fn a_task_that_does_not_start_in_time_has_failed() {
    let mut script = vec!["0 tick".to_owned(), "0 join a 1 =>".to_owned(), "0 run p 1 => grant p0@10 a".to_owned()];
    script.extend((1..61).map(|second| format!("{second} hear a p0@10s =>")));
    script.push("61 hear a p0@10s => drop p0@10 a".to_owned());
    script.push("63 hear a => grant p0@11 a".to_owned());
    check(&script);
}

#[test]
fn tasks_of_paused_stopped_and_forgotten_pipelines_are_revoked() {
    let start = ["0 tick", "0 join a 1 =>", "0 run p 1 => grant p0@10 a", "1 hear a p0@10r =>"];
    let with = |rest: &[&'static str]| check(&[start.as_slice(), rest].concat());
    with(&["2 pause p => drain p0@10 a", "3 hear a p0@10x =>", "4 run p 1 => grant p0@11 a"]);
    with(&["2 pause p => drain p0@10 a", "3 run p 1 =>", "4 hear a p0@10x => grant p0@11 a"]);
    with(&["2 stop p => drain p0@10 a", "3 hear a p0@10x =>"]);
    with(&["2 stop-now p => drop p0@10 a", "3 hear a =>"]);
    with(&["2 forget p => drop p0@10 a", "3 hear a =>"]);
    // Another pipeline of the same name: what the older one still runs is not taken for it.
    with(&["2 forget p => drop p0@10 a", "2 run p 1 =>", "3 hear a p0@10x => grant p0@11 a"]);
    check(&["0 tick", "0 join a 1 p0@5r => drop p0@5 a", "1 hear a =>"]);
}

#[test]
fn a_draining_worker_gives_its_tasks_back_and_gets_no_others() {
    check(&[
        "0 tick",
        "0 join a 1 =>",
        "0 run p 1 => grant p0@10 a",
        "1 hear a p0@10r =>",
        "2 hear a! p0@10r => drain p0@10 a",
        "3 hear a! p0@10x =>",
        "4 run q 1 =>",
        "5 join b 2 => grant p0@11 b, grant q0@12 b",
    ]);
}

#[test]
fn a_catalog_that_lost_its_epochs_is_detected() {
    let cluster =
        check(&["0 tick", "0 join a 1 =>", "0 run p 1 => grant p0@10 a", "1 hear a p0@99r =>", "2 hear a p0@99x =>"]);
    let status = cluster.status(&pipeline_id("p")).unwrap();
    assert_eq!(status.state, PipelineState::Degraded);
    assert_eq!(cluster.epoch_seen(), Epoch(99));
    assert_eq!(
        status.problems,
        [
            "task `soc/p/1/1/0`: its last owner had an epoch below 100, but the catalog gives out 11: it has forgotten what it gave \
          out; raise its ceiling"
        ]
    );
}

#[test]
fn a_pipelines_state_is_what_its_tasks_do() {
    let rows: [(&[&str], &str); 12] = [
        (&["0 tick", "0 run p 2 =>"], "Waiting 0/2 1 problems"),
        (&["0 tick", "0 join a 2 =>", "0 run p 2 => *"], "Starting 0/2 0 problems"),
        (&["0 tick", "0 join a 2 =>", "0 run p 2 => *", "1 hear a p0@10r p1@11s =>"], "Starting 1/2 0 problems"),
        (&["0 tick", "0 join a 2 =>", "0 run p 2 => *", "1 hear a p0@10r p1@11r =>"], "Running 2/2 0 problems"),
        (&["0 tick", "0 join a 2 =>", "0 run p 2 => *", "1 hear a p0@10r p1@11f =>"], "Degraded 1/2 1 problems"),
        (
            &["0 tick", "0 join a 2 =>", "0 run p 1 => *", "1 hear a p0@10f =>", "2 tick => *"],
            "Degraded 0/1 1 problems",
        ),
        (
            &["0 tick", "0 join a 1 =>", "0 run p 1 => *", "1 hear a p0@10f =>", "2 tick => *", "3 hear a p0@11r =>"],
            "Running 1/1 0 problems",
        ),
        (&["0 tick", "0 join a 1 =>", "0 run p 1 => *", "20 tick =>"], "Waiting 0/1 1 problems"),
        (
            &["0 tick", "0 join a 1 =>", "0 run p 1 => *", "1 hear a p0@10r =>", "2 pause p => *"],
            "Pausing 1/1 0 problems",
        ),
        (
            &["0 tick", "0 join a 1 =>", "0 run p 1 => *", "1 pause p => *", "2 hear a p0@10x =>"],
            "Paused 0/1 0 problems",
        ),
        (
            &["0 tick", "0 join a 1 =>", "0 run p 1 => *", "1 hear a p0@10r =>", "2 stop-now p => *"],
            "Stopping 1/1 0 problems",
        ),
        (&["0 tick", "0 run p 1 =>", "1 stop p =>"], "Stopped 0/1 0 problems"),
    ];
    for (script, expected) in rows {
        let status = check(script).status(&pipeline_id("p")).unwrap();
        let PipelineStatus { state, n_tasks, n_tasks_running, problems, .. } = status;
        let shown = format!("{state:?} {n_tasks_running}/{n_tasks} {} problems", problems.len());
        assert_eq!(shown, expected, "{script:?}");
    }
}

#[test]
fn rows_per_second_come_from_successive_reports() {
    let mut cluster = check(&["0 tick", "0 join a 4 =>", "0 run p 2 => *", "1 hear a p0@10r p1@11r =>"]);
    let busy = |task: &str, rows: u64, lag: u64| TaskReport {
        rows: Rows(rows),
        lag: Messages(lag),
        busy_ratio: 0.5,
        ..report(task)
    };
    let mut hear = |second: u64, reports: Vec<TaskReport>| {
        cluster.heartbeat(&WorkerId("a".into()), reports, false, Duration::from_secs(second)).unwrap();
    };
    hear(2, vec![busy("p0@10r", 100, 7), busy("p1@11r", 10, 1)]);
    hear(4, vec![busy("p0@10r", 300, 5), TaskReport { busy_ratio: f64::NAN, ..busy("p1@11r", 10, 0) }]);
    let status = cluster.status(&pipeline_id("p")).unwrap();
    assert_eq!((status.rows_per_second, status.lag, status.busy_ratio), (100.0, Messages(5), 0.5));
    let worker = cluster.workers(Duration::from_secs(5)).remove(0);
    assert_eq!((worker.n_tasks, worker.busy_ratio, worker.silent), (2, 0.125, Duration::from_secs(1)));

    // The worker is lost, but the messages are still unread.
    cluster.decide(Duration::from_secs(20), &mut || Epoch(50));
    let status = cluster.status(&pipeline_id("p")).unwrap();
    assert_eq!((status.rows_per_second, status.lag, status.busy_ratio), (0.0, Messages(5), 0.0));
    assert_eq!(cluster.workers(Duration::from_secs(21))[0].state, WorkerState::Lost);
    cluster.decide(Duration::from_secs(620), &mut || Epoch(50));
    assert_eq!(cluster.workers(Duration::from_secs(621)), []);
}

/// Runs a script and compares what is decided at each line; `=> *` takes anything.
fn check<S: AsRef<str>>(script: &[S]) -> Cluster {
    let mut cluster = Cluster::new(ClusterOptions::default(), Duration::ZERO);
    let mut records: BTreeMap<String, PipelineRecord> = BTreeMap::new();
    let mut last_epoch = 9;
    for line in script.iter().map(AsRef::as_ref) {
        let (event, expected) = line.split_once("=>").unwrap_or((line, "*"));
        let mut words = event.split_whitespace();
        let now = Duration::from_secs(words.next().unwrap().parse().unwrap());
        let words: Vec<&str> = words.collect();
        let mut shown = apply(&mut cluster, &mut records, &words, now);
        if words[0] != "load" {
            let actions = cluster.decide(now, &mut || {
                last_epoch += 1;
                Epoch(last_epoch)
            });
            shown.extend(actions.iter().map(show));
        }
        if expected.trim() != "*" {
            assert_eq!(shown.join(", "), expected.trim(), "at `{line}`; tasks: {:#?}", cluster.tasks(None));
        }
    }
    cluster
}

fn apply(
    cluster: &mut Cluster,
    records: &mut BTreeMap<String, PipelineRecord>,
    words: &[&str],
    now: Duration,
) -> Vec<String> {
    let reports = |words: &[&str]| words.iter().map(|text| report(text)).collect::<Vec<_>>();
    match words {
        ["tick"] => {}
        ["load" | "run", name, n_tasks] => {
            let fresh = || record(name, n_tasks.parse().unwrap());
            let record = records.entry((*name).to_owned()).or_insert_with(fresh);
            record.desired_state = DesiredState::Run;
            cluster.set_pipeline(record);
        }
        ["forget", name] => {
            records.remove(*name);
            cluster.forget_pipeline(&pipeline_id(name));
        }
        [what @ ("pause" | "stop" | "stop-now" | "update"), name] => {
            let record = records.get_mut(*name).unwrap();
            match *what {
                "pause" => record.desired_state = DesiredState::Pause,
                "stop" => record.desired_state = DesiredState::Stop,
                "stop-now" => record.desired_state = DesiredState::StopNow,
                _ => Arc::make_mut(&mut record.spec).spec_version += 1,
            }
            cluster.set_pipeline(record);
        }
        ["join", id, slots, rest @ ..] => {
            let labels = BTreeMap::new();
            let (id, version, slots) = (WorkerId((*id).into()), "1".to_owned(), slots.parse().unwrap());
            cluster.register(WorkerInfo { name: id.to_string(), id, version, slots, labels }, reports(rest), now);
        }
        ["hear", id, rest @ ..] => {
            let worker = WorkerId(id.trim_end_matches('!').into());
            if cluster.heartbeat(&worker, reports(rest), id.ends_with('!'), now).is_err() {
                return vec!["unknown".to_owned()];
            }
        }
        ["wake"] => cluster.wake(now),
        ["hang", id] => cluster.close_session(&WorkerId((*id).into())),
        _ => panic!("no such event: {words:?}"),
    }
    Vec::new()
}

fn report(text: &str) -> TaskReport {
    let (text, spec_version) =
        text.split_once('/').map_or((text, 1), |(text, version)| (text, version.parse().unwrap()));
    let (task, rest) = text.split_once('@').unwrap();
    let (epoch, phase) = rest.split_at(rest.len() - 1);
    let phase = match phase {
        "s" => Phase::Starting,
        "r" => Phase::Running,
        "d" => Phase::Draining,
        "x" => Phase::Released,
        "f" => Phase::Failed,
        _ => panic!("no such phase: {phase}"),
    };
    TaskReport {
        task: TaskId { pipeline: pipeline_id(&task[..1]), dataflow: 1, stage: 1, index: task[1..].parse().unwrap() },
        epoch: Epoch(epoch.parse().unwrap()),
        spec_version,
        phase,
        error: (phase == Phase::Failed).then(|| "the disk is full".to_owned()),
        lag: Messages(0),
        messages: Messages(0),
        rows: Rows(0),
        busy_ratio: 0.0,
        watermark: None,
        restarts: 0,
    }
}

fn show(action: &Action) -> String {
    let short = |task: &TaskId| format!("{}{}", task.pipeline.name, task.index);
    match action {
        Action::Grant { worker, task, epoch, spec_version: 1, .. } => format!("grant {}@{epoch} {worker}", short(task)),
        Action::Grant { worker, task, epoch, spec_version, .. } => {
            format!("grant {}@{epoch}/{spec_version} {worker}", short(task))
        }
        Action::Revoke { worker, task, epoch, release, .. } => {
            format!("{} {}@{epoch} {worker}", if *release == Release::Drain { "drain" } else { "drop" }, short(task))
        }
    }
}

fn pipeline_id(name: &str) -> PipelineId {
    PipelineId { tenant: "soc".into(), name: name.into() }
}

pub(super) fn record(name: &str, n_tasks: u32) -> PipelineRecord {
    let stages = vec![StageShape { input: "flows".to_owned(), n_tasks }];
    let spec = PipelineSpec {
        id: pipeline_id(name),
        spec_version: 1,
        kafka_name: name.to_owned(),
        script: Script::default(),
        dataflows: vec![DataflowShape { sink: "out".to_owned(), fingerprint: "f".to_owned(), stages }],
    };
    PipelineRecord {
        spec: Arc::new(spec),
        desired_state: DesiredState::Run,
        version: 1,
        incarnation: 1,
        submitted_by: "ann".to_owned(),
        submitted_at_ms: 0,
        changed_at_ms: 0,
        request: None,
    }
}
