//! Calls that last: Watch and Tail.

use davy_coordinator::catalog::memory::MemoryCatalog;
use davy_proto::v1;
use tonic::{Code, Status, Streaming};

use super::rig::{Pipelines, Rig, code, options, show, soon, submission};
use super::worker::{Worker, register};

async fn watch(client: &mut Pipelines, name: &str) -> Streaming<v1::PipelineEvent> {
    client.watch(v1::WatchRequest { name: name.to_owned() }).await.expect("it may watch").into_inner()
}

async fn next(stream: &mut Streaming<v1::PipelineEvent>) -> String {
    let event = soon(stream.message()).await.expect("the call lasts").expect("an event");
    let caught_up = if event.is_caught_up { "" } else { " …" };
    match event.pipeline {
        Some(pipeline) => format!("{} {:?} v{}{caught_up}", pipeline.name, pipeline.state(), pipeline.version),
        None => format!("nothing{caught_up}"),
    }
}

/// Events show the present state, so that any of them may be left out or sent twice.
async fn until(stream: &mut Streaming<v1::PipelineEvent>, expected: &str) {
    while next(stream).await != expected {}
}

#[tokio::test]
async fn a_watcher_sees_the_present_state_and_each_change() {
    let rig = Rig::new().await;
    let mut client = rig.pipelines().await;
    let mut stream = watch(&mut client, "").await;
    assert_eq!(next(&mut stream).await, "nothing");
    for name in ["a", "b"] {
        client.submit(submission(name, "tasks 1")).await.expect("accepted");
        until(&mut stream, &format!("{name} Waiting v1")).await;
    }
    let mut second = watch(&mut client, "").await;
    assert_eq!(next(&mut second).await, "a Waiting v1 …");
    assert_eq!(next(&mut second).await, "b Waiting v1");
    let mut one = watch(&mut client, "b").await;
    assert_eq!(next(&mut one).await, "b Waiting v1");
    let mut worker = Worker::begin(rig.channel().await, register("w")).await;
    worker.until_it_runs(2).await;
    until(&mut one, "b Running v1").await;
    client.stop(v1::StopRequest { name: "b".into(), now: false }).await.expect("it runs");
    worker.until_it_runs(1).await;
    until(&mut one, "b Stopped v2").await;
    until(&mut second, "a Running v1").await;
    assert_eq!(rig.stop().await, Ok(()));
    assert_eq!(end(&mut one).await.code(), Code::Unavailable);
}

async fn end<T>(stream: &mut Streaming<T>) -> Status {
    loop {
        match soon(stream.message()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ends with an error"),
            Err(status) => return status,
        }
    }
}

#[tokio::test]
async fn rows_are_sampled_and_those_left_out_are_counted() {
    let rig = Rig::new().await;
    let mut client = rig.pipelines().await;
    client.submit(submission("p", "tasks 1")).await.expect("accepted");
    let request = v1::TailRequest { name: "p".into(), limit: 25, from_beginning: true, ..Default::default() };
    let mut stream = client.tail(request).await.expect("it may look").into_inner();
    let (mut offsets, mut skipped) = (Vec::new(), 0);
    while let Some(answer) = soon(stream.message()).await.expect("it ends well") {
        skipped += answer.skipped;
        offsets.extend(answer.rows.iter().map(|row| row.offset));
    }
    assert_eq!(offsets.len(), 25);
    assert_eq!(offsets[..10], (0..10).collect::<Vec<i64>>());
    assert!(offsets.is_sorted_by(|a, b| a < b) && skipped > 0, "{offsets:?} {skipped}");
}

#[tokio::test]
async fn the_number_of_streams_of_a_client_is_limited() {
    let mut options = options();
    options.limits.streams_per_caller = 2;
    options.limits.tails = 1;
    let rig = Rig::with_leader(options, &MemoryCatalog::new()).await;
    let mut client = rig.pipelines().await;
    client.submit(submission("p", "tasks 1")).await.expect("accepted");
    let tail = || v1::TailRequest { name: "p".into(), ..Default::default() };
    let first = client.tail(tail()).await.expect("the first").into_inner();
    assert_eq!(
        show(&client.tail(tail()).await.expect_err("one thread")),
        "ResourceExhausted: too many Tail calls are open [end some Tail calls, or try again later]"
    );
    let second = watch(&mut client, "").await;
    let too_many = client.watch(v1::WatchRequest::default()).await.expect_err("the third");
    assert_eq!(show(&too_many), "ResourceExhausted: `127.0.0.1` has 2 streams open; 2 are allowed [end some of them]");
    drop((first, second));
    let again = async { while client.watch(v1::WatchRequest::default()).await.is_err() {} };
    soon(again).await;
}

#[tokio::test]
async fn a_tenant_cannot_read_rows_of_another() {
    let rig = Rig::new().await;
    let headers = super::rig::Headers { tenant: Some("soc"), token: None };
    rig.pipelines_as(headers).await.submit(submission("p", "tasks 1")).await.expect("accepted");
    let mut client = rig.pipelines().await;
    let tail = v1::TailRequest { name: "p".into(), ..Default::default() };
    assert_eq!(code(client.tail(tail).await), Code::NotFound);
}
