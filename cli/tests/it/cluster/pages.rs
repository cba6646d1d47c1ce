//! Pages over HTTP, for monitoring.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::node::PATIENCE;
use super::rig::Rig;
use crate::end_to_end::alone;
use crate::end_to_end::pipeline::Script;
use crate::run::{repository, text};
use davy_testkit::wait::until;

const ANSWER: Duration = Duration::from_secs(10);

pub(super) struct Page {
    pub(super) code: u16,
    pub(super) body: String,
}

/// Gets a page; `None` when no process answers.
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
    // A worker without a session is alive, and is not ready.
    rig.kill_coordinator(0);
    until("the worker says so", PATIENCE, || (get(worker, "/readyz")?.code == 503).then_some(()));
    assert_eq!(get(worker, "/healthz").map(|page| page.code), Some(200));
}

/// A family of metrics: name, type, and labels in order.
type Family = (String, String, BTreeSet<String>);

/// The families on a page of metrics. `le` of a histogram is no label of its own.
fn exported(page: &str) -> BTreeSet<Family> {
    let mut families = BTreeSet::new();
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    for (name, kind) in types {
        let mut labels = BTreeSet::new();
        for series in page.lines().filter(|line| !line.starts_with('#')) {
            let (sample, rest) = series.split_once(['{', ' ']).expect("a sample has a value");
            let of_histogram = ["_bucket", "_sum", "_count"].iter().any(|part| sample.strip_suffix(part) == Some(name));
            if sample == name || (kind == "histogram" && of_histogram) {
                let pairs = rest.split_once('}').map_or("", |(pairs, _)| pairs).split("\",");
                labels.extend(pairs.filter_map(|pair| Some(pair.split_once('=')?.0.to_owned())));
            }
        }
        labels.remove("le");
        families.insert((name.to_owned(), kind.to_owned(), labels));
    }
    families
}

/// The families in the tables of docs/operations.md, under the heading Metrics.
fn documented() -> BTreeSet<Family> {
    let page = std::fs::read_to_string(repository().join("docs/operations.md")).expect("the page is there");
    let (_, section) = page.split_once("\n## Metrics\n").expect("a heading Metrics");
    let section = section.split("\n## ").next().expect("a section");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let &[_, name, kind, labels, ..] = cells.as_slice() else { return None };
        let name = name.strip_prefix("`davy_")?.strip_suffix('`')?;
        let labels =
            labels.split(", ").map(|label| label.trim_matches('`').to_owned()).filter(|label| !label.is_empty());
        Some((format!("davy_{name}"), kind.to_owned(), labels.collect()))
    };
    section.lines().filter_map(row).collect()
}

#[test]
fn the_documentation_lists_the_metrics_that_are_exported() {
    let _alone = alone();
    let rig = Rig::new(0, 1_000, 1, Script::default());
    let card = repository().join("engine/tests/models/tiny/card.toml").display().to_string();
    let names = rig.folder().join("names.csv");
    std::fs::write(&names, "a,first\n").expect("written");
    let script = format!(
        "CREATE FUNCTION score USING MODEL '{card}';\n\
         CREATE TABLE flows (ts TIMESTAMP, k TEXT, n BIGINT, WATERMARK FOR ts) WITH (connector = 'kafka', \
         bootstrap_servers = '${{env:DAVY_KAFKA}}', topic = 'flows', type = 'source', format = 'csv');\n\
         CREATE TABLE names (k TEXT, name TEXT) WITH (connector = 'lookup', path = '{}', format = 'csv', key = 'k');\n\
         CREATE TABLE nowhere (s DOUBLE, name TEXT) WITH (connector = 'blackhole');\n\
         INSERT INTO nowhere SELECT score(n * 1.0, n * 1.0), name FROM flows LEFT JOIN names ON names.k = flows.k;\n",
        names.display()
    );
    std::fs::write(rig.folder().join("scores.sql"), script).expect("written");
    rig.client().must(&["submit", "scores.sql", "--name", "scores", "--wait"]);
    let coordinator = rig.seats[0].as_ref().expect("it runs").ports.http;
    let worker = rig.workers.values().next().expect("it runs").http;
    let pages = [coordinator, worker].map(|port| get(port, "/metrics").expect("an answer").body);
    let exported: BTreeSet<Family> = pages.iter().flat_map(|page| exported(page)).collect();
    let documented = documented();
    let missing: Vec<&Family> = documented.difference(&exported).collect();
    let unknown: Vec<&Family> = exported.difference(&documented).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "documented only: {missing:#?}, exported only: {unknown:#?}");
}

#[test]
fn the_families_of_a_page_have_their_labels() {
    let page = "# TYPE a counter\na{x=\"1, y\",z=\"}\"} 1\n# TYPE b histogram\nb_bucket{le=\"1\",x=\"2\"} 1\nb_sum{x=\"2\"} 1\n# TYPE c gauge\nc 1\n";
    let family = |name: &str, kind: &str, labels: &[&str]| {
        (name.to_owned(), kind.to_owned(), labels.iter().map(|&label| label.to_owned()).collect())
    };
    let expected = [family("a", "counter", &["x", "z"]), family("b", "histogram", &["x"]), family("c", "gauge", &[])];
    assert_eq!(exported(page), expected.into());
}

#[test]
fn a_family_that_comes_twice_is_found() {
    let twice = "# HELP a b\n# TYPE a gauge\na 1\n# TYPE b gauge\nb{x=\"1\"} 1\n# TYPE a gauge\na 2\n";
    assert_eq!(families(twice), ["two families are called a", "a stands there twice"]);
    assert_eq!(families("# TYPE b gauge\nb{x=\"1\"} 1\nb{x=\"2\"} 1\n"), [""; 0]);
}
