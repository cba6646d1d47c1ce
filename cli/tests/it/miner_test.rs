//! `davy miner-test` against the shipped pipeline over a real broker.

mod kafka;

use crate::run::{davy, folder, repository, text};

#[test]
fn wrong_arguments_are_named_with_exit_code_2() {
    let folder = folder(&[("flows.csv", "ts,te\n"), ("labels.csv", "client,server,server_port,protocol,label,kind\n")]);
    let with = |more: &[&'static str]| {
        [&["miner-test", "-b", "127.0.0.1:1", "--flows", "f", "--verdicts", "v"], more].concat()
    };
    let cases = [
        (vec!["miner-test", "-b", "h:1"], "--flows <TOPIC>"),
        (with(&["--speed", "0.5"]), "is not a number from 1 to 100000"),
        (with(&["--min-found", "2"]), "is not a number from 0 to 1"),
        (with(&["--session", "flows.csv"]), "--labels <FILE>"),
        (with(&["--session", "none.csv", "--labels", "labels.csv"]), "`none.csv`"),
        (with(&["--session", "flows.csv", "--labels", "labels.csv"]), "the session has no flows"),
        (with(&["--kafka-property", "acks=1"]), "property `acks` of the Kafka client may not be set"),
    ];
    for (arguments, expected) in cases {
        let output = davy(folder.path(), &arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?} should say {expected}: {said}");
    }
}

#[test]
fn the_pipeline_over_kafka_has_the_features_of_the_one_over_files() {
    let part = |name: &str| {
        let script = std::fs::read_to_string(repository().join("pipelines").join(name)).expect("a script");
        let from = script.find("-- Begin of the features").expect("the features begin");
        let to = script.find(") AS score\nFROM features;").expect("the score");
        script[from..to].to_owned()
    };
    // Where a row is from is no feature, and files do not know it.
    let over_kafka = [",\n    part, at\n", ",\n    offset_ranges(part, at) AS sources\n", ",\n    sources\n"]
        .iter()
        .fold(part("miners_kafka.sql"), |text, added| text.replacen(added, "\n", 1));
    assert_eq!(over_kafka, part("miners_forest.sql"));
}
