//! `davy cds -ts … -tid …` over a real broker, with tenant services that are away, wrong, change their minds, and use TLS.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, StatusCode, header};
use davy_testkit::wait::until;
use davy_worker::http_client::{HttpClient, HttpClientOptions};

use super::{Got, PATIENCE, Setup, await_messages, make_topic, put_into, read, terminate};
use crate::cds::records::{Flow, PLAIN, make_model};
use crate::end_to_end::process::Davy;
use crate::run::{davy, folder, repository, text};

/// What a tenant service answers.
#[derive(Clone, Copy, Debug)]
enum Reply {
    Partition(u32),
    Status(u16),
    Body(&'static str),
}

/// Answers by tenant; the last one is repeated.
type Answers = Arc<Mutex<BTreeMap<String, VecDeque<Reply>>>>;

/// A tenant service at `<address>/api/`.
struct Service {
    address: SocketAddr,
    answers: Answers,
    /// What readers sent as `Authorization`.
    tokens: Arc<Mutex<Vec<String>>>,
}

impl Service {
    fn start(at: SocketAddr, answers: &[(&str, &[Reply])]) -> Self {
        let listener = TcpListener::bind(at).expect("the port is free");
        let address = listener.local_addr().expect("an address");
        let of = |(tenant, replies): &(&str, &[Reply])| ((*tenant).to_owned(), replies.iter().copied().collect());
        let made =
            Self { address, answers: Arc::new(Mutex::new(answers.iter().map(of).collect())), tokens: Arc::default() };
        let state = (Arc::clone(&made.answers), Arc::clone(&made.tokens));
        let router = Router::new().route("/api/{tenant}", axum::routing::get(answer)).with_state(state);
        let thread = std::thread::Builder::new().name("tenant service".to_owned());
        let served = thread.spawn(move || {
            listener.set_nonblocking(true).expect("a listener");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                axum::serve(listener, router).await
            })
        });
        drop(served.expect("a thread"));
        made
    }

    fn set(&self, tenant: &str, replies: &[Reply]) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(tenant.to_owned(), replies.iter().copied().collect());
    }

    fn url(&self) -> String {
        format!("http://{}/api/", self.address)
    }
}

type Served = State<(Answers, Arc<Mutex<Vec<String>>>)>;

async fn answer(
    UrlPath(tenant): UrlPath<String>,
    State((answers, tokens)): Served,
    headers: HeaderMap,
) -> (StatusCode, String) {
    if let Some(token) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) {
        tokens.lock().unwrap_or_else(PoisonError::into_inner).push(token.to_owned());
    }
    let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(replies) = answers.get_mut(&tenant) else { return (StatusCode::NOT_FOUND, String::new()) };
    let reply = if 1 < replies.len() { replies.pop_front() } else { replies.front().copied() };
    match reply.expect("a service has an answer") {
        Reply::Partition(number) => (StatusCode::OK, format!("{{\"partition\": {number}}}")),
        Reply::Status(code) => (StatusCode::from_u16(code).expect("a status"), String::new()),
        Reply::Body(body) => (StatusCode::OK, body.to_owned()),
    }
}

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A record that `number` distinguishes.
fn record(number: u64) -> String {
    Flow { counts: [number, 1_800, 9, 450], ..PLAIN }.record(71)
}

/// Which records came out, by their numbers.
fn numbers(got: &[Got]) -> Vec<u64> {
    let number = |message: &Got| message.text().split(',').nth(11).and_then(|text| text.parse().ok());
    got.iter().map(|message| number(message).expect("a number of packets")).collect()
}

/// `davy cds` of a tenant, or of all.
struct Tenants<'a> {
    folder: &'a Path,
    flows: &'a str,
    verdicts: &'a str,
    service: &'a str,
    more: &'a [&'a str],
}

impl Tenants<'_> {
    fn start(&self, log: &str) -> Davy {
        let more = [&["-ts", self.service, "--tenant-refresh", "200ms"], self.more].concat();
        Setup { folder: self.folder, consume: self.flows, produce: self.verdicts, more: &more }.start(log, None)
    }
}

fn await_log(davy: &mut Davy, expected: &str) {
    until(&format!("the log says `{expected}`"), PATIENCE, || {
        assert!(davy.ended().is_none(), "it ended: {}", davy.said());
        davy.said().contains(expected).then_some(())
    });
}

#[test]
fn a_tenant_service_that_is_away_is_called_until_it_answers() {
    let folder = folder(&[]);
    make_model(folder.path());
    let (flows, verdicts) = (make_topic("flows", 3), make_topic("verdicts", 3));
    (0..3).for_each(|partition| put_into(&flows, partition, &[record(u64::try_from(partition).expect("small"))]));
    // No HTTP, no answer at all, and only then a service.
    let broken = TcpListener::bind(ANY_PORT).expect("a port");
    let address = broken.local_addr().expect("an address");
    let url = format!("http://{address}/api/");
    let more = ["-tid", "7"];
    let tenants = Tenants { folder: folder.path(), flows: &flows, verdicts: &verdicts, service: &url, more: &more };
    let mut davy = tenants.start("davy.log");
    let (mut first, _) = broken.accept().expect("a request");
    first.write_all(b"SSH-2.0-x\r\n\r\n").expect("written");
    drop(first);
    drop(broken.accept().expect("another request"));
    drop(broken);
    let _service = Service::start(address, &[("7", &[Reply::Status(503), Reply::Status(429), Reply::Partition(1)])]);
    assert_eq!(numbers(&await_messages(&mut davy, &verdicts, 1, 1)), [1]);
    put_into(&flows, 0, &[record(10)]);
    put_into(&flows, 1, &[record(11)]);
    assert_eq!(numbers(&await_messages(&mut davy, &verdicts, 1, 2)), [1, 11]);
    let said = davy.said();
    assert!(said.contains("no partition is known yet"), "{said}");
    terminate(davy);
    assert_eq!([0, 2].map(|partition| read(&verdicts, partition).len()), [0, 0], "the partitions of others");
}

#[test]
fn sigterm_ends_the_wait_for_a_tenant_service() {
    let folder = folder(&[]);
    make_model(folder.path());
    let more = ["-tid", "7"];
    let tenants =
        Tenants { folder: folder.path(), flows: "in", verdicts: "out", service: "http://127.0.0.1:1/", more: &more };
    let mut davy = tenants.start("davy.log");
    await_log(&mut davy, "no partition is known yet");
    terminate(davy);
}

#[test]
fn answers_that_no_repetition_changes_end_with_exit_code_2() {
    let folder = folder(&[("tenants.toml", "[[tenant]]\nid = \"x\"")]);
    make_model(folder.path());
    let replies: [(&str, &[Reply]); 3] = [
        ("closed", &[Reply::Status(403)]),
        ("text", &[Reply::Body("three")]),
        ("below", &[Reply::Body("{\"partition\": -3}")]),
    ];
    let service = Service::start(ANY_PORT, &replies);
    let url = service.url();
    let cases: [(&[&str], &str); 10] = [
        (&["-ts", &url, "-tid", "unknown"], "/api/unknown`: HTTP status 404; check -ts and -tid"),
        (&["-ts", &url, "-tid", "closed"], "HTTP status 403"),
        (&["-ts", &url, "-tid", "text"], "the answer `three` names no partition"),
        (&["-ts", &url, "-tid", "below"], "the answer `{\"partition\": -3}` names no partition"),
        (&["-ts", "tenants/", "-tid", "7"], "neither http:// nor https://"),
        (&["-ts", "http://t/ /", "-tid", "7"], "has blanks"),
        (&["-ts", &url, "-tid", "all"], "`-tid all` needs the list of all tenants; give it with --tenants"),
        (&["-ts", &url, "-tid", "7", "--tenants", "tenants.toml"], "--tenants is for `-tid all`"),
        (&["-ts", &url, "-tid", "all", "--tenants", "none.toml"], "tenants file `none.toml`"),
        (&["-ts", &url, "-tid", "all", "--tenants", "tenants.toml"], "/api/x`: HTTP status 404"),
    ];
    for (more, expected) in cases {
        let arguments =
            [&["cds", "-b", "127.0.0.1:1", "-c", "in", "-p", "out", "--model", "model/card.toml"], more].concat();
        let output = davy(folder.path(), &arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{more:?}: {said}");
        assert!(said.contains(expected), "{more:?} should say {expected}: {said}");
    }
}

#[test]
fn a_tenant_that_moves_continues_on_its_new_partition() {
    let folder = folder(&[("token", "t0k3n\n")]);
    make_model(folder.path());
    let (flows, verdicts) = (make_topic("flows", 2), make_topic("verdicts", 2));
    let service = Service::start(ANY_PORT, &[("7", &[Reply::Partition(0)])]);
    let url = service.url();
    let more = ["-tid", "7", "--tenant-token-file", "token"];
    let tenants = Tenants { folder: folder.path(), flows: &flows, verdicts: &verdicts, service: &url, more: &more };
    let mut davy = tenants.start("davy.log");
    put_into(&flows, 0, &[record(1)]);
    assert_eq!(numbers(&await_messages(&mut davy, &verdicts, 0, 1)), [1]);
    // Trouble of the service moves nothing.
    service.set("7", &[Reply::Status(500), Reply::Status(404), Reply::Partition(1)]);
    await_log(&mut davy, "keeps its partition");
    put_into(&flows, 1, &[record(2)]);
    assert_eq!(numbers(&await_messages(&mut davy, &verdicts, 1, 1)), [2]);
    service.set("7", &[Reply::Partition(0)]);
    put_into(&flows, 0, &[record(3)]);
    assert_eq!(numbers(&await_messages(&mut davy, &verdicts, 0, 2)), [1, 3], "nothing is lost or repeated");
    let said = davy.said();
    terminate(davy);
    let tokens = service.tokens.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(!tokens.is_empty() && tokens.iter().all(|token| token == "Bearer t0k3n"), "{tokens:?}");
    assert!(!said.contains("t0k3n"), "{said}");
}

#[test]
fn one_process_serves_all_tenants_and_one_that_fails_stops_no_other() {
    let file = "[[tenant]]\nid = \"lax\"\nthreshold = 0.0\n[[tenant]]\nid = \"strict\"\nthreshold = 1.0\nmessages_per_second = 1000\n\
                [[tenant]]\nid = \"new\"\n[[tenant]]\nid = \"twin\"\n";
    let folder = folder(&[("tenants.toml", file)]);
    make_model(folder.path());
    let (flows, verdicts) = (make_topic("flows", 3), make_topic("verdicts", 3));
    let partition = |number| vec![Reply::Partition(number)];
    let service =
        Service::start(ANY_PORT, &[("lax", &partition(0)), ("strict", &partition(1)), ("new", &[Reply::Status(404)])]);
    (0..3).for_each(|number| put_into(&flows, number, &[record(u64::try_from(number).expect("small"))]));
    let url = service.url();
    let http = TcpListener::bind(ANY_PORT).and_then(|listener| listener.local_addr()).expect("a port").to_string();
    let more = ["-tid", "all", "--tenants", "tenants.toml", "--http", &http];
    let tenants = Tenants { folder: folder.path(), flows: &flows, verdicts: &verdicts, service: &url, more: &more };
    let mut running = tenants.start("davy.log");
    let severity = |got: &[Got]| got[0].severity.clone();
    assert_eq!(severity(&await_messages(&mut running, &verdicts, 0, 1)).as_deref(), Some("high"));
    assert_eq!(severity(&await_messages(&mut running, &verdicts, 1, 1)).as_deref(), Some("none"));
    await_log(&mut running, "tenant=\"new\"");
    let health = || davy(folder.path(), &["health", &http]);
    let not_ready = health();
    assert_eq!(not_ready.status.code(), Some(1));
    assert!(text(&not_ready.stderr).contains("does not run: tenant service"), "{}", text(&not_ready.stderr));

    // A partition belongs to one tenant.
    service.set("twin", &[Reply::Partition(1)]);
    await_log(&mut running, "gives partition 1 to tenant `twin`, and tenant `strict` has it");
    service.set("new", &[Reply::Partition(2)]);
    assert_eq!(numbers(&await_messages(&mut running, &verdicts, 2, 1)), [2]);
    // `strict` moves away, and its partition is free for the other.
    service.set("strict", &[Reply::Status(404)]);
    service.set("lax", &[Reply::Status(404)]);
    put_into(&flows, 1, &[record(5)]);
    assert_eq!(numbers(&await_messages(&mut running, &verdicts, 1, 2)), [1, 5], "a tenant keeps its partition");
    terminate(running);
}

#[test]
fn readiness_and_metrics_of_a_process_are_served() {
    let folder = folder(&[]);
    make_model(folder.path());
    let (flows, verdicts) = (make_topic("flows", 1), make_topic("verdicts", 1));
    put_into(&flows, 0, &[record(1), "no record".to_owned()]);
    let http = TcpListener::bind(ANY_PORT).and_then(|listener| listener.local_addr()).expect("a port").to_string();
    let more = ["--http", &http];
    let setup = Setup { folder: folder.path(), consume: &flows, produce: &verdicts, more: &more };
    let mut running = setup.start("davy.log", None);
    await_messages(&mut running, &verdicts, 0, 1);
    let healthy = davy(folder.path(), &["health", &http]);
    assert_eq!((healthy.status.code(), text(&healthy.stdout).as_str()), (Some(0), "ok\n"));
    let metrics = page(&http, "/metrics");
    let pipeline = format!("pipeline=\"cds-{flows}-{verdicts}\"");
    for expected in [
        format!("davy_source_rows_total{{{pipeline}}} 1"),
        format!("davy_source_bad_records_total{{reason=\"too_short\",{pipeline}}} 1"),
        format!("davy_pipeline_running{{{pipeline}}} 1"),
        format!("davy_function_rows_total{{function=\"mining_confidence\",{pipeline}}} 1"),
    ] {
        assert!(metrics.contains(&expected), "{expected} in {metrics}");
    }
    terminate(running);
    let gone = davy(folder.path(), &["health", &http]);
    assert_eq!(gone.status.code(), Some(1), "{}", text(&gone.stderr));
}

fn page(address: &str, path: &str) -> String {
    let client = HttpClient::new(&HttpClientOptions::default()).expect("a client");
    text(&client.get(&format!("http://{address}{path}")).expect("an answer").body)
}

/// `openssl s_server`, which serves the files of its folder over TLS.
struct TlsServer(Child);

impl Drop for TlsServer {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_tenant_service_with_tls_is_trusted_by_its_authority_and_may_want_a_certificate() {
    let folder = folder(&[]);
    let root = folder.path();
    std::fs::create_dir(root.join("api")).expect("a folder");
    std::fs::write(root.join("api/7"), "{\"partition\": 0}").expect("written");
    make_model(root);
    let authority = certificates(root);
    let port =
        TcpListener::bind(ANY_PORT).and_then(|listener| listener.local_addr()).expect("a port").port().to_string();
    let server = Command::new("openssl")
        .args(["s_server", "-WWW", "-quiet", "-accept", &port, "-cert", "server.pem", "-key", "server.key"])
        .args(["-Verify", "1", "-verify_return_error", "-CAfile", &authority])
        .current_dir(root)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _server = TlsServer(server.expect("openssl is here"));
    until("the server listens", PATIENCE, || std::net::TcpStream::connect(format!("127.0.0.1:{port}")).ok());
    let (flows, verdicts) = (make_topic("flows", 1), make_topic("verdicts", 1));
    put_into(&flows, 0, &[record(1)]);
    let url = format!("https://localhost:{port}/api/");
    let trusting: [&str; 8] =
        ["-tid", "7", "--tenant-ca", &authority, "--tenant-cert", "client.pem", "--tenant-key", "client.key"];
    // Without the authority the server is not trusted; without a certificate the client is not. Both may be mended while Davy waits.
    for (number, more) in [&trusting[..2], &trusting[..4]].into_iter().enumerate() {
        let tenants = Tenants { folder: root, flows: &flows, verdicts: &verdicts, service: &url, more };
        let mut davy = tenants.start(&format!("{number}.log"));
        await_log(&mut davy, "no partition is known yet");
        terminate(davy);
    }
    let tenants = Tenants { folder: root, flows: &flows, verdicts: &verdicts, service: &url, more: &trusting };
    let mut davy = tenants.start("trusting.log");
    assert_eq!(numbers(&await_messages(&mut davy, &verdicts, 0, 1)), [1]);
    terminate(davy);
}

/// Writes an authority and what it has signed for a server and a client; returns the authority's file.
fn certificates(folder: &Path) -> String {
    let write = |name: &str, pem: String| std::fs::write(folder.join(name), pem).expect("written");
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "authority");
    let key = rcgen::KeyPair::generate().expect("a key");
    write("ca.pem", params.self_signed(&key).expect("a certificate").pem());
    let issuer = rcgen::Issuer::new(params, key);
    for name in ["server", "client"] {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        // OpenSSL takes a certificate with the name of its authority for one that signed itself.
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        write(&format!("{name}.pem"), params.signed_by(&key, &issuer).expect("a certificate").pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
    folder.join("ca.pem").to_string_lossy().into_owned()
}

/// The line `args: […]` of a manifest.
fn arguments(manifest: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository().join("deploy/cds").join(manifest)).expect("a manifest");
    let line = text.lines().find_map(|line| line.trim().strip_prefix("args:")).expect("arguments");
    serde_json::from_str(line).expect("a list of texts")
}

#[test]
fn the_arguments_of_the_manifests_are_those_of_the_command() {
    let service = Service::start(ANY_PORT, &[("1", &[Reply::Partition(4)])]);
    for (manifest, expected) in [
        ("crypto-detection-singletenant.yaml", "SET pipeline = 'cds-cds-input-cds-output';"),
        ("crypto-detection-multitenants.yaml", "SET pipeline = 'cds-cds-input-cds-output-4';"),
    ] {
        let given =
            arguments(manifest).into_iter().map(|word| word.replace("http://tenants:8080/tenants/", &service.url()));
        let given: Vec<String> = given.chain(["--print-sql".to_owned()]).collect();
        let words: Vec<&str> = ["cds"].into_iter().chain(given.iter().map(String::as_str)).collect();
        let output = davy(&repository(), &words);
        assert!(text(&output.stdout).contains(expected), "{manifest}: {}", text(&output.stderr));
    }
}
