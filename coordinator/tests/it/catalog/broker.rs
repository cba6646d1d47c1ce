//! The broker of this test process: the one that `DAVY_KAFKA` names, or one of its own; and one that a test may pause.
//!
//! A test process has no last moment in which it could stop anything. So the broker belongs to a shell that waits for the end of its
//! standard input, which is this process's end, however it comes.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The address of a broker that takes anything without asking who it is.
pub(crate) fn servers() -> &'static str {
    static SERVERS: OnceLock<String> = OnceLock::new();
    SERVERS.get_or_init(|| match std::env::var("DAVY_KAFKA") {
        Ok(servers) => servers,
        Err(_) => start("plain").servers,
    })
}

/// A broker that no other test uses.
pub(crate) struct OwnBroker {
    name: String,
    pub(crate) servers: String,
}

impl OwnBroker {
    pub(crate) fn start() -> Self {
        start("own")
    }

    /// It gets no time to run, and its connections stay.
    pub(crate) fn pause(&self) {
        self.script("pause");
    }

    pub(crate) fn resume(&self) {
        self.script("resume");
    }

    fn script(&self, what: &str) {
        let done = Command::new(SCRIPT).args([what, &self.name]).status().expect("scripts/kafka.sh");
        assert!(done.success(), "scripts/kafka.sh {what} {}", self.name);
    }
}

/// A name that no other test has, in no other run on the same broker either.
pub(crate) fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let run = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() % 1_000_000_000;
    format!("{what}-{run}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/kafka.sh");

fn start(kind: &str) -> OwnBroker {
    static OWNERS: std::sync::Mutex<Vec<Child>> = std::sync::Mutex::new(Vec::new());
    let name = format!("coordinator-{kind}-{}", std::process::id());
    let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.log"));
    let mut child = Command::new(SCRIPT)
        .args(["with", name.as_str()])
        .args(["--", "sh", "-c", "echo $DAVY_KAFKA; exec cat >/dev/null"])
        .env_remove("DAVY_KAFKA")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(&log).expect("a file for what the script says"))
        .spawn()
        .expect("scripts/kafka.sh");
    let mut servers = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut servers).expect("text");
    let why = || std::fs::read_to_string(&log).unwrap_or_default();
    assert!(!servers.is_empty(), "these tests need a Kafka broker:\n{}", why());
    std::fs::remove_file(&log).expect("the script has nothing more to say");
    OWNERS.lock().expect("no test fails here").push(child);
    OwnBroker { name, servers: servers.trim().to_owned() }
}
