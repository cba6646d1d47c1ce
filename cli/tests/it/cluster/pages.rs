//! Pages over HTTP, for monitoring.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::node::PATIENCE;
use super::rig::Rig;
use crate::run::text;
use crate::trial::alone;
use crate::trial::pipeline::Script;
use davy_testkit::wait::until;

const ANSWER: Duration = Duration::from_secs(10);

pub(super) struct Page {
    pub(super) code: u16,
    pub(super) body: String,
}

/// Gets a page; `None` when nobody answers.
pub(super) fn get(port: u16, path: &str) -> Option<Page> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let answer = text(&bytes);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    Some(Page { code, body: body.to_owned() })
}

/// What is wrong with a page of metrics, by us and by Prometheus' own tool.
pub(super) fn complaints(page: &str) -> Vec<String> {
    let mut complaints = families(page);
    complaints.extend(promtool(page).expect("promtool is installed; run: make setup"));
    complaints
}

/// A family is described once, and all its samples follow.
fn families(page: &str) -> Vec<String> {
    let mut known = BTreeSet::new();
    let mut samples = BTreeSet::new();
    let mut complaints = Vec::new();
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next()) {
            if !known.insert(name.to_owned()) {
                complaints.push(format!("two families are called {name}"));
            }
        } else if let Some((series, _)) = line.rsplit_once(' ').filter(|_| !line.starts_with('#'))
            && !samples.insert(series.to_owned())
        {
            complaints.push(format!("{series} stands there twice"));
        }
    }
    complaints
}

/// What `promtool check metrics` says; an error where it is not installed.
fn promtool(page: &str) -> std::io::Result<Vec<String>> {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().expect("piped").write_all(page.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = text(&output.stdout) + &text(&output.stderr);
    Ok(said.lines().map(str::to_owned).collect())
}

#[test]
fn pages_for_monitoring_are_as_prometheus_wants_them() {
    let _alone = alone();
    let mut rig = Rig::new(0, 1_000, 1, Script::default());
    rig.goes_on();
    let coordinator = rig.seats[0].as_ref().expect("it runs").ports.http;
    let worker = rig.workers.values().next().expect("it runs").http;
    for (port, prefixes) in [(coordinator, &["davy_"][..]), (worker, &["davy_"])] {
        let page = get(port, "/metrics").expect("an answer");
        assert_eq!(page.code, 200, "{}", page.body);
        assert!(prefixes.iter().all(|prefix| page.body.contains(&format!("# TYPE {prefix}"))), "{}", page.body);
        assert_eq!(complaints(&page.body), [""; 0], "{}", page.body);
        for path in ["/healthz", "/readyz"] {
            assert_eq!(get(port, path).map(|page| page.code), Some(200), "{path} of one that works");
        }
        assert_eq!(get(port, "/nothing").map(|page| page.code), Some(404));
    }
    // A worker that nobody attends to lives, and is not ready.
    rig.kill_coordinator(0);
    until("the worker says so", PATIENCE, || (get(worker, "/readyz")?.code == 503).then_some(()));
    assert_eq!(get(worker, "/healthz").map(|page| page.code), Some(200));
}

#[test]
fn a_family_that_comes_twice_is_found() {
    let twice = "# HELP a b\n# TYPE a gauge\na 1\n# TYPE b gauge\nb{x=\"1\"} 1\n# TYPE a gauge\na 2\n";
    assert_eq!(families(twice), ["two families are called a", "a stands there twice"]);
    assert_eq!(families("# TYPE b gauge\nb{x=\"1\"} 1\nb{x=\"2\"} 1\n"), [""; 0]);
}
