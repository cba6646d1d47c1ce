//! What one client cannot take from others.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::time::Duration;

use davy_coordinator::catalog::memory::MemoryCatalog;
use davy_proto::v1;

use super::rig::{Rig, options, show, soon, spawn, submission};

#[tokio::test]
async fn a_caller_that_calls_too_often_is_refused() {
    let mut options = options();
    options.limits.calls_per_second = NonZeroU32::MIN;
    options.limits.calls_burst = NonZeroU32::new(5).expect("not 0");
    let rig = Rig::with_leader(options, &MemoryCatalog::new()).await;
    let mut client = rig.pipelines().await;
    let refused = async {
        loop {
            if let Err(status) = client.list(v1::ListRequest::default()).await {
                return status;
            }
        }
    };
    assert_eq!(
        show(&soon(refused).await),
        "ResourceExhausted: `127.0.0.1` calls too often; 1 calls a second are allowed, and 5 at once \
         [call less often, or wait a second]"
    );
}

#[tokio::test]
async fn calls_in_progress_are_limited_in_number_and_time() {
    let mut options = options();
    options.limits.calls = 1;
    options.limits.call_timeout = Duration::from_millis(300);
    let rig = Rig::with_leader(options, &MemoryCatalog::new()).await;
    let (mut client, mut slow) = (rig.pipelines().await, rig.pipelines().await);
    let call = spawn(async move { slow.submit(submission("p", "wait")).await });
    let refused = async {
        loop {
            if let Err(status) = client.list(v1::ListRequest::default()).await {
                return status;
            }
        }
    };
    assert_eq!(
        show(&soon(refused).await),
        "ResourceExhausted: too many calls are in progress [wait a moment, and try again]"
    );
    let status = soon(call).await.expect("no panic").expect_err("the call takes too long");
    assert_eq!(
        show(&status),
        "DeadlineExceeded: the call took longer than 300ms; a change may still be made \
         [try again with the same request_id]"
    );
}

#[tokio::test]
async fn the_number_of_pipelines_of_a_tenant_is_limited() {
    let mut options = options();
    (options.limits.pipelines_per_tenant, options.limits.names_per_tenant) = (2, 3);
    let rig = Rig::with_leader(options, &MemoryCatalog::new()).await;
    let mut client = rig.pipelines().await;
    for name in ["a", "b"] {
        client.submit(submission(name, "tasks 1")).await.expect("there is room");
    }
    assert_eq!(
        show(&client.submit(submission("c", "tasks 1")).await.expect_err("one too many")),
        "ResourceExhausted: tenant `default` has 2 pipelines, which is the limit [stop some that are not needed]"
    );
    let headers = super::rig::Headers { tenant: Some("soc"), token: None };
    rig.pipelines_as(headers).await.submit(submission("c", "tasks 1")).await.expect("others have their own room");
    for name in ["b", "c"] {
        let stop = v1::StopRequest { name: name.into(), now: true };
        client.stop(v1::StopRequest { name: "b".into(), ..stop }).await.expect("it is there");
        if name == "b" {
            client.submit(submission("c", "tasks 1")).await.expect("there is room again");
        }
    }
    client.stop(v1::StopRequest { name: "c".into(), now: true }).await.expect("it runs");
    assert_eq!(
        show(&client.submit(submission("d", "tasks 1")).await.expect_err("one name too many")),
        "ResourceExhausted: tenant `default` has 3 names of pipelines, stopped ones included, which is the limit \
         [use a name again]"
    );
    client.submit(submission("b", "tasks 1")).await.expect("a name that was used");
}

/// Reads until the other end closes.
fn until_closed(mut stream: TcpStream) -> usize {
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let mut bytes = Vec::new();
    // Reset or closed: both are the end.
    match stream.read_to_end(&mut bytes) {
        Ok(_) => bytes.len(),
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
            bytes.len()
        }
    }
}

#[tokio::test]
async fn silent_connections_are_closed() {
    let mut options = options();
    options.limits.connection_idle = Duration::from_millis(200);
    let rig = Rig::with_leader(options, &MemoryCatalog::new()).await;
    let silent = TcpStream::connect(rig.grpc).expect("it listens");
    let mut half = TcpStream::connect(rig.grpc).expect("it listens");
    half.write_all(b"PRI * HTTP/2.0").expect("it takes bytes");
    for stream in [silent, half] {
        soon(tokio::task::spawn_blocking(move || until_closed(stream))).await.expect("no panic");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_others_are_served() {
    let mut options = options();
    options.limits.connections = 8;
    let rig = Rig::with_leader(options, &MemoryCatalog::new()).await;
    let mut client = rig.pipelines().await;
    client.list(v1::ListRequest::default()).await.expect("it has a connection");
    let open: Vec<TcpStream> = (0..32).map(|_| TcpStream::connect(rig.grpc).expect("the system accepts")).collect();
    let n_closed = soon(tokio::task::spawn_blocking(move || {
        let mut n_closed = 0;
        // Connections are accepted in order: the last ones are those that are closed.
        for stream in open.into_iter().rev().take(24) {
            until_closed(stream);
            n_closed += 1;
        }
        n_closed
    }));
    assert_eq!(n_closed.await.expect("no panic"), 24);
    client.submit(submission("p", "tasks 1")).await.expect("others are served");
}
