//! A topic to the standard output: what the reader did not see is not committed.

use std::io::BufRead;
use std::process::Command;
use std::time::Duration;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::end_to_end::alone;
use crate::end_to_end::broker::Broker;
use crate::run::folder;
use crate::stdout::{after_a_line, end_of};

fn put(broker: &Broker, topic: &str, row: &str) {
    let producer: BaseProducer = broker.client().create().expect("a producer");
    producer.send(BaseRecord::<(), str>::to(topic).payload(row)).expect("sent");
    producer.flush(Duration::from_secs(10)).expect("written");
}

#[test]
fn a_reader_that_has_gone_ends_the_run_before_another_commit() {
    let _alone = alone();
    let broker = Broker::start("closed", 1);
    broker.make_topics(&[("connector-json", 1), ("select-csv", 1), ("select-table", 1)]);
    let source = |topic: &str| {
        format!(
            "CREATE TABLE flows (x TEXT) WITH (connector = 'kafka', bootstrap_servers = '{}', topic = '{topic}', \
             format = 'raw_string');\n",
            broker.servers
        )
    };
    let connector = "CREATE TABLE out (x TEXT) WITH (connector = 'stdout');\nINSERT INTO out SELECT x FROM flows;\n";
    let select = "SELECT x FROM flows;\n";
    for (name, output, query) in
        [("connector-json", "json", connector), ("select-csv", "csv", select), ("select-table", "table", select)]
    {
        let folder = folder(&[("s.sql", &(source(name) + query))]);
        let run = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
            command.current_dir(folder.path());
            command.args(["run", "s.sql", "--quiet", "-o", output, "--name", name, "--commit-interval", "50ms"]);
            after_a_line(command)
        };
        put(&broker, name, "first");
        let (mut child, _, rows) = run();
        drop(rows);
        put(&broker, name, "second");
        assert_eq!(end_of(&mut child), (Some(141), String::new()), "{name}");
        // The next run begins with the row that nothing could be done with.
        let (mut child, mut printed, mut rows) = run();
        while !printed.contains("second") {
            assert!(rows.read_line(&mut printed).expect("a line") != 0, "{name}: the end after {printed}");
        }
        assert!(!printed.contains("first"), "{name}: {printed}");
        child.kill().expect("a child of ours");
        child.wait().expect("a child of ours");
    }
}
