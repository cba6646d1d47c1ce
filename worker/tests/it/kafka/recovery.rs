//! What a pipeline does with the positions that it finds: continues, continues and reports what was lost, or refuses with a remedy.

use davy_worker::host::{HostOptions, TaskCount};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::broker::servers;
use super::pipeline::{error_with, notices, options, refusal, start, table};
use super::topics::{admin, admin_options, all, answer, make, put, texts, topic, unique, value};

/// A pipeline that has read `1`, `2` and `3` from a partition, and was stopped.
struct Begun {
    name: String,
    from: String,
    to: String,
}

impl Begun {
    fn new() -> Self {
        let begun = Self { name: unique("begun"), from: topic("from", 1), to: topic("to", 1) };
        put(&begun.from, &[value(0, "1"), value(0, "2"), value(0, "3")]);
        let mut run = start(&begun.name, &begun.script(""));
        run.wait_for(&begun.to, 3);
        run.stop();
        begun
    }

    fn script(&self, options: &str) -> String {
        table("a", "x TEXT", &self.from, &format!("format = 'raw_string'{options}"))
            + &table("b", "x TEXT", &self.to, "format = 'raw_string'")
            + "INSERT INTO b SELECT x FROM a;"
    }

    /// Runs it again until `expected` is all there is, and gives what it said of its input.
    fn goes_on(&self, options: &str, expected: &str) -> String {
        let mut run = start(&self.name, &self.script(options));
        run.wait_for(&self.to, expected.split(' ').count());
        run.stop();
        assert_eq!(texts(&all(&self.to)).join(" "), expected);
        notices(&self.name).into_iter().filter(|line| line.contains("notice=")).collect::<Vec<_>>().join("\n")
    }

    fn refuses(&self, expected: &str) {
        let said = refusal(&self.name, &self.script("")).replace(&self.from, "from").replace(&self.name, "begun");
        assert_eq!(said, expected);
    }

    /// Deletes all messages before this offset, as retention would.
    fn forget(&self, before: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.from, 0, Offset::Offset(before)).expect("a partition");
        answer(admin().delete_records(&list, &admin_options()));
    }

    /// What stands beside its position.
    fn metadata(&self) -> String {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.from, 0);
        let found = self.client().committed_offsets(list, super::topics::PATIENCE).expect("an answer");
        found.elements()[0].metadata().to_owned()
    }

    /// A client that is in its group, without being a member.
    fn client(&self) -> BaseConsumer {
        let group = format!("davy.{}.1.1", self.name);
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers()).set("group.id", &group);
        config.create().expect("a consumer")
    }

    /// Sets its position as an administrator does, with this metadata.
    fn set_position(&self, offset: i64, metadata: &str) {
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition(&self.from, 0);
        element.set_offset(Offset::Offset(offset)).expect("an offset");
        element.set_metadata(metadata);
        self.client().commit(&list, CommitMode::Sync).expect("committed");
    }

    fn make_anew(&self, messages: &[&str]) {
        answer(admin().delete_topics(&[&self.from], &admin_options()));
        // Deleting goes on after the answer.
        let deadline = std::time::Instant::now() + super::topics::PATIENCE;
        while !super::topics::try_make(&self.from, 1) {
            assert!(std::time::Instant::now() < deadline, "the old topic is still there");
        }
        put(&self.from, &messages.iter().map(|message| value(0, *message)).collect::<Vec<_>>());
    }
}

#[test]
fn a_stopped_pipeline_goes_on_where_it_was() {
    let begun = Begun::new();
    put(&begun.from, &[value(0, "4")]);
    assert_eq!(begun.goes_on("", "1 2 3 4"), "", "nothing to say");
}

#[test]
fn messages_that_are_gone_are_missed() {
    let begun = Begun::new();
    put(&begun.from, &[value(0, "4"), value(0, "5"), value(0, "6")]);
    begun.forget(5);
    begun.refuses(
        "task `begun/1/1/0`: split `from/0` begins at 5, reading had come to 3: 2 messages are lost; to do without them, \
         say 'source.on_loss' = 'continue' for the table, or start fresh under another name",
    );
    let said = begun.goes_on(", 'source.on_loss' = 'continue'", "1 2 3 6");
    assert!(said.contains("messages are lost"), "{said}");
}

#[test]
fn a_topic_that_was_made_anew_is_another_one() {
    let begun = Begun::new();
    let metadata = begun.metadata();
    begun.make_anew(&["new"]);
    // Kafka forgets positions with their topic; they are still there after an election that lost messages.
    begun.set_position(3, &metadata);
    begun.refuses(
        "task `begun/1/1/0`: split `from/0` ends at 1, but reading had come to 3: it is another topic now; if the topic was \
         made anew, say 'source.on_loss' = 'continue' for the table, or start fresh under another name",
    );
    let said = begun.goes_on(", 'source.on_loss' = 'continue'", "1 2 3 new");
    assert!(said.contains("it is another topic now"), "{said}");
}

#[test]
fn a_topic_without_positions_is_read_from_where_the_table_says() {
    let begun = Begun::new();
    begun.make_anew(&["new"]);
    assert_eq!(begun.goes_on("", "1 2 3 new"), "");
}

#[test]
fn windows_whose_topic_has_forgotten_its_positions_are_not_gone_on_with() {
    let begun = Begun { name: unique("forgot"), from: topic("from", 1), to: topic("to", 1) };
    let script = |options: &str| {
        "SET exchange_partitions = 2;\n".to_owned()
            + &table("a", "ts TIMESTAMP, WATERMARK FOR ts AS ts", &begun.from, &format!("format = 'csv'{options}"))
            + &table("b", "n BIGINT", &begun.to, "format = 'csv'")
            + "INSERT INTO b SELECT count(*) AS n FROM a GROUP BY tumble(INTERVAL '10 seconds');"
    };
    put(&begun.from, &[value(0, "1\n2\n15")]);
    let mut run = start(&begun.name, &script(""));
    run.wait_for(&begun.to, 1);
    run.stop();
    begun.make_anew(&["16\n25"]);
    assert_eq!(
        refusal(&begun.name, &script("")),
        "table `a`: its windows are there, but how far it was read is forgotten: the topic was made anew, or its positions were \
         deleted; say 'source.on_loss' = 'continue' for the table, or start fresh under another name"
    );
    let mut run = start(&begun.name, &script(", 'source.on_loss' = 'continue'"));
    run.wait_for(&begun.to, 2);
    run.stop();
    assert_eq!(texts(&all(&begun.to)), ["2", "2"], "the window that was open, with a row from either topic");
}

fn delete_group(group: &str) {
    let deleted = answer(admin().delete_groups(&[group], &admin_options()));
    deleted.into_iter().for_each(|deleted| drop(deleted.expect("a group")));
}

/// A broker whose group coordinator moves away and back within a second may answer as if a group had never committed, or with positions
/// from long ago, although its log has all of them. Here an administrator deletes or resets them, and puts them back.
#[test]
fn a_running_task_waits_for_positions_that_it_knows_to_be_committed() {
    type Spoil = fn(&Begun, &str);
    let cases: [(&str, Spoil); 2] = [
        ("no position for split", |begun, _| delete_group(&format!("davy.{}.1.1", begun.name))),
        ("although 4 was committed since", |begun, metadata| begun.set_position(2, metadata)),
    ];
    for (expected, spoil) in cases {
        let begun = Begun::new();
        let mut run = start(&begun.name, &begun.script(""));
        put(&begun.from, &[value(0, "4")]);
        run.wait_for(&begun.to, 4);
        let metadata = begun.metadata();
        fence(&format!("davy.{}.1.1.0", begun.name));
        spoil(&begun, &metadata);
        put(&begun.from, &[value(0, "5")]);
        run.until("the task to miss its position", || notices(&begun.name).iter().any(|line| line.contains(expected)));
        begun.set_position(4, &metadata);
        run.wait_for(&begun.to, 5);
        run.stop();
        assert_eq!(texts(&all(&begun.to)).join(" "), "1 2 3 4 5", "{expected}");
    }
}

/// As a newer owner of the task would.
fn fence(transactional_id: &str) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers()).set("transactional.id", transactional_id);
    let producer: BaseProducer = config.create().expect("a producer");
    producer.init_transactions(super::topics::PATIENCE).expect("the task is taken over");
}

/// Kafka deletes the positions of a group a week after its last commit, or when an administrator deletes the group.
#[test]
fn positions_that_are_gone_are_neither_read_again_nor_skipped() {
    let (name, from, to) = (unique("expired"), topic("from", 2), topic("to", 1));
    let script = |options: &str| {
        "SET exchange_partitions = 2;\n".to_owned()
            + &table("a", "ts TIMESTAMP, WATERMARK FOR ts AS ts", &from, &format!("format = 'csv'{options}"))
            + &table("b", "n BIGINT", &to, "format = 'csv'")
            + "INSERT INTO b SELECT count(*) AS n FROM a GROUP BY tumble(INTERVAL '10 seconds');"
    };
    put(&from, &[value(0, "1\n15"), value(1, "1\n15")]);
    let purging = HostOptions { purge_interval: std::time::Duration::ZERO, ..options(&name) };
    let mut run = super::pipeline::start_with(purging, &script(""));
    run.wait_for(&to, 1);
    let exchange = format!("davy.{name}.w1_1");
    run.until("a purge", || super::topics::first(&exchange, 0) + super::topics::first(&exchange, 1) > 0);
    run.stop();
    let forget = |stage: u32| delete_group(&format!("davy.{name}.1.{stage}"));
    forget(2);
    let said = refusal(&name, &script(""));
    assert!(said.contains("the windows behind it have no positions"), "{said}");
    forget(1);
    for options in ["", ", 'source.on_loss' = 'continue'"] {
        let said = refusal(&name, &script(options)).replace(&name, "expired");
        assert_eq!(
            said,
            "no position is committed for the pipeline, but its exchange `davy.expired.w1_1` has records: Kafka deletes positions of a \
             pipeline that has not run for a week; start fresh under another name, or delete the topic to begin again under this one"
        );
    }
    assert_eq!(texts(&all(&to)), ["2"]);
}

/// Before the exchange has ever been purged, only the stage before the windows knows that they have run.
#[test]
fn windows_whose_positions_are_gone_are_not_written_again() {
    let windows = "SELECT tumble(INTERVAL '10 seconds') AS w, count(*) AS n FROM a GROUP BY 1";
    let once = format!("INSERT INTO b SELECT n FROM ({windows});");
    let twice = format!("INSERT INTO b SELECT max(n) AS n FROM ({windows}) GROUP BY tumble(INTERVAL '10 seconds');");
    for (insert, stage, exchange) in [(&once, 2, "w1_1"), (&twice, 2, "w1_2"), (&twice, 3, "w1_1")] {
        let (name, from, to) = (unique("expired"), topic("from", 2), topic("to", 1));
        let script = "SET exchange_partitions = 2;\n".to_owned()
            + &table("a", "ts TIMESTAMP, WATERMARK FOR ts AS ts", &from, "format = 'csv'")
            + &table("b", "n BIGINT", &to, "format = 'csv'")
            + insert;
        put(&from, &[value(0, "1\n15\n35"), value(1, "1\n15\n35")]);
        let mut run = start(&name, &script);
        run.wait_for(&to, 2);
        run.stop();
        delete_group(&format!("davy.{name}.1.{stage}"));
        let exchange = format!("davy.{name}.{exchange}");
        for _ in 0..2 {
            let expected = format!(
                "its tables were read into the exchange `{exchange}`, but the windows behind it have no positions: Kafka deletes positions \
                 of a pipeline that has not run for a week, or with their group. Windows that are in the output would be written again; \
                 start fresh under another name"
            );
            assert_eq!(refusal(&name, &script), expected);
        }
        assert_eq!(texts(&all(&to)), ["2", "2"], "{insert}");
    }
}

#[test]
fn a_position_that_an_administrator_sets_is_used_and_reported() {
    let begun = Begun::new();
    begun.set_position(1, "");
    let said = begun.goes_on("", "1 2 2 3 3");
    assert!(said.contains("the position 1 was set from outside"), "{said}");
}

#[test]
fn offset_metadata_of_another_tool_is_refused() {
    let begun = Begun::new();
    begun.set_position(1, "reset by hand");
    begun.refuses(
        "task `begun/1/1/0`: the offset metadata beside the position of split `from/0` cannot be read: it was not written by Davy; start \
         fresh under another name, or go back to the build that wrote it",
    );
}

#[test]
fn a_query_without_windows_can_be_changed_in_place() {
    let begun = Begun::new();
    let before = all(&begun.to).len();
    let mut run = start(&begun.name, &begun.script("").replace("SELECT x", "SELECT concat(x, '!') AS x"));
    put(&begun.from, &[value(0, "changed")]);
    run.wait_for(&begun.to, before + 1);
    run.stop();
    assert_eq!(texts(&all(&begun.to)).last().map(String::as_str), Some("changed!"));
}

/// What is below the windows, and the windows themselves, decide what stored partials mean; what is above does not.
#[test]
fn another_query_takes_over_state_only_if_it_means_the_same() {
    let (name, from, to) = (unique("changed"), topic("from", 1), topic("to", 1));
    let script = |key: &str, having: &str| {
        table("a", "ts TIMESTAMP, x TEXT, y TEXT, WATERMARK FOR ts AS ts", &from, "format = 'csv'")
            + &table("b", "k TEXT, n BIGINT", &to, "format = 'csv'")
            + &format!(
                "INSERT INTO b SELECT k, n FROM (SELECT tumble(INTERVAL '10 seconds') AS w, {key} AS k, count(*) AS n FROM a \
                 GROUP BY 1, 2) WHERE n > {having};"
            )
    };
    put(&from, &[value(0, "1,p,q"), value(0, "11,p,q")]);
    let mut run = start(&name, &script("x", "0"));
    run.wait_for(&to, 1);
    run.stop();
    for other in [
        script("y", "0"),
        script("x", "0").replace("10 seconds", "20 seconds"),
        script("x", "0").replace("FROM a", "FROM a WHERE y = 'q'"),
    ] {
        let said = refusal(&name, &other);
        assert!(said.contains("the committed position was written by plan `"), "{said}");
        let remedy = "drain with the script or build that wrote it, or start fresh under another name";
        assert!(said.ends_with(remedy), "{said}");
    }
    // One row of the window that was open before, one after: together they pass.
    put(&from, &[value(0, "12,p,q"), value(0, "30,p,q")]);
    let mut run = start(&name, &script("x", "1"));
    run.wait_for(&to, 2);
    run.stop();
    assert_eq!(texts(&all(&to)), ["p,1", "p,2"]);
}

#[test]
fn the_number_of_tasks_and_partitions_is_fixed() {
    let (name, from, to) = (unique("fixed"), topic("from", 4), topic("to", 1));
    let script = |n_partitions: u32| {
        format!("SET exchange_partitions = {n_partitions};\n")
            + &table("a", "ts TIMESTAMP, WATERMARK FOR ts AS ts", &from, "format = 'csv'")
            + &table("b", "n BIGINT", &to, "format = 'csv'")
            + "INSERT INTO b SELECT count(*) AS n FROM a GROUP BY tumble(INTERVAL '10 seconds');"
    };
    put(&from, &[0, 1, 2, 3].map(|partition| value(partition, "1\n99")));
    let mut run = start(&name, &script(4));
    run.wait_for(&to, 1);
    run.stop();
    let three = HostOptions { tasks: TaskCount::Fixed(3), ..options(&name) };
    assert_eq!(
        error_with(three, &script(4)).to_string(),
        "the pipeline was made with 2 tasks, 3 are requested; run it with --tasks 2 or without, or start fresh under another name"
    );
    let said = refusal(&name, &script(8)).replace(&name, "fixed");
    assert_eq!(
        said,
        "the exchange `davy.fixed.w1_1` has 4 partitions, the pipeline wants 8; the number is fixed when a pipeline begins: \
         set `exchange_partitions` back to what it was, or, if partitions were added to the topic, start fresh under another name"
    );
    // Without a requested number it has as many tasks as it had.
    put(&from, &[0, 1, 2, 3].map(|partition| value(partition, "200")));
    let more = HostOptions { tasks: TaskCount::AtMost(4), ..options(&name) };
    let mut run = super::pipeline::start_with(more, &script(4));
    run.wait_for(&to, 2);
    run.stop();
    assert_eq!(texts(&all(&to)), ["4", "4"]);
}

#[test]
fn an_existing_topic_for_an_exchange_must_fit() {
    let (name, from, to) = (unique("other"), topic("from", 1), topic("to", 1));
    make(&format!("davy.{name}.w1_1"), 3, &[]);
    let script = "SET exchange_partitions = 2;\n".to_owned()
        + &table("a", "ts TIMESTAMP, WATERMARK FOR ts AS ts", &from, "format = 'csv'")
        + &table("b", "n BIGINT", &to, "format = 'csv'")
        + "INSERT INTO b SELECT count(*) AS n FROM a GROUP BY tumble(INTERVAL '10 seconds');";
    let said = refusal(&name, &script);
    assert!(said.contains("has 3 partitions, the pipeline wants 2"), "{said}");
}
