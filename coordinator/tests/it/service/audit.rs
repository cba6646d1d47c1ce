//! The audit: a line for each change, and nothing secret in any line that is logged.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use davy_coordinator::audit::digest;
use davy_coordinator::catalog::memory::MemoryCatalog;
use davy_coordinator::options::Options;
use davy_proto::v1;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::rig::{Headers, Rig, options, submission};
use super::security::tokens_file;

/// Keeps all that is logged, with its thread: a log of one thread alone misses what another test has logged first.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(ThreadId, String)>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).expect("memory can be written");
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("davy")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().target().to_owned());
        event.record(&mut line);
        self.0.lock().expect("no panic").push((std::thread::current().id(), line.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The runtime of a test has one thread, so that the audit of this thread is that of the coordinator.
#[tokio::test]
async fn a_change_leaves_a_line_and_secrets_leave_none() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).expect("no other test keeps what is logged");
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { tokens: Some(tokens_file(&folder)), ..options() };
    let rig = Rig::with_leader(options, &MemoryCatalog::new()).await;
    let sql = "tasks 1 hunter2";
    let settings = || [("flows.password".to_owned(), "hunter2".to_owned())].into();
    let request = |name: &str, sql: &str| v1::SubmitRequest { settings: settings(), ..submission(name, sql) };
    let headers = |token| Headers { token: Some(token), tenant: None };
    let mut operator = rig.pipelines_as(headers("soc-operator")).await;
    operator.submit(request("p", sql)).await.expect("it may");
    operator.submit(request("p", sql)).await.expect_err("it runs");
    operator.submit(request("q", "wrong hunter2")).await.expect_err("it is wrong");
    operator.submit(request("q", &"hunter2".repeat(99_999))).await.expect_err("it is too long");
    operator.stop(v1::StopRequest { name: "p".into(), now: true }).await.expect("it may");
    operator.list(v1::ListRequest::default()).await.expect("it may");
    let mut viewer = rig.pipelines_as(headers("soc-viewer")).await;
    viewer.submit(request("p", sql)).await.expect_err("it may not");
    let mut stranger = rig.pipelines_as(headers("hunter2")).await;
    stranger.submit(request("p", sql)).await.expect_err("the token is unknown");

    let lines = log.0.lock().expect("no panic").clone();
    let here = std::thread::current().id();
    let is_audit = |(thread, line): &&(ThreadId, String)| *thread == here && line.starts_with("davy_audit ");
    let audit: Vec<&str> = lines.iter().filter(is_audit).map(|(_, line)| line.as_str()).collect();
    let digest = digest(sql);
    let submit = "peer=\"127.0.0.1\" action=\"Submit\"";
    let who = "who=\"soc-operator\" role=\"operator\"";
    let expected = [
        format!("{who} {submit} tenant=\"soc\" name=\"p\" sql_sha256=\"{digest}\" code=\"OK\""),
        format!("{who} {submit} tenant=\"soc\" name=\"p\" sql_sha256=\"{digest}\" code=\"ALREADY_EXISTS\""),
        format!("{who} {submit} tenant=\"soc\" name=\"q\" sql_sha256="),
        format!("{who} {submit} tenant=\"soc\" name=\"q\" sql_sha256="),
        format!("{who} peer=\"127.0.0.1\" action=\"Stop\" tenant=\"soc\" name=\"p\" sql_sha256=\"\" code=\"OK\""),
        format!(
            "who=\"soc-viewer\" role=\"viewer\" {submit} tenant=\"\" name=\"\" sql_sha256=\"\" code=\"PERMISSION_DENIED\""
        ),
        format!("who=\"\" role=\"\" {submit} tenant=\"\" name=\"\" sql_sha256=\"\" code=\"UNAUTHENTICATED\""),
    ];
    assert_eq!(audit.len(), expected.len(), "{audit:#?}");
    for (line, expected) in audit.iter().zip(&expected) {
        assert!(line.contains(expected), "{line} is not {expected}");
    }
    let secret = lines.iter().map(|(_, line)| line).find(|line| line.contains("hunter2"));
    assert_eq!(secret, None);
}
