//! Workers that say something wrong, come back, or do not listen.

use std::time::Duration;

use davy_coordinator::catalog::memory::MemoryCatalog;
use davy_proto::v1;
use davy_proto::v1::worker_message::Kind;
use tonic::Code;

use super::rig::{Headers, Rig, options, show, soon, submission};
use super::worker::{Worker, message, open_session, register};

fn heartbeat(tasks: Vec<v1::TaskReport>) -> v1::WorkerMessage {
    message(Kind::Heartbeat(v1::Heartbeat { tasks, is_draining: false }))
}

#[tokio::test]
async fn a_session_begins_with_a_registration() {
    let rig = Rig::new().await;
    let no_name = v1::Register { worker_id: "a b".into(), ..register("w") };
    for (first, expected) in [
        (heartbeat(vec![]), "InvalidArgument: the first message is not Register [begin the session with Register]"),
        (
            v1::WorkerMessage { kind: None },
            "InvalidArgument: the first message is not Register [begin the session with Register]",
        ),
        (
            message(Kind::Register(no_name)),
            "InvalidArgument: `worker_id` must be 1 to 100 ASCII alphanumerics, `_` and `-`; it has 3 bytes []",
        ),
    ] {
        let refused =
            open_session(rig.channel().await, Headers::default(), first).await.map(|_| ()).expect_err(expected);
        assert_eq!(show(&refused), expected);
    }
}

#[tokio::test]
async fn the_session_of_a_worker_that_sends_nonsense_is_closed() {
    let rig = Rig::new().await;
    let report = v1::TaskReport { task: "nonsense".into(), ..Default::default() };
    for (wrong, expected) in [
        (
            heartbeat(vec![report]),
            "InvalidArgument: `nonsense` is no task: it must be <tenant>/<pipeline>/<dataflow>/<stage>/<index> []",
        ),
        (message(Kind::Register(register("w"))), "InvalidArgument: a registered worker sends heartbeats only []"),
    ] {
        let mut worker = Worker::begin(rig.channel().await, register("w")).await;
        worker.sender.send(wrong).await.expect("the call lasts");
        assert_eq!(show(&worker.end().await.expect("it ends with an error")), expected);
    }
}

#[tokio::test]
async fn a_newer_session_of_a_worker_ends_the_older_one() {
    let rig = Rig::new().await;
    rig.pipelines().await.submit(submission("p", "tasks 1")).await.expect("accepted");
    let mut older = Worker::begin(rig.channel().await, register("w")).await;
    older.until_it_runs(1).await;
    let tasks = older.tasks.values().cloned().collect();
    let mut newer = Worker::begin(rig.channel().await, v1::Register { tasks, ..register("w") }).await;
    assert_eq!(older.end().await.map(|status| status.code()), Some(Code::Unavailable));
    newer.until_it_runs(1).await;
    assert_eq!(newer.orders, [], "it keeps what it has");
}

#[tokio::test]
async fn a_worker_that_was_silent_for_too_long_registers_again() {
    let mut options = options();
    options.heartbeat_interval = Duration::from_millis(1);
    options.cluster.lease_timeout = Duration::from_millis(2);
    let rig = Rig::with_leader(options, &MemoryCatalog::new()).await;
    let mut worker = Worker::begin(rig.channel().await, register("w")).await;
    let mut cluster = rig.cluster().await;
    let lost = async {
        loop {
            let answer = cluster.list_workers(v1::ListWorkersRequest {}).await.expect("a list").into_inner();
            if answer.workers.iter().any(|worker| worker.state() == v1::WorkerState::Lost) {
                return;
            }
        }
    };
    soon(lost).await;
    let refused = worker.report().await.expect_err("it was lost");
    assert_eq!(
        show(&refused),
        "FailedPrecondition: the worker is not registered here; register it again [register the worker again]"
    );
}

#[tokio::test]
async fn the_session_of_a_worker_that_does_not_read_is_closed_without_waiting() {
    let mut options = options();
    options.limits.worker_queue = 8;
    let rig = Rig::with_leader(options, &MemoryCatalog::new()).await;
    let mut client = rig.pipelines().await;
    let mut worker = Worker::begin(rig.channel().await, register("w")).await;
    // It sends heartbeats and reads no answers: until windows of HTTP/2 are full, then until its queue is.
    let deaf = async { while worker.sender.send(heartbeat(vec![])).await.is_ok() {} };
    soon(deaf).await;
    assert_eq!(
        show(&worker.end().await.expect("it ends with an error")),
        "ResourceExhausted: worker `w` has not read 8 messages [register the worker again]"
    );
    client.submit(submission("p", "tasks 1")).await.expect("others are served");
}

#[tokio::test]
async fn the_number_of_worker_sessions_is_limited() {
    let mut options = options();
    options.limits.workers = 1;
    let rig = Rig::with_leader(options, &MemoryCatalog::new()).await;
    let first = Worker::begin(rig.channel().await, register("w1")).await;
    let second = message(Kind::Register(register("w2")));
    let refused =
        open_session(rig.channel().await, Headers::default(), second).await.map(|_| ()).expect_err("one too many");
    assert_eq!(
        show(&refused),
        "ResourceExhausted: 1 workers have a session, which is the limit [give workers more slots instead]"
    );
    drop(first);
    let follows = async {
        loop {
            let second = message(Kind::Register(register("w2")));
            if open_session(rig.channel().await, Headers::default(), second).await.is_ok() {
                return;
            }
        }
    };
    soon(follows).await;
}

#[tokio::test]
async fn clients_see_which_worker_runs_which_task_and_why() {
    let rig = Rig::new().await;
    rig.pipelines().await.submit(submission("p", "tasks 2")).await.expect("accepted");
    let labels = [("zone".to_owned(), "a".to_owned())].into();
    let mut worker = Worker::begin(rig.channel().await, v1::Register { labels, ..register("w") }).await;
    worker.until_it_runs(2).await;
    let mut cluster = rig.cluster().await;
    let workers = cluster.list_workers(v1::ListWorkersRequest {}).await.expect("a list").into_inner().workers;
    let [seen] = workers.as_slice() else { panic!("one worker: {workers:?}") };
    assert_eq!((seen.id.as_str(), seen.name.as_str(), seen.n_tasks, seen.slots), ("w", "host-w", 2, 8));
    assert_eq!(seen.labels["zone"], "a");
    assert!(seen.registered_at_ms > 1_500_000_000_000, "since 1970: {seen:?}");
    let which = v1::ListTasksRequest { pipeline: "p".into() };
    let tasks = cluster.list_tasks(which).await.expect("a list").into_inner().tasks;
    for (task, index) in tasks.iter().zip(0..) {
        assert_eq!(task.id, format!("default/p/1/1/{index}"));
        assert_eq!((task.state(), task.worker_name.as_str()), (v1::TaskState::Running, "host-w"));
        assert!(!task.reason.is_empty() && task.epoch > 0, "{task:?}");
    }
    let scaling = async {
        loop {
            match cluster.get_scaling(v1::GetScalingRequest {}).await {
                Ok(answer) => return answer.into_inner(),
                Err(status) => assert_eq!(status.code(), Code::Unavailable),
            }
        }
    };
    let scaling = soon(scaling).await;
    assert!(scaling.desired_workers >= 1 && !scaling.reason.is_empty(), "{scaling:?}");
}
