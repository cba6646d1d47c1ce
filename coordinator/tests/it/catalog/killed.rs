//! Leaders that are killed, or held up for so long that another one leads: processes of their own, so that nothing of them goes on.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use davy_coordinator::catalog::{Catalog, CatalogError};
use davy_proto::domain::{Epoch, Term};
use rdkafka::producer::{BaseRecord, Producer};

use super::broker::{servers, unique};
use super::kafka::{ANSWER, catalog, topic, transactional};
use super::{ceiling, leads, write};

/// Where another process of this test finds the cluster it shall lead.
const CHILD: &str = "DAVY_TEST_CATALOG";

#[test]
fn a_standby_follows_a_killed_leader_and_uncommitted_writes_are_gone() {
    let cluster = unique("killed");
    let mut leader = Leader::start(&cluster);
    assert_eq!(leader.request("ceiling 5"), "ok");
    // With a transaction that the catalog's own would wait for.
    leader.request("open");
    leader.process.kill().expect("a process of ours");
    let mut next = catalog(servers(), &cluster);
    let found = leads(&mut next);
    assert_eq!((found.term, found.ceiling), (Term(2), Epoch(5)));
    write(&mut next, &[ceiling(6)]);
}

#[test]
fn a_suspended_leader_is_fenced_when_it_continues() {
    let cluster = unique("held-up");
    let mut leader = Leader::start(&cluster);
    assert_eq!(leader.request("ceiling 5"), "ok");
    leader.signal("STOP");
    let mut next = catalog(servers(), &cluster);
    assert_eq!(leads(&mut next).ceiling, Epoch(5));
    leader.signal("CONT");
    // The group reports the new leader, or the end of the transaction fails.
    let said = leader.request("ceiling 99");
    assert!(said.starts_with("fenced"), "{said}");
    write(&mut next, &[ceiling(6)]);
    assert_eq!(next.still_leads(), Ok(()));
    drop((leader, next));
    assert_eq!(leads(&mut catalog(servers(), &cluster)).ceiling, Epoch(6));
}

/// Another process that leads, and follows the test's orders.
struct Leader {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Leader {
    fn start(cluster: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "--ignored", "--nocapture", "catalog::killed::leads_in_another_process"])
            .env(CHILD, format!("{} {cluster}", servers()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let stdin = process.stdin.take().expect("a pipe");
        let stdout = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut leader = Self { process, stdin, stdout };
        assert_eq!(leader.answer(), "leads");
        leader
    }

    fn request(&mut self, what: &str) -> String {
        writeln!(self.stdin, "{what}").expect("it listens");
        self.answer()
    }

    /// Lines of the test's own frame are no answers.
    fn answer(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.stdout.read_line(&mut line).expect("text"), 0, "the leader has ended");
            if let Some((_, answer)) = line.split_once("> ") {
                return answer.trim().to_owned();
            }
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.process.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.process.kill().expect("a process of ours");
        self.process.wait().expect("its end");
    }
}

#[test]
#[ignore = "other tests start it as another process"]
fn leads_in_another_process() {
    let given = std::env::var(CHILD).expect("other tests start it");
    let (servers, cluster) = given.split_once(' ').expect("servers and cluster");
    let mut catalog = catalog(servers, cluster);
    leads(&mut catalog);
    println!("> leads");
    let mut open = None;
    for line in std::io::stdin().lines() {
        let line = line.expect("text");
        let answer = match line.split_once(' ') {
            Some((_, number)) => match catalog.write(&[ceiling(number.parse().expect("a number"))]) {
                Ok(()) => "ok".to_owned(),
                Err(CatalogError::Fenced(why)) => format!("fenced: {why}"),
                Err(error) => format!("{error:?}"),
            },
            None => {
                // As if it was in the middle of a write: the catalog itself does not stop there.
                let producer = open.insert(transactional(cluster));
                producer.begin_transaction().expect("begun");
                let value =
                    format!(r#"{{"version":1,"cluster":"{cluster}","record":{{"kind":"epochs","ceiling":77}}}}"#);
                let topic = topic(cluster);
                let record = BaseRecord::to(&topic).key("epochs").payload(&value);
                producer.send(record).map_err(|(error, _)| error).expect("queued");
                producer.flush(ANSWER).expect("written, and not committed");
                "ok".to_owned()
            }
        };
        println!("> {answer}");
    }
}
