//! Coordinators that begin again, follow each other, or end.

use davy_coordinator::catalog::CatalogError;
use davy_coordinator::catalog::memory::MemoryCatalog;
use davy_coordinator::service::Error;
use davy_proto::v1;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

use super::rig::{Rig, health, options, show, soon, spawn, submission, until_health};
use super::worker::{Worker, register};

async fn list(rig: &Rig) -> Vec<v1::Pipeline> {
    let list = rig.pipelines().await.list(v1::ListRequest { with_stopped: true }).await;
    let mut pipelines = list.expect("a list").into_inner().pipelines;
    // What is happening differs: no worker has reported yet.
    for pipeline in &mut pipelines {
        pipeline.set_state(v1::PipelineState::Unspecified);
        pipeline.scaling = None;
        pipeline.problems.clear();
        pipeline.n_tasks_running = 0;
    }
    pipelines
}

async fn term(rig: &Rig) -> u64 {
    rig.cluster().await.get_leader(v1::GetLeaderRequest {}).await.expect("it leads").into_inner().term
}

#[tokio::test]
async fn a_restarted_coordinator_has_all_accepted_pipelines() {
    let catalog = MemoryCatalog::new();
    let rig = Rig::with_leader(options(), &catalog).await;
    let mut client = rig.pipelines().await;
    for name in ["a", "b", "c"] {
        client.submit(submission(name, "tasks 2")).await.expect("accepted");
    }
    client.pause(v1::PauseRequest { name: "b".into() }).await.expect("it runs");
    client.stop(v1::StopRequest { name: "c".into(), now: true }).await.expect("it runs");
    let mut worker = Worker::begin(rig.channel().await, register("w1")).await;
    worker.until_it_runs(2).await;
    let greatest = worker.tasks.values().map(|report| report.epoch).max().expect("it has tasks");
    let (before, first_term) = (list(&rig).await, term(&rig).await);
    assert_eq!(rig.stop().await, Ok(()));

    let rig = Rig::with_leader(options(), &catalog).await;
    assert_eq!(list(&rig).await, before);
    assert!(first_term < term(&rig).await);
    let mut other = Worker::begin(rig.channel().await, register("w2")).await;
    other.until_it_runs(2).await;
    let all_greater = other.tasks.values().all(|report| greatest < report.epoch);
    assert!(all_greater, "{:?} after {greatest}", other.orders);
}

#[tokio::test]
async fn a_worker_keeps_its_tasks_when_another_coordinator_leads() {
    let catalog = MemoryCatalog::new();
    let rig = Rig::with_leader(options(), &catalog).await;
    rig.pipelines().await.submit(submission("p", "tasks 2")).await.expect("accepted");
    let mut worker = Worker::begin(rig.channel().await, register("w")).await;
    worker.until_it_runs(2).await;
    let tasks = worker.tasks.values().cloned().collect();
    assert_eq!(rig.stop().await, Ok(()));
    let status = worker.end().await.expect("it ends with an error");
    assert_eq!(
        show(&status),
        "Unavailable: this coordinator no longer leads [keep the tasks, and open a session with the leader]"
    );

    let rig = Rig::with_leader(options(), &catalog).await;
    let mut worker = Worker::begin(rig.channel().await, v1::Register { tasks, ..register("w") }).await;
    worker.until_it_runs(2).await;
    assert_eq!(worker.orders, []);
    let got = rig.pipelines().await.get(v1::GetRequest { name: "p".into() }).await.expect("it is there").into_inner();
    assert_eq!(got.state(), v1::PipelineState::Running);
}

#[tokio::test]
async fn of_two_coordinators_one_leads_and_the_older_is_refused() {
    let catalog = MemoryCatalog::new();
    let first = Rig::with_leader(options(), &catalog).await;
    let mut worker = Worker::begin(first.channel().await, register("w")).await;
    let second = Rig::start(options(), &catalog).await.expect("it stands by");
    let standby = second.pipelines().await.submit(submission("p", "tasks 1")).await.expect_err("it does not lead");
    assert_eq!(show(&standby), "Unavailable: this coordinator does not lead [call the leader, or try again]");
    assert_eq!(
        second.cluster().await.get_leader(v1::GetLeaderRequest {}).await.expect_err("").code(),
        Code::Unavailable
    );

    catalog.depose();
    second.until_it_is(ServingStatus::Serving).await;
    let older = first.pipelines().await.submit(submission("old", "tasks 1")).await.expect_err("it was deposed");
    assert_eq!(older.code(), Code::Unavailable);
    assert_eq!(worker.end().await.map(|status| status.code()), Some(Code::Unavailable));
    first.until_it_is(ServingStatus::NotServing).await;
    assert_eq!(list(&second).await, [], "the older has written nothing");
    second.pipelines().await.submit(submission("new", "tasks 1")).await.expect("it leads");
    assert_eq!(catalog.snapshot().pipelines.len(), 1);

    assert_eq!(second.stop().await, Ok(()));
    first.until_it_is(ServingStatus::Serving).await;
    assert_eq!(list(&first).await.len(), 1, "the older leads again, and knows what the newer has written");
}

#[tokio::test]
async fn a_pending_change_is_made_before_shutdown() {
    let catalog = MemoryCatalog::new();
    let mut rig = Rig::with_leader(options(), &catalog).await;
    let (mut client, mut late) = (rig.pipelines().await, rig.pipelines().await);
    let call = spawn(async move { client.submit(submission("p", "wait")).await });
    let planner = rig.planner.clone();
    soon(tokio::task::spawn_blocking(move || planner.until_one_waits())).await.expect("no panic");
    let health = health(rig.channel().await).await;
    rig.begin_to_stop();
    until_health(health, ServingStatus::NotServing).await;
    let refused = late.submit(submission("late", "tasks 1")).await.expect_err("it ends");
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    rig.planner.go_on();
    let answer = soon(call).await.expect("no panic").expect("it was on its way");
    assert_eq!(answer.into_inner().version, 1);
    assert_eq!(rig.stop().await, Ok(()));
    assert_eq!(catalog.snapshot().pipelines.len(), 1);
}

#[tokio::test]
async fn a_catalog_that_is_broken_ends_the_coordinator() {
    let catalog = MemoryCatalog::new();
    let rig = Rig::with_leader(options(), &catalog).await;
    catalog.refuse_next_write(CatalogError::Corrupt("record 7 is no record".to_owned()));
    let refused = rig.pipelines().await.submit(submission("p", "tasks 1")).await.expect_err("it was not written");
    assert!([Code::Internal, Code::Unavailable].contains(&refused.code()), "{refused:?}");
    assert_eq!(rig.ended().await, Err(Error::Catalog("record 7 is no record".to_owned())));
}
