//! HTTP: metrics and health; and reflection, for people who look around.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use davy_coordinator::catalog::memory::MemoryCatalog;
use davy_proto::v1;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_reflection::pb::v1 as reflection;

use super::rig::{Rig, options, soon, submission};
use super::security::tokens_file;
use super::worker::{Worker, register};

async fn get(address: SocketAddr, path: &str, token: Option<&'static str>) -> (u16, String) {
    let path = path.to_owned();
    soon(tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).expect("it listens");
        let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: davy\r\nConnection: close\r\n{authorization}\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        (status, body.to_owned())
    }))
    .await
    .expect("no panic")
}

#[tokio::test]
async fn metrics_show_workers_tasks_and_pipelines() {
    let rig = Rig::new().await;
    let mut client = rig.pipelines().await;
    client.submit(submission("p", "tasks 2")).await.expect("accepted");
    client.submit(submission("p", "tasks 2")).await.expect_err("it runs");
    let mut worker = Worker::begin(rig.channel().await, register("w")).await;
    worker.until_it_runs(2).await;
    let counted = async {
        loop {
            // States are counted once a second.
            let (status, text) = get(rig.http, "/metrics", None).await;
            assert_eq!(status, 200);
            if text.contains("davy_coordinator_tasks{state=\"running\"} 2\n") {
                return text;
            }
        }
    };
    let text = soon(counted).await;
    for line in [
        "davy_coordinator_is_leader 1",
        "davy_coordinator_grants_total 2",
        "davy_coordinator_workers{state=\"alive\"} 1",
        "davy_coordinator_pipelines{state=\"running\"} 1",
        "davy_coordinator_pipeline_lag_messages{pipeline=\"p\",tenant=\"default\"} 0",
        "davy_coordinator_calls_total{code=\"OK\",method=\"Submit\"} 1",
        "davy_coordinator_calls_total{code=\"ALREADY_EXISTS\",method=\"Submit\"} 1",
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line} is not in {text}");
    }
    let families: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
    assert_eq!(families.len(), families.iter().collect::<BTreeSet<_>>().len(), "no family is there twice");
    let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for sample in &samples {
        assert!(families.iter().any(|family| sample.starts_with(family)), "no help: {sample}");
        assert!(!sample.contains("127.0.0.1") && !sample.contains("host-w"), "no address is a label: {sample}");
    }
}

#[tokio::test]
async fn the_leader_is_ready_and_every_coordinator_is_healthy() {
    let catalog = MemoryCatalog::new();
    let first = Rig::with_leader(options(), &catalog).await;
    let second = Rig::start(options(), &catalog).await.expect("it stands by");
    for (rig, ready) in [(&first, 200), (&second, 503)] {
        assert_eq!(get(rig.http, "/readyz", None).await, (ready, String::new()));
        assert_eq!(get(rig.http, "/healthz", None).await, (200, String::new()));
    }
    assert_eq!(get(second.http, "/other", None).await.0, 404);
    assert_eq!(first.stop().await, Ok(()));
    second.until_it_is(ServingStatus::Serving).await;
    assert_eq!(get(second.http, "/readyz", None).await.0, 200);
}

#[tokio::test]
async fn beyond_loopback_metrics_need_a_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = options();
    options.http_listen = (Ipv4Addr::UNSPECIFIED, 0).into();
    options.http_beyond_loopback = true;
    options.tokens = Some(tokens_file(&folder));
    let rig = Rig::with_leader(options, &MemoryCatalog::new()).await;
    for (token, expected) in [
        (None, 401),
        (Some("guess"), 401),
        (Some("worker"), 403),
        (Some("soc-viewer"), 403),
        (Some("viewer"), 200),
        (Some("admin"), 200),
    ] {
        let (status, body) = get(rig.http, "/metrics", token).await;
        assert_eq!(status, expected, "{token:?}");
        assert!(status == 200 || body.is_empty(), "{body}");
    }
    assert_eq!(get(rig.http, "/healthz", None).await, (200, String::new()));
    assert_eq!(get(rig.http, "/readyz", None).await, (200, String::new()));
}

#[tokio::test]
async fn services_are_found_by_reflection() {
    let rig = Rig::new().await;
    let mut client = reflection::server_reflection_client::ServerReflectionClient::new(rig.channel().await);
    let request = reflection::ServerReflectionRequest {
        message_request: Some(reflection::server_reflection_request::MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let answers = client.server_reflection_info(tokio_stream::iter([request])).await.expect("it is served");
    let answer = soon(answers.into_inner().message()).await.expect("the call lasts").expect("an answer");
    let text = format!("{answer:?}");
    for service in ["davy.v1.Pipelines", "davy.v1.Cluster", "davy.v1.Workers", "externalscaler.ExternalScaler"] {
        assert!(text.contains(service), "{service} is not in {text}");
    }
}

#[tokio::test]
async fn keda_reads_the_desired_number_of_workers() {
    use davy_proto::keda::external_scaler_client::ExternalScalerClient;
    use davy_proto::keda::{GetMetricsRequest, ScaledObjectRef};
    let rig = Rig::new().await;
    rig.pipelines().await.submit(submission("p", "tasks 2")).await.expect("accepted");
    let mut client = ExternalScalerClient::new(rig.channel().await);
    let active = async {
        loop {
            match client.is_active(ScaledObjectRef::default()).await {
                Ok(answer) if answer.get_ref().result => return,
                Ok(_) => {}
                Err(status) => assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}"),
            }
        }
    };
    soon(active).await;
    let answer = client.get_metrics(GetMetricsRequest::default()).await.expect("it is known").into_inner();
    assert_eq!(answer.metric_values[0].metric_value, 1);
    let mut cluster = rig.cluster().await;
    let scaling = cluster.get_scaling(v1::GetScalingRequest {}).await.expect("it is known").into_inner();
    assert_eq!(scaling.desired_workers, 1);
}
