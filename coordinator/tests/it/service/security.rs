//! Who may what: tokens, certificates, and what does not start.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use davy_coordinator::audit::digest;
use davy_coordinator::catalog::memory::MemoryCatalog;
use davy_coordinator::options::{Options, ServerTls};
use davy_coordinator::service::Error;
use davy_proto::domain::IdentityFiles;
use davy_proto::v1;
use davy_proto::v1::pipelines_client::PipelinesClient;
use davy_proto::v1::worker_message::Kind;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus;

use super::rig::{Headers, Pipelines, Rig, code, health, options, show, soon, submission, until_health};
use super::worker::{message, open_session, register};

/// Tokens of all roles: each is as long as its name, which is enough for a test.
const TOKENS: [(&str, &str, &str); 6] = [
    ("admin", "admin", "*"),
    ("viewer", "viewer", "*"),
    ("worker", "worker", "*"),
    ("soc-operator", "operator", "soc"),
    ("soc-viewer", "viewer", "soc"),
    ("noc-admin", "admin", "noc"),
];

fn entry((name, role, tenant): (&str, &str, &str)) -> String {
    let sha256 = digest(name);
    format!("[[token]]\nname = \"{name}\"\nsha256 = \"{sha256}\"\nrole = \"{role}\"\ntenant = \"{tenant}\"\n")
}

/// A file with [`TOKENS`].
pub(super) fn tokens_file(folder: &TempDir) -> PathBuf {
    let file = folder.path().join("tokens.toml");
    std::fs::write(&file, TOKENS.map(entry).concat()).expect("it can be written");
    file
}

fn with_tokens(folder: &TempDir) -> Options {
    Options { tokens: Some(tokens_file(folder)), ..options() }
}

fn of(token: &'static str) -> Headers {
    Headers { token: Some(token), tenant: None }
}

async fn submit(client: &mut Pipelines) -> Result<(), Status> {
    client.submit(submission("p", "tasks 1")).await.map(drop)
}

async fn list(client: &mut Pipelines) -> Result<Vec<String>, Status> {
    let list = client.list(v1::ListRequest { with_stopped: true }).await?.into_inner();
    Ok(list.pipelines.into_iter().map(|pipeline| format!("{}/{}", pipeline.tenant, pipeline.name)).collect())
}

#[tokio::test]
async fn each_role_may_make_its_calls_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = Rig::with_leader(with_tokens(&folder), &MemoryCatalog::new()).await;
    // Codes of List, Submit and OpenSession.
    for (headers, expected) in [
        (Headers::default(), [Code::Unauthenticated; 3]),
        (of("guess"), [Code::Unauthenticated; 3]),
        (of("soc-viewer"), [Code::Ok, Code::PermissionDenied, Code::PermissionDenied]),
        (of("soc-operator"), [Code::Ok, Code::Ok, Code::PermissionDenied]),
        (of("noc-admin"), [Code::Ok, Code::Ok, Code::PermissionDenied]),
        (of("admin"), [Code::Ok, Code::Ok, Code::Ok]),
        (of("worker"), [Code::PermissionDenied, Code::PermissionDenied, Code::Ok]),
    ] {
        let mut client = rig.pipelines_as(headers.clone()).await;
        let listed = list(&mut client).await.map(drop);
        let submitted = submit(&mut client).await;
        let first = message(Kind::Register(register("w")));
        let opened = open_session(rig.channel().await, headers.clone(), first).await.map(drop);
        let found = [listed, submitted, opened].map(|result| result.err().map_or(Code::Ok, |status| status.code()));
        assert_eq!(found, expected, "{headers:?}");
    }
    assert_eq!(list(&mut rig.pipelines_as(of("viewer")).await).await.expect("it may"), ["default/p", "noc/p", "soc/p"]);
    assert_eq!(list(&mut rig.pipelines_as(of("soc-viewer")).await).await.expect("it may"), ["soc/p"]);
    let mut elsewhere = rig.pipelines_as(Headers { token: Some("soc-viewer"), tenant: Some("noc") }).await;
    let refused = elsewhere.get(v1::GetRequest { name: "p".into() }).await.expect_err("it is another tenant's");
    assert_eq!(show(&refused), "NotFound: `soc-viewer` sees no tenant `noc` []");
    let refused = submit(&mut rig.pipelines_as(of("soc-viewer")).await).await.expect_err("it only looks");
    assert_eq!(
        show(&refused),
        "PermissionDenied: `soc-viewer` has the role `viewer` and may not change pipelines \
         [use a token of the role `operator`]"
    );
    // Health needs no token; `with_leader` checks it.
}

#[tokio::test]
async fn callers_that_may_not_change_settings_do_not_see_their_values() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = Rig::with_leader(with_tokens(&folder), &MemoryCatalog::new()).await;
    let settings = [("flows.password".to_owned(), "hunter2".to_owned())].into();
    let request = v1::SubmitRequest { settings, ..submission("p", "tasks 1") };
    let mut operator = rig.pipelines_as(of("soc-operator")).await;
    operator.submit(request).await.expect("it may");
    for (token, expected) in [("soc-operator", "hunter2"), ("soc-viewer", "***")] {
        let mut client = rig.pipelines_as(of(token)).await;
        let got = client.get(v1::GetRequest { name: "p".into() }).await.expect("it may look").into_inner();
        assert_eq!(got.settings["flows.password"], expected, "{token}");
        let listed = client.list(v1::ListRequest::default()).await.expect("it may look").into_inner();
        assert!(listed.pipelines[0].settings.is_empty());
    }
}

#[tokio::test]
async fn tokens_follow_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = with_tokens(&folder);
    let file = options.tokens.clone().expect("there is one");
    let rig = Rig::with_leader(options, &MemoryCatalog::new()).await;
    let mut old = rig.pipelines_as(of("viewer")).await;
    let mut new = rig.pipelines_as(of("new")).await;
    assert!(list(&mut old).await.is_ok());
    assert_eq!(code(list(&mut new).await), Code::Unauthenticated);
    std::fs::write(&file, entry(("new", "viewer", "*"))).expect("it can be written");
    let known = async { while list(&mut new).await.is_err() {} };
    soon(known).await;
    assert_eq!(code(list(&mut old).await), Code::Unauthenticated);
}

#[tokio::test]
async fn unsafe_options_stop_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("missing.toml");
    let broken = folder.path().join("broken.toml");
    std::fs::write(&broken, "[[token]]\nname = \"ann\"").expect("it can be written");
    let tls =
        ServerTls { identity: IdentityFiles { certificate: broken.clone(), key: broken.clone() }, client_ca: None };
    for (options, expected) in [
        (Options { listen: (Ipv4Addr::UNSPECIFIED, 0).into(), ..options() }, "without TLS"),
        (Options { tokens: Some(missing), ..options() }, "missing.toml: No such file"),
        (Options { tokens: Some(broken.clone()), ..options() }, "broken.toml: missing field `sha256`"),
        (Options { tls: Some(tls), ..options() }, "broken.toml"),
    ] {
        match Rig::start(options, &MemoryCatalog::new()).await.map(|_| ()) {
            Err(Error::Options(message)) => assert!(message.contains(expected), "{message}"),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

/// A root, and what it has signed: certificate and key in PEM.
struct Root {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Root {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate") }
    }

    fn sign(&self, name: &str) -> (String, String) {
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }
}

/// Options with TLS; clients need a certificate of `clients` if there is one.
fn with_tls(folder: &TempDir, root: &Root, clients: Option<&Root>) -> Options {
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("it can be written");
        file
    };
    let (certificate, key) = root.sign("localhost");
    let tls = ServerTls {
        identity: IdentityFiles { certificate: write("tls.crt", &certificate), key: write("tls.key", &key) },
        client_ca: clients.map(|clients| write("ca.crt", &clients.issuer.pem())),
    };
    Options { tls: Some(tls), listen: (Ipv4Addr::UNSPECIFIED, 0).into(), ..with_tokens(folder) }
}

async fn connect(
    rig: &Rig,
    root: &Root,
    identity: Option<(String, String)>,
) -> Result<Channel, tonic::transport::Error> {
    let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(root.issuer.pem()));
    if let Some((certificate, key)) = identity {
        config = config.identity(Identity::from_pem(certificate, key));
    }
    let address = format!("https://localhost:{}", rig.grpc.port());
    Channel::from_shared(address).expect("an address").tls_config(config)?.connect().await
}

async fn list_over(channel: Channel, headers: Headers) -> Result<Vec<String>, Status> {
    list(&mut PipelinesClient::with_interceptor(channel, headers)).await
}

#[tokio::test]
async fn over_tls_a_token_is_enough() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = Root::new();
    let rig = Rig::start(with_tls(&folder, &root, None), &MemoryCatalog::new()).await.expect("it starts");
    let channel = connect(&rig, &root, None).await.expect("its certificate is good");
    until_health(health(channel.clone()).await, ServingStatus::Serving).await;
    assert!(list_over(channel.clone(), of("viewer")).await.is_ok());
    assert_eq!(code(list_over(channel, Headers::default()).await), Code::Unauthenticated);
    assert!(connect(&rig, &Root::new(), None).await.is_err(), "another root has not signed it");
    let plain = Channel::from_shared(format!("http://127.0.0.1:{}", rig.grpc.port())).expect("an address");
    let refused =
        async { list_over(plain.connect().await.map_err(|e| Status::unavailable(e.to_string()))?, of("viewer")).await };
    assert!(soon(refused).await.is_err(), "no call is served without TLS");
}

#[tokio::test]
async fn where_clients_need_a_certificate_they_need_a_token_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let (root, clients) = (Root::new(), Root::new());
    let options = with_tls(&folder, &root, Some(&clients));
    let rig = Rig::start(options, &MemoryCatalog::new()).await.expect("it starts");
    let channel = connect(&rig, &root, Some(clients.sign("ann"))).await.expect("both certificates are good");
    until_health(health(channel.clone()).await, ServingStatus::Serving).await;
    assert!(list_over(channel.clone(), of("viewer")).await.is_ok());
    assert_eq!(code(list_over(channel.clone(), Headers::default()).await), Code::Unauthenticated);
    // KEDA knows certificates only.
    let mut scaler = davy_proto::keda::external_scaler_client::ExternalScalerClient::new(channel);
    let spec = scaler.get_metric_spec(davy_proto::keda::ScaledObjectRef::default()).await;
    assert!(spec.is_ok(), "{spec:?}");
    for identity in [None, Some(root.sign("ann")), Some(Root::new().sign("ann"))] {
        let refused = async {
            let channel = connect(&rig, &root, identity).await.map_err(|e| Status::unavailable(e.to_string()))?;
            list_over(channel, of("viewer")).await
        };
        // With TLS 1.3 a client learns only when it calls that its certificate was not good.
        assert!(soon(refused).await.is_err());
    }
}
