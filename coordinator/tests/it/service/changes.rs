//! Pipelines from submitting to stopping, and changes that come at the same time or twice.

use davy_coordinator::catalog::CatalogError;
use davy_coordinator::catalog::memory::MemoryCatalog;
use davy_proto::v1;
use davy_proto::v1::PipelineState as State;
use tonic::Code;

use super::rig::{Pipelines, Rig, code, options, show, soon, spawn, submission};
use super::worker::{Worker, register};

async fn state(client: &mut Pipelines, name: &str) -> State {
    client.get(v1::GetRequest { name: name.to_owned() }).await.expect("it is there").into_inner().state()
}

async fn names(client: &mut Pipelines, with_stopped: bool) -> Vec<String> {
    let list = client.list(v1::ListRequest { with_stopped }).await.expect("a list").into_inner();
    list.pipelines.into_iter().map(|pipeline| pipeline.name).collect()
}

#[tokio::test]
async fn a_pipeline_runs_on_workers_until_it_is_stopped() {
    let rig = Rig::new().await;
    let mut client = rig.pipelines().await;
    let named = |name: &str| name.to_owned();
    let submitted = client.submit(submission("miners", "tasks 2")).await.expect("accepted").into_inner();
    assert_eq!((submitted.version, submitted.kafka_name.as_str()), (1, "miners"));
    assert_eq!((submitted.state(), submitted.n_tasks), (State::Waiting, 2));

    let mut worker = Worker::begin(rig.channel().await, register("w1")).await;
    worker.until_it_runs(2).await;
    let listed = client.list(v1::ListRequest::default()).await.expect("a list").into_inner().pipelines;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].state(), listed[0].n_tasks_running, listed[0].sql.as_str()), (State::Running, 2, ""));

    let update = v1::UpdateRequest { name: named("miners"), sql: named("tasks 2 more"), ..Default::default() };
    let updated = client.update(update).await.expect("accepted").into_inner();
    assert_eq!((updated.version, updated.incarnation), (2, 1));
    while worker.epochs("default/miners/1/1/0").len() < 2 || worker.epochs("default/miners/1/1/1").len() < 2 {
        worker.until_it_runs(2).await;
    }
    assert!(worker.tasks.values().all(|report| report.spec_version == 2));
    assert!(worker.epochs("default/miners/1/1/0").is_sorted_by(|a, b| a < b), "{:?}", worker.orders);

    client.pause(v1::PauseRequest { name: named("miners") }).await.expect("it runs");
    worker.until_it_runs(0).await;
    assert_eq!(state(&mut client, "miners").await, State::Paused);
    client.resume(v1::ResumeRequest { name: named("miners") }).await.expect("it is paused");
    worker.until_it_runs(2).await;
    assert_eq!(state(&mut client, "miners").await, State::Running);
    client.stop(v1::StopRequest { name: named("miners"), now: false }).await.expect("it runs");
    worker.until_it_runs(0).await;
    assert_eq!(state(&mut client, "miners").await, State::Stopped);
    assert_eq!(names(&mut client, false).await, [""; 0]);
    assert_eq!(names(&mut client, true).await, ["miners"]);

    let again = client.submit(submission("miners", "tasks 1")).await.expect("accepted").into_inner();
    assert_eq!((again.incarnation, again.kafka_name.as_str()), (2, "miners---r2"));
    worker.until_it_runs(1).await;
    assert_eq!(rig.stop().await, Ok(()));
}

#[tokio::test]
async fn a_request_that_is_sent_twice_is_done_once() {
    let rig = Rig::new().await;
    let mut client = rig.pipelines().await;
    let request = |sql: &str| v1::SubmitRequest { request_id: "r1".to_owned(), ..submission("p", sql) };
    let first = client.submit(request("tasks 1")).await.expect("accepted").into_inner();
    let second = client.submit(request("tasks 1")).await.expect("accepted before").into_inner();
    assert_eq!(first, second);
    let other = client.submit(request("tasks 2")).await.expect_err("something else");
    assert_eq!(
        show(&other),
        "InvalidArgument: `request_id` `r1` was used for another change [choose another `request_id` for each change]"
    );
    let update = |sql: &str| v1::UpdateRequest {
        name: "p".to_owned(),
        sql: sql.to_owned(),
        request_id: "r2".to_owned(),
        ..Default::default()
    };
    let first = client.update(update("tasks 3")).await.expect("accepted").into_inner();
    let second = client.update(update("tasks 3")).await.expect("accepted before").into_inner();
    assert_eq!((first.version, second.version), (2, 2));
}

#[tokio::test]
async fn the_same_request_at_the_same_time_is_done_once() {
    let rig = Rig::new().await;
    let client = rig.pipelines().await;
    let request = || v1::SubmitRequest { request_id: "r1".to_owned(), ..submission("p", "wait") };
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let (mut client, request) = (client.clone(), request());
            spawn(async move { client.submit(request).await })
        })
        .collect();
    let planner = rig.planner.clone();
    soon(tokio::task::spawn_blocking(move || planner.until_one_waits())).await.expect("no panic");
    rig.planner.go_on();
    for call in calls {
        let answer = soon(call).await.expect("no panic").expect("accepted").into_inner();
        assert_eq!(answer.version, 1);
    }
}

#[tokio::test]
async fn a_dry_run_checks_all_and_changes_nothing() {
    let rig = Rig::new().await;
    let mut client = rig.pipelines().await;
    let dry = |sql: &str| v1::SubmitRequest { dry_run: true, ..submission("p", sql) };
    let answer = client.submit(dry("tasks 3")).await.expect("it is fine").into_inner();
    assert_eq!(answer.dataflows[0].stages[0].n_tasks, 3);
    assert_eq!(code(client.submit(dry("wrong")).await), Code::InvalidArgument);
    assert_eq!(names(&mut client, true).await, [""; 0]);
}

#[tokio::test]
async fn state_that_cannot_be_kept_is_dropped_only_on_request() {
    let rig = Rig::new().await;
    let mut client = rig.pipelines().await;
    client.submit(submission("p", "tasks 1")).await.expect("accepted");
    let update = |fresh| v1::UpdateRequest { name: "p".into(), sql: "lost".into(), fresh, ..Default::default() };
    let refused = client.update(update(false)).await.expect_err("state would be lost");
    assert_eq!(
        show(&refused),
        "FailedPrecondition: the windows of the old script have other keys \
         [keep the keys; or start fresh with `fresh = true`, which drops the old state]"
    );
    let fresh = client.update(update(true)).await.expect("a fresh start was requested").into_inner();
    assert_eq!((fresh.incarnation, fresh.version, fresh.kafka_name.as_str()), (2, 2, "p---r2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_a_thousand_concurrent_submits_is_accepted_or_refused() {
    let mut options = options();
    options.limits.pipelines_per_tenant = 900;
    let rig = Rig::with_leader(options, &MemoryCatalog::new()).await;
    let mut client = rig.pipelines().await;
    let calls: Vec<_> = (0..1_000)
        .map(|n| {
            let (mut client, name) = (client.clone(), format!("p{n}"));
            spawn(async move { (name.clone(), client.submit(submission(&name, "tasks 1")).await) })
        })
        .collect();
    let mut accepted = Vec::new();
    for call in calls {
        match soon(call).await.expect("no panic") {
            (name, Ok(_)) => accepted.push(name),
            (_, Err(status)) => assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}"),
        }
    }
    accepted.sort();
    assert!((1..=900).contains(&accepted.len()), "{}", accepted.len());
    let listed = names(&mut client, true).await;
    assert_eq!(listed, accepted);
    for name in &listed {
        let got = client.get(v1::GetRequest { name: name.clone() }).await.expect("it is there").into_inner();
        assert_eq!((got.version, got.n_tasks, got.sql.as_str()), (1, 1, "tasks 1"));
    }
}

#[tokio::test]
async fn a_change_that_was_not_written_is_not_visible() {
    let catalog = MemoryCatalog::new();
    let rig = Rig::with_leader(options(), &catalog).await;
    let mut client = rig.pipelines().await;
    catalog.refuse_next_write(CatalogError::Unavailable("the broker is away".to_owned()));
    let refused = client.submit(submission("p", "tasks 1")).await.expect_err("it was not written");
    assert_eq!(show(&refused), "Unavailable: the broker is away []");
    assert_eq!(names(&mut client, true).await, [""; 0]);
    client.submit(submission("p", "tasks 1")).await.expect("the broker is back");
    assert_eq!(names(&mut client, true).await, ["p"]);
}
