//! Coordinators and workers as processes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::end_to_end::process::{Davy, command};
use crate::run::text;
use davy_testkit::proxy::Proxy;
use davy_testkit::wait::until;

/// Coordinators that a cluster may have at once.
pub(super) const N_SEATS: usize = 2;
/// A worker that has not been heard of for so long is lost.
pub(super) const LEASE: Duration = Duration::from_secs(3);
/// Until a process does what it was started for, also on a machine that does much else.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What all processes of a cluster have in common.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) folder: PathBuf,
    pub(super) servers: String,
}

/// Where a coordinator listens.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    pub(super) grpc: u16,
    pub(super) http: u16,
}

/// A coordinator that runs.
pub(super) struct Coordinator {
    pub(super) process: Davy,
    pub(super) ports: Ports,
    pub(super) to_broker: Proxy,
}

/// A worker, and its connections to coordinators and the broker.
pub(super) struct Worker {
    pub(super) process: Davy,
    pub(super) name: String,
    pub(super) http: u16,
    pub(super) to_coordinators: [Proxy; N_SEATS],
    pub(super) to_broker: Proxy,
}

impl Setup {
    fn davy(&self, servers: &str) -> Command {
        let mut command = command();
        command.current_dir(&self.folder).env("DAVY_KAFKA", servers).env("TRANSACTION_MS", "4000").stdin(Stdio::null());
        command.env("DAVY_LOG", "warn,davy_worker=debug,davy_coordinator=debug");
        command
    }

    /// Messages that wait in all partitions that the pipeline reads, by its committed positions; `None` while the broker does not answer.
    /// What tasks say of their lag may be some time old.
    pub(super) fn lag(&self) -> Option<u64> {
        let output = self.davy(&self.servers).args(["lag", "pipeline.sql", "-o", "json"]).output();
        let output = output.expect("the binary starts");
        let rows = text(&output.stdout);
        let lag = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["lag_messages"].as_u64();
        (output.status.success() && !rows.is_empty()).then(|| rows.lines().map(lag).sum::<Option<u64>>())?
    }

    fn to_broker(&self) -> Proxy {
        Proxy::of_kafka(&self.servers)
    }

    /// Starts a coordinator, and waits until it listens.
    pub(super) fn coordinator(&self, number: usize) -> Coordinator {
        let path = self.folder.join(format!("coordinator-{number}.out"));
        let to_broker = self.to_broker();
        let servers = to_broker.address();
        let mut command = self.davy(&servers);
        command.args(["coordinator", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--catalog", "kafka"]);
        command.args(["--bootstrap-servers", &servers, "--cluster", "test", "--tasks", "2"]);
        command.args([
            "--lease-timeout",
            &format!("{}s", LEASE.as_secs()),
            "--heartbeat",
            "500ms",
            "--startup-grace-period",
            "3s",
        ]);
        command.stdout(File::create(&path).expect("a file"));
        let mut process = Davy::start(command, self.folder.join(format!("coordinator-{number}.log")));
        let ports = until("a coordinator listens", PATIENCE, || {
            if let Some(status) = process.ended() {
                panic!("coordinator {number} ended, {status}: {}", process.said());
            }
            read_ports(&path)
        });
        Coordinator { process, ports, to_broker }
    }

    /// Starts a worker; `coordinators` are the ports of those that run; `crash` names the point where it kills itself.
    pub(super) fn worker(&self, number: usize, coordinators: [Option<u16>; N_SEATS], crash: Option<&str>) -> Worker {
        let name = format!("w{number}");
        let to_broker = self.to_broker();
        let to_coordinators = coordinators.map(Proxy::of_bytes);
        let urls = to_coordinators.each_ref().map(|proxy| format!("http://{}", proxy.address())).join(",");
        let http = free_port();
        let mut command = self.davy(&to_broker.address());
        command.envs(crash.map(|point| ("DAVY_CRASH_AT", point)));
        command.args(["worker", "--coordinator", &urls, "--name", &name, "--slots", "2"]);
        command.args(["--http", &format!("127.0.0.1:{http}"), "--commit-interval", "100ms"]).stdout(Stdio::null());
        let process = Davy::start(command, self.folder.join(format!("{name}.log")));
        Worker { process, name, http, to_coordinators, to_broker }
    }
}

/// From `listening grpc=127.0.0.1:PORT http=127.0.0.1:PORT`, once it is there.
fn read_ports(path: &Path) -> Option<Ports> {
    let said = std::fs::read_to_string(path).ok()?;
    let line = said.lines().find(|line| line.starts_with("listening "))?;
    let port = |name: &str| {
        let address = line.split(' ').find_map(|word| word.strip_prefix(name))?;
        address.rsplit_once(':')?.1.parse().ok()
    };
    Some(Ports { grpc: port("grpc=")?, http: port("http=")? })
}

/// A port that the system gives to no other process soon.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}
