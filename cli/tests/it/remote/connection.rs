//! How the command line finds a coordinator and authenticates itself.

use std::path::Path;

use tonic::Status;
use tonic::transport::{Certificate, Identity};

use super::server::{Answers, Coordinator};
use super::{command, printed, query};
use crate::run::{folder, text};

/// The address of a port at which no process listens.
fn unused_url() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

#[test]
fn the_next_address_is_tried_when_one_is_away_or_does_not_lead() {
    let stands_by =
        Coordinator::start(Answers { refusals: vec![Status::unavailable("b leads")], ..Answers::default() });
    let leads = Coordinator::start(Answers::default());
    let urls = format!("{},{},{}", unused_url(), stands_by.url, leads.url);
    assert_eq!(printed(&urls, &["list"]), "no pipelines\n");
    assert_eq!((stands_by.requests().len(), leads.requests().len()), (1, 1));
}

#[test]
fn a_coordinator_that_is_not_there_is_named() {
    let url = unused_url();
    let output = query(Path::new("."), &url, &["list"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with(&format!("error: no coordinator answers at `{url}`: Connection refused")), "{said}");
}

#[test]
fn a_wrong_connection_is_refused_before_anything_is_sent() {
    let folder = folder(&[("token", "secret\n"), ("empty", "\n"), ("no.pem", "")]);
    let cases: &[(&str, &[&str], &str)] = &[
        ("127.0.0.1:9640", &[], "is no URL of http:// or https://"),
        ("ftp://127.0.0.1", &[], "is no URL of http:// or https://"),
        ("https://127.0.0.1:1", &[], "needs --ca"),
        ("https://127.0.0.1:1", &["--ca", "none.pem"], "file `none.pem` cannot be read"),
        ("http://127.0.0.1:1", &["--token-file", "none"], "file `none` cannot be read"),
        ("http://127.0.0.1:1", &["--token-file", "empty"], "file `empty` holds no token"),
        (
            "http://10.0.0.1:1",
            &["--token-file", "token"],
            "would get the token over a network in clear text; use https://",
        ),
        ("http://127.0.0.1:1", &["--cert", "no.pem"], "--key"),
        ("http://127.0.0.1:1", &["--token", "secret"], "unexpected argument '--token'"),
        ("http://127.0.0.1:1", &["-o", "csv"], "invalid value 'csv'"),
    ];
    for (url, arguments, expected) in cases {
        let output = query(folder.path(), url, &[&["list"], *arguments].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{url} {arguments:?}: {said}");
        assert!(said.contains(expected), "{url} {arguments:?} should say {expected}: {said}");
    }
}

#[test]
fn the_token_comes_from_its_file_or_the_environment() {
    let folder = folder(&[("token", "secret\n")]);
    let coordinator = Coordinator::start(Answers::default());
    let runs = [
        command(folder.path(), &coordinator.url, &["list", "--token-file", "token", "--tenant", "soc"]),
        command(folder.path(), &coordinator.url, &["list"]),
        command(folder.path(), &coordinator.url, &["list"]),
    ];
    for (index, mut run) in runs.into_iter().enumerate() {
        if index == 1 {
            run.env("DAVY_TOKEN", "other");
        }
        assert!(run.output().expect("the binary starts").status.success());
    }
    let metadata = coordinator.metadata();
    let metadata: Vec<(&str, &str)> =
        metadata.iter().map(|(token, tenant)| (token.as_str(), tenant.as_str())).collect();
    assert_eq!(metadata, [("Bearer secret", "soc"), ("Bearer other", ""), ("", "")]);
}

#[test]
fn both_sides_show_their_certificates() {
    let made = Certificates::new();
    let coordinator = Coordinator::start_with_tls(
        Answers::default(),
        Identity::from_pem(&made.server.0, &made.server.1),
        Certificate::from_pem(&made.ca),
    );
    let (cert, key) = &made.client;
    let folder = folder(&[("ca.pem", &made.ca), ("cert.pem", cert), ("key.pem", key), ("token", "secret")]);
    let with_ca: &[&str] = &["list", "--ca", "ca.pem", "--token-file", "token"];
    let with_both =
        query(folder.path(), &coordinator.url, &[with_ca, &["--cert", "cert.pem", "--key", "key.pem"]].concat());
    assert_eq!(with_both.status.code(), Some(0), "{}", text(&with_both.stderr));
    assert_eq!(coordinator.metadata(), [("Bearer secret".to_owned(), String::new())]);
    let unknown = query(folder.path(), &coordinator.url, with_ca);
    assert_eq!(unknown.status.code(), Some(1), "a client without a certificate: {}", text(&unknown.stderr));
    assert_eq!(coordinator.requests().len(), 1);
}

/// Certificates and keys in PEM.
struct Certificates {
    ca: String,
    server: (String, String),
    client: (String, String),
}

impl Certificates {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut ca = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = ca.self_signed(&key).expect("a certificate").pem();
        let issuer = rcgen::Issuer::new(ca, key);
        let signed = |name: &str| {
            let key = rcgen::KeyPair::generate().expect("a key");
            let certificate = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("parameters");
            let certificate = certificate.signed_by(&key, &issuer).expect("a certificate");
            (certificate.pem(), key.serialize_pem())
        };
        let (server, client) = (signed("127.0.0.1"), signed("client"));
        Self { ca: pem, server, client }
    }
}
