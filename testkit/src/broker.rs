//! Brokers for tests, by `scripts/kafka.sh`: one that all tests of a process share, one with secure listeners, and clusters of a test's own
//! for faults that no other test should have to bear.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/kafka.sh");

/// The plain-text address of the broker that all tests of this process share: the one that `DAVY_KAFKA` names, or one of its own.
pub fn servers() -> &'static str {
    static SERVERS: OnceLock<String> = OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "the person or script that runs the tests may name a broker")]
    let named = || std::env::var("DAVY_KAFKA").ok();
    SERVERS.get_or_init(|| named().unwrap_or_else(|| start_shared("plain", &[])["DAVY_KAFKA"].clone()))
}

/// What a client of the secure broker needs, by the names of `scripts/kafka.sh env`. Its plain listener is another cluster than
/// [`servers`].
pub fn secure(name: &str) -> &'static str {
    static SECURE: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    &SECURE.get_or_init(|| start_shared("secure", &["--secure"]))[name]
}

/// A name that no other test has, in no other run on the same broker either.
pub fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    #[expect(clippy::disallowed_methods, reason = "distinguishes runs on the same broker")]
    let now = SystemTime::now();
    let run = now.duration_since(UNIX_EPOCH).expect("after 1970").as_millis() % 1_000_000_000;
    format!("{what}-{run}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Starts a broker that ends with this process, and returns its variables.
///
/// A test process has no last moment in which it could stop anything. So the broker belongs to a shell that waits for the end of its
/// standard input, which is this process's end, however it comes.
fn start_shared(kind: &str, options: &[&str]) -> BTreeMap<String, String> {
    static OWNERS: Mutex<Vec<Child>> = Mutex::new(Vec::new());
    let mut log = tempfile::tempfile().expect("a file for the script's messages");
    let mut child = Command::new(SCRIPT)
        .args(["with", &format!("it-{kind}-{}", std::process::id())])
        .args(options)
        .args(["--", "sh", "-c", "env | grep ^DAVY_KAFKA; echo; exec cat >/dev/null"])
        .env_remove("DAVY_KAFKA")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log.try_clone().expect("a file"))
        .spawn()
        .expect("scripts/kafka.sh");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    let lines = lines.take_while(|line| !line.is_empty());
    let pair = |line: String| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let variables: BTreeMap<String, String> = lines.filter_map(pair).collect();
    assert!(variables.contains_key("DAVY_KAFKA"), "these tests need a Kafka broker:\n{}", content(&mut log));
    OWNERS.lock().unwrap_or_else(PoisonError::into_inner).push(child);
    variables
}

fn content(file: &mut File) -> String {
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).expect("the script's messages");
    text
}

/// A cluster that no other test uses, of one node or three, until it is dropped.
pub struct Broker {
    name: String,
    pub servers: String,
    pub n_nodes: usize,
    /// Faults so far: each hits the next node.
    n_faults: usize,
}

impl Broker {
    pub fn start(purpose: &str, n_nodes: usize) -> Self {
        let name = format!("{purpose}-{}", std::process::id());
        let output = script(&["up", &name, "--nodes", &n_nodes.to_string()]);
        assert!(output.status.success(), "no Kafka: {}", text(&output.stderr));
        Self { name, servers: text(&output.stdout).trim().to_owned(), n_nodes, n_faults: 0 }
    }

    /// Kills the next node without warning; returns its name.
    pub fn kill(&mut self) -> String {
        self.fault("kill")
    }

    /// Starts a node that was killed; returns when it is back.
    pub fn start_again(&self, node: &str) {
        self.order("start", node);
    }

    /// Stops the next node from running, while its connections stay; returns its name.
    pub fn pause(&mut self) -> String {
        self.fault("pause")
    }

    pub fn resume(&self, node: &str) {
        self.order("resume", node);
    }

    /// Each node in turn, so that leaders of partitions and coordinators of transactions are hit too.
    fn fault(&mut self, what: &str) -> String {
        self.n_faults += 1;
        let node = (1 + self.n_faults % self.n_nodes).to_string();
        self.order(what, &node);
        node
    }

    fn order(&self, what: &str, node: &str) {
        let output = script(&[what, &self.name, node]);
        assert!(output.status.success(), "{what} node {node}: {}", text(&output.stderr));
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let output = script(&["down", &self.name]);
        if !output.status.success() {
            #[expect(clippy::print_stderr, reason = "a broker that stays behind must be reported")]
            {
                eprintln!("the broker `{}` stays: {}", self.name, text(&output.stderr));
            }
        }
    }
}

/// Runs the script. The next `up` takes down a broker whose owner has ended.
fn script(arguments: &[&str]) -> Output {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Command::new(SCRIPT)
        .env("DAVY_KAFKA_OWNER", format!("{} {}", host.trim(), std::process::id()))
        .args(arguments)
        .output()
        .expect("scripts/kafka.sh")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
