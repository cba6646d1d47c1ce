//! pipelines/cds.sql with the arguments filled in.
//!
//! The file is a valid script with values of its own; each argument replaces one of them. A line stays a line, so an error names the
//! line of the file.

use std::num::NonZeroU32;
use std::path::Path;

use davy_engine::sql::is_pipeline_name;
use davy_engine::{Error, Result};

use super::args::CdsArgs;

const TEMPLATE: &str = include_str!("../../../pipelines/cds.sql");

/// What keys the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Addresses, ports and protocol.
    Flow,
    /// The whole message.
    Record,
}

#[derive(Clone, Debug)]
pub(super) struct Values<'a> {
    pub(super) name: String,
    /// Of both topics; `None`: all.
    pub(super) partition: Option<u32>,
    pub(super) messages_per_second: Option<NonZeroU32>,
    pub(super) broker: &'a str,
    pub(super) consume: &'a str,
    pub(super) produce: &'a str,
    pub(super) from: &'a str,
    pub(super) dead_letter_topic: Option<&'a str>,
    pub(super) model: &'a Path,
    pub(super) threshold: f64,
    pub(super) key: Key,
}

pub(super) fn fill(values: &Values<'_>) -> String {
    let partitions = values.partition.map(|number| format!(", 'source.partitions' = '{number}'"));
    let rate = values.messages_per_second.map(|rate| format!(", 'source.messages_per_second' = '{rate}'"));
    let of_source = partitions.unwrap_or_default() + &rate.unwrap_or_default();
    let of_sink = values.partition.map(|number| format!("partition = '{number}', ")).unwrap_or_default();
    let mut filled = vec![
        ("pipeline = 'cds'", format!("pipeline = {}", quoted(&values.name))),
        ("'models/cds_flow/card.toml'", quoted(&values.model.to_string_lossy())),
        ("bootstrap_servers = 'localhost:9092'", format!("bootstrap_servers = {}", quoted(values.broker))),
        ("topic = 'cds-input'", format!("topic = {}", quoted(values.consume))),
        ("topic = 'cds-output'", format!("topic = {}", quoted(values.produce))),
        ("'source.offset' = 'earliest'", format!("'source.offset' = {}{of_source}", quoted(values.from))),
        ("confidence >= 0.88", format!("confidence >= {:?}", values.threshold)),
    ];
    if let Some(topic) = values.dead_letter_topic {
        filled.push(("bad_record = 'drop'", format!("dead_letter_topic = {}", quoted(topic))));
    }
    let key = match values.key {
        Key::Flow => "flow",
        Key::Record => "line",
    };
    filled.push(("key = 'flow'", format!("{of_sink}key = '{key}'")));
    in_one_pass(TEMPLATE, &filled)
}

/// Replaces every place; what was filled in is not looked at again.
fn in_one_pass(template: &str, filled: &[(&str, String)]) -> String {
    let mut text = String::new();
    let mut rest = template;
    let next =
        |rest: &str| filled.iter().filter_map(|place| Some((rest.find(place.0)?, place))).min_by_key(|found| found.0);
    while let Some((at, (place, value))) = next(rest) {
        text.push_str(&rest[..at]);
        text.push_str(value);
        rest = &rest[at + place.len()..];
    }
    text + rest
}

/// A text in SQL, on one line.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''").replace(['\n', '\r'], " "))
}

/// The pipeline's name: the given one, else one that only a pipeline between the same topics, or partitions of them, has.
pub(super) fn name(args: &CdsArgs, partition: Option<u32>) -> Result<String> {
    let CdsArgs { consume, produce, .. } = args;
    let of_tenant = partition.map(|number| format!("-{number}")).unwrap_or_default();
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let made = || format!("cds-{consume}-{produce}{of_tenant}").chars().map(legal).collect();
    let name = args.name.clone().unwrap_or_else(made);
    if is_pipeline_name(&name) {
        return Ok(name);
    }
    Err(Error::invalid(format!("`{name}` cannot be the pipeline's name"))
        .hint("give one with --name: 1 to 100 of A to Z, a to z, 0 to 9, `_` and `-`"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn values() -> Values<'static> {
        Values {
            name: "cds".to_owned(),
            partition: None,
            messages_per_second: None,
            broker: "localhost:9092",
            consume: "cds-input",
            produce: "cds-output",
            from: "earliest",
            dead_letter_topic: None,
            model: Path::new("models/cds_flow/card.toml"),
            threshold: 0.88,
            key: Key::Flow,
        }
    }

    #[test]
    fn the_file_is_the_script_of_its_own_values() {
        assert_eq!(fill(&values()), TEMPLATE);
    }

    #[test]
    fn every_argument_is_filled_in_where_it_belongs() {
        let filled = fill(&Values {
            name: "mine".to_owned(),
            partition: Some(3),
            messages_per_second: NonZeroU32::new(500),
            broker: "a:1,b:2",
            consume: "key = 'flow'",
            produce: "it's",
            from: "latest",
            dead_letter_topic: Some("bad"),
            model: Path::new("my/card.toml"),
            threshold: 1.0,
            key: Key::Record,
        });
        let changed = filled.lines().zip(TEMPLATE.lines()).filter(|(new, old)| new != old).map(|(new, _)| new.trim());
        let expected = [
            "SET pipeline = 'mine';",
            "CREATE FUNCTION mining_confidence USING MODEL 'my/card.toml' NAMED;",
            "connector = 'kafka', type = 'source', bootstrap_servers = 'a:1,b:2', topic = 'key = ''flow''',",
            "'source.offset' = 'latest', 'source.partitions' = '3', 'source.messages_per_second' = '500',",
            "dead_letter_topic = 'bad'",
            "connector = 'kafka', type = 'sink', bootstrap_servers = 'a:1,b:2', topic = 'it''s',",
            "partition = '3', key = 'line', timestamp = 'te', 'header.severity' = 'severity'",
            "CASE WHEN confidence >= 1.0 THEN 'high' ELSE 'none' END",
        ];
        assert_eq!(changed.collect::<Vec<_>>(), expected);
        assert_eq!(filled.lines().count(), TEMPLATE.lines().count());
    }

    #[test]
    fn a_pipeline_is_named_by_its_topics_and_its_partition() {
        let named = |consume: &str, more: &[&str], partition| {
            let words =
                ["davy", "cds", "-b", "h:1", "-c", consume, "-p", "out"].into_iter().chain(more.iter().copied());
            let Command::Cds(args) = Args::try_parse_from(words).expect("arguments").command else {
                panic!("another command")
            };
            name(&args, partition).map_err(|error| error.to_string())
        };
        assert_eq!(named("net.flows", &[], None), Ok("cds-net-flows-out".to_owned()));
        assert_eq!(named("flows", &[], Some(3)), Ok("cds-flows-out-3".to_owned()));
        assert_eq!(named("flows", &["--name", "mine"], Some(3)), Ok("mine".to_owned()));
        let error = named(&"a".repeat(100), &[], None).expect_err("too long");
        assert!(error.contains("give one with --name"), "{error}");
        named("flows", &["--name", "no.dots"], None).expect_err("no name");
    }
}
