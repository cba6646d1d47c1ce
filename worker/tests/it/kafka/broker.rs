//! The brokers of this test process: the one that `DAVY_KAFKA` names, or one of its own; and one with secure listeners.
//!
//! A test process has no last moment in which it could stop anything. So the broker belongs to a shell that waits for the end of its
//! standard input, which is this process's end, however it comes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// The address of a broker that takes anything without asking who it is.
pub(crate) fn servers() -> &'static str {
    static SERVERS: OnceLock<String> = OnceLock::new();
    SERVERS.get_or_init(|| match std::env::var("DAVY_KAFKA") {
        Ok(servers) => servers,
        Err(_) => start("plain", &[])["DAVY_KAFKA"].clone(),
    })
}

/// What a client of the secure broker needs, by the names of `scripts/kafka.sh env`. Its plain listener is another cluster than
/// [`servers`].
pub(crate) fn secure(name: &str) -> &'static str {
    static SECURE: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    &SECURE.get_or_init(|| start("secure", &["--secure"]))[name]
}

fn start(kind: &str, options: &[&str]) -> BTreeMap<String, String> {
    static OWNERS: std::sync::Mutex<Vec<Child>> = std::sync::Mutex::new(Vec::new());
    let name = format!("it-{kind}-{}", std::process::id());
    let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.log"));
    let mut child = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/kafka.sh"))
        .args(["with", name.as_str()])
        .args(options)
        .args(["--", "sh", "-c", "env | grep ^DAVY_KAFKA; echo; exec cat >/dev/null"])
        .env_remove("DAVY_KAFKA")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(&log).expect("a file for what the script says"))
        .spawn()
        .expect("scripts/kafka.sh");
    let told = BufReader::new(child.stdout.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    let told = told.take_while(|line| !line.is_empty());
    let pairs =
        told.filter_map(|line| Some(line.split_once('=')?).map(|(name, value)| (name.to_owned(), value.to_owned())));
    let found: BTreeMap<String, String> = pairs.collect();
    let why = || std::fs::read_to_string(&log).unwrap_or_default();
    assert!(found.contains_key("DAVY_KAFKA"), "these tests need a Kafka broker:\n{}", why());
    std::fs::remove_file(&log).expect("the script has nothing more to say");
    OWNERS.lock().expect("no test fails here").push(child);
    found
}
