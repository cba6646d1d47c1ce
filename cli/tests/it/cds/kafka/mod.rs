//! `davy cds` over a real broker: messages as the system's producers write them, faults, and what consumers get.

mod tenants;

use std::path::Path;
use std::time::Duration;

use davy_testkit::broker::{servers, unique};
use davy_testkit::wait::until;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::records::{Flow, IPV6, PLAIN, expected, make_model};
use crate::end_to_end::broker::client;
use crate::end_to_end::process::{Davy, command};
use crate::end_to_end::reader::header;
use crate::run::folder;

const PATIENCE: Duration = Duration::from_secs(60);

/// A message of a topic, as a consumer of committed messages sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Got {
    key: Option<String>,
    value: Vec<u8>,
    timestamp: i64,
    severity: Option<String>,
    reason: Option<String>,
}

impl Got {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.value).into_owned()
    }
}

pub(crate) fn make_topic(what: &str, n_partitions: i32) -> String {
    let name = unique(what);
    let admin: AdminClient<DefaultClientContext> = client(servers()).create().expect("an admin client");
    let new = [NewTopic::new(&name, n_partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1")];
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let made = runtime.block_on(admin.create_topics(&new, &AdminOptions::new())).expect("an answer");
    made.into_iter().for_each(|topic| drop(topic.expect("a topic")));
    name
}

fn put(topic: &str, messages: &[impl AsRef<[u8]>]) {
    put_into(topic, 0, messages);
}

fn put_into(topic: &str, partition: i32, messages: &[impl AsRef<[u8]>]) {
    let producer: BaseProducer = client(servers()).create().expect("a producer");
    for message in messages {
        let record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(message.as_ref());
        producer.send(record).map_err(|(error, _)| error).expect("sent");
    }
    producer.flush(PATIENCE).expect("written");
}

/// Everything that is committed in one partition.
fn read(topic: &str, partition: i32) -> Vec<Got> {
    let mut config = client(servers());
    config.set("group.id", "reader").set("enable.auto.commit", "false").set("isolation.level", "read_committed");
    let reader: BaseConsumer = config.set("enable.partition.eof", "true").create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
    reader.assign(&list).expect("assigned");
    let mut got = Vec::new();
    until("the topic is read to its end", PATIENCE, || match reader.poll(Duration::from_millis(100)) {
        Some(Ok(message)) => {
            got.push(Got {
                key: message.key().map(|key| String::from_utf8_lossy(key).into_owned()),
                value: message.payload().unwrap_or_default().to_vec(),
                timestamp: message.timestamp().to_millis().unwrap_or(-1),
                severity: header(&message, "severity"),
                reason: header(&message, "davy-reason"),
            });
            None
        }
        Some(Err(KafkaError::PartitionEOF(_))) => Some(()),
        Some(Err(_)) | None => None,
    });
    got
}

fn await_messages(davy: &mut Davy, topic: &str, partition: i32, n: usize) -> Vec<Got> {
    until(&format!("{n} messages in {topic}"), PATIENCE, || {
        assert!(davy.ended().is_none(), "it ended: {}", davy.said());
        Some(read(topic, partition)).filter(|got| n <= got.len())
    })
}

/// `davy cds` between two topics, with the model of the folder.
struct Setup<'a> {
    folder: &'a Path,
    consume: &'a str,
    produce: &'a str,
    more: &'a [&'a str],
}

impl Setup<'_> {
    fn start(&self, log: &str, crash: Option<&str>) -> Davy {
        let mut command = command();
        command.args(["cds", "-b", servers(), "-c", self.consume, "-p", self.produce, "--model", "model/card.toml"]);
        command.args(["--commit-interval", "100ms", "--tasks", "1"]).args(self.more);
        command.current_dir(self.folder).env("DAVY_LOG", "warn,davy_worker=info");
        command.envs(crash.map(|point| ("DAVY_CRASH_AT", point)));
        Davy::start(command, self.folder.join(log))
    }
}

pub(crate) fn terminate(mut davy: Davy) {
    davy.signal("TERM");
    let status = davy.await_end("it stops after SIGTERM", PATIENCE);
    assert_eq!(status.code(), Some(0), "after SIGTERM: {}", davy.said());
}

#[test]
fn messages_of_every_kind_get_verdicts_and_bad_ones_go_to_the_dead_letters() {
    let folder = folder(&[]);
    make_model(folder.path());
    let (flows, verdicts, rejected) = (make_topic("flows", 1), make_topic("verdicts", 1), make_topic("rejected", 1));
    let (plain, v6, bare) = (PLAIN.record(71), IPV6.record(71), PLAIN.record(48));
    let undated = Flow { te: "never", ..PLAIN }.record(57);
    let minutes = Flow { te: "2024-03-01 10:01", ..PLAIN }.record(57);
    let not_text = [plain.as_bytes(), b"\xff"].concat();
    let messages: [Vec<u8>; 7] = [
        plain.clone().into(),
        b"no record".to_vec(),
        format!("{v6}\r\n{bare}\r\n").into(),
        format!("\"{v6}\\n{plain}\"").into(),
        not_text.clone(),
        undated.clone().into(),
        minutes.clone().into(),
    ];
    put(&flows, &messages);
    let more = ["--dead-letter-topic", &rejected];
    let setup = Setup { folder: folder.path(), consume: &flows, produce: &verdicts, more: &more };
    let mut davy = setup.start("first.log", None);
    let got = await_messages(&mut davy, &verdicts, 0, 7);
    terminate(davy);

    let records = [&plain, &v6, &bare, &v6, &plain, &undated, &minutes].map(Clone::clone);
    let expected = expected(&folder.path().join("forest.json"), &records);
    assert_eq!(got.iter().map(Got::text).collect::<Vec<_>>(), expected);
    let (v4_key, v6_key) = ("10.1.0.7,192.0.2.9,443,40001,TCP", "2001:db8::7,2001:db8:0:1::9,443,40001,TCP");
    let keys: Vec<&str> = got.iter().map(|message| message.key.as_deref().expect("a key")).collect();
    assert_eq!(keys, [v4_key, v6_key, v4_key, v6_key, v4_key, v4_key, v4_key]);
    // The flow's end; a record without one has the time of writing.
    let written = read(&flows, 0)[0].timestamp;
    let times: Vec<i64> = got.iter().map(|message| message.timestamp).collect();
    assert_eq!(times[..5], [1_709_287_220_000; 5]);
    assert!(written <= times[5], "{times:?}");
    assert_eq!(times[6], 1_709_287_260_000);
    let severities: Vec<_> = got.iter().map(|message| message.severity.as_deref().expect("a severity")).collect();
    let is_high =
        |line: &String| line.rsplit(',').next().and_then(|text| text.parse().ok()).is_some_and(|c: f64| 0.02 <= c);
    let high: Vec<&str> = expected.iter().map(|line| if is_high(line) { "high" } else { "none" }).collect();
    assert_eq!(severities, high);

    let rejected = read(&rejected, 0);
    let reasons: Vec<_> = rejected.iter().map(|message| message.reason.as_deref().expect("a reason")).collect();
    assert_eq!(reasons, ["too_short", "bad_utf8"]);
    assert_eq!(
        rejected.iter().map(|message| message.value.clone()).collect::<Vec<_>>(),
        [b"no record".to_vec(), not_text]
    );

    // Started again, it continues; without a topic for them, bad records are counted only.
    put(&flows, &[b"no record", v6.as_bytes()]);
    let mut davy = Setup { more: &["--compat-key"], ..setup }.start("second.log", None);
    let got = await_messages(&mut davy, &verdicts, 0, 8);
    terminate(davy);
    assert_eq!(got.len(), 8);
    assert_eq!(got[7].text(), expected[1]);
    assert_eq!(got[7].key.as_ref(), Some(&expected[1]), "the whole record is the key");
}

#[test]
fn no_crash_loses_or_repeats_a_record() {
    let folder = folder(&[]);
    make_model(folder.path());
    let (flows, verdicts) = (make_topic("flows", 1), make_topic("verdicts", 1));
    let records: Vec<String> =
        (0..400).map(|n| Flow { counts: [n, 2 * n, 3 * n, n % 7], ..PLAIN }.record(71)).collect();
    let more = ["--commit-rows", "50"];
    let setup = Setup { folder: folder.path(), consume: &flows, produce: &verdicts, more: &more };
    let parts: Vec<&[String]> = records.chunks(100).collect();
    let points = ["decode:1", "before_commit:1", "after_commit:1"];
    for (number, (part, point)) in parts.iter().zip(points).enumerate() {
        put(&flows, part);
        setup.start(&format!("{number}.log"), Some(point)).await_crash(point);
    }
    put(&flows, parts[3]);
    let mut davy = setup.start("last.log", None);
    let got = await_messages(&mut davy, &verdicts, 0, records.len());
    terminate(davy);
    let expected = expected(&folder.path().join("forest.json"), &records);
    assert_eq!(got.iter().map(Got::text).collect::<Vec<_>>(), expected);
}

#[test]
fn the_printed_script_continues_where_the_command_was_stopped() {
    let folder = folder(&[]);
    make_model(folder.path());
    let (flows, verdicts) = (make_topic("flows", 1), make_topic("verdicts", 1));
    let records: Vec<String> = (0..4).map(|n| Flow { counts: [n, 2 * n, 3 * n, n % 7], ..PLAIN }.record(71)).collect();
    put(&flows, &records[..2]);
    let setup = Setup { folder: folder.path(), consume: &flows, produce: &verdicts, more: &[] };
    let mut davy = setup.start("command.log", None);
    await_messages(&mut davy, &verdicts, 0, 2);
    terminate(davy);

    let arguments =
        ["cds", "-b", servers(), "-c", &flows, "-p", &verdicts, "--model", "model/card.toml", "--print-sql"];
    let printed = crate::run::davy(folder.path(), &arguments);
    std::fs::write(folder.path().join("printed.sql"), &printed.stdout).expect("written");
    put(&flows, &records[2..]);
    let mut run = command();
    run.args(["run", "printed.sql", "--commit-interval", "100ms", "--quiet"]).current_dir(folder.path());
    let mut davy = Davy::start(run, folder.path().join("script.log"));
    let got = await_messages(&mut davy, &verdicts, 0, 4);
    terminate(davy);
    let expected = expected(&folder.path().join("forest.json"), &records);
    assert_eq!(got.iter().map(Got::text).collect::<Vec<_>>(), expected);
}
