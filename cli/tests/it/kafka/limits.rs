//! A process that may open few files says what it lacks, and loses nothing.

use std::process::Command;
use std::time::Duration;

use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::end_to_end::alone;
use crate::end_to_end::broker::Broker;
use crate::end_to_end::process::{Davy, command};
use crate::end_to_end::reader::read_all;
use crate::run::{folder, text};
use davy_testkit::wait::until;

const ROWS: [&str; 3] = ["first", "second", "third"];
const REASON: &str = "Too many open files";
const PATIENCE: Duration = Duration::from_secs(60);

/// Too few for the first connection, for another one, and for the connection to the group's coordinator.
const N_FILES: [u64; 3] = [7, 9, 10];
/// Tests that run beside this one have files open that children inherit.
const WITHOUT_INHERITED: &str = "limit=$1; shift; for file in /proc/$$/fd/*; do file=${file##*/}; [ \"$file\" -le 2 ] || eval \"exec $file>&-\"; done; \
                                 exec prlimit --nofile=\"$limit\" \"$@\"";

#[test]
fn a_process_without_file_descriptors_names_them_and_the_next_one_goes_on() {
    let _alone = alone();
    let broker = Broker::start("limits", 1);
    broker.make_topics(&[("flows", 1), ("out", 1)]);
    let producer: BaseProducer = broker.client().create().expect("a producer");
    ROWS.iter().for_each(|row| producer.send(BaseRecord::<(), str>::to("flows").payload(*row)).expect("sent"));
    producer.flush(PATIENCE).expect("written");
    let table = |name: &str| {
        format!(
            "CREATE TABLE {name} (x TEXT) WITH (connector = 'kafka', bootstrap_servers = '{}', topic = '{name}', \
             format = 'raw_string');\n",
            broker.servers
        )
    };
    let script = table("flows") + &table("out") + "INSERT INTO out SELECT x FROM flows;\n";
    let folder = folder(&[("s.sql", &script)]);
    let run = |number: u64, mut command: Command| {
        command.current_dir(folder.path()).args(["run", "s.sql", "--tasks", "1", "--commit-interval", "50ms"]);
        Davy::start(command, folder.path().join(format!("davy-{number}.log")))
    };
    for n_files in N_FILES {
        // The limit is for the binary, not for the program around it.
        let unlimited = command();
        let arguments: Vec<_> = unlimited.get_args().collect();
        let (around, binary) = arguments.split_at(arguments.len() - 1);
        let mut limited = Command::new(unlimited.get_program());
        limited.args(around).args(["bash", "-c", WITHOUT_INHERITED, "bash"]).arg(n_files.to_string()).args(binary);
        let mut davy = run(n_files, limited);
        until("it says what it lacks, or ends", PATIENCE, || {
            (davy.said().contains(REASON) || davy.ended().is_some()).then_some(())
        });
        let said = davy.said();
        assert!(said.contains(REASON) && !said.contains("panicked"), "{n_files} files: {said}");
        if let Some(status) = davy.ended() {
            assert_eq!(status.code(), Some(1), "{n_files} files: {said}");
        }
    }
    let _davy = run(0, command());
    let expected = ROWS.map(str::to_owned);
    until("every row comes", PATIENCE, || (rows(&broker) == expected).then_some(()));
}

fn rows(broker: &Broker) -> Vec<String> {
    let mut rows = Vec::new();
    read_all(broker, "out", 1, |message| rows.push(text(message.payload().unwrap_or_default())));
    rows
}
