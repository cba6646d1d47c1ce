//! Records as messages: JSON, with the format's version and the cluster beside the record.
//!
//! A forgotten pipeline is a message without a value: compaction keeps it for a day after it has dropped the pipeline itself, and a
//! reader that began before then gets to the end long before that. Its key says which pipeline it was.

use serde::Serialize;
use serde_json::Value;

use crate::catalog::Record;
use davy_proto::domain::PipelineId;

const VERSION: u64 = 1;
const BARRIER: &str = "barrier";
const EPOCHS: &str = "epochs";
const LEADER: &str = "leader";
const PIPELINE: &str = "pipeline/";

/// A message of the topic.
pub(super) struct Message {
    /// Compaction keeps the last message of each.
    pub(super) key: String,
    /// `None`: what had this key is forgotten.
    pub(super) value: Option<Vec<u8>>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    version: u64,
    cluster: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a Record>,
}

pub(super) fn encode(cluster: &str, record: &Record) -> Message {
    let is_forgotten = matches!(record, Record::Forgotten { .. });
    Message { key: key(record), value: (!is_forgotten).then(|| envelope(cluster, Some(record))) }
}

/// A message without content. A reader that has reached it has read every message before it.
pub(super) fn barrier(cluster: &str) -> Message {
    Message { key: BARRIER.to_owned(), value: Some(envelope(cluster, None)) }
}

/// The record in a message, `None` for a barrier; or what is wrong with it and what to do.
pub(super) fn decode(cluster: &str, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<Record>, String> {
    let foreign = "is not of this catalog: give the catalog a topic of its own";
    let key = key.and_then(|key| std::str::from_utf8(key).ok());
    let key = key.ok_or_else(|| format!("has no key that is text, so it {foreign}"))?;
    let Some(value) = value else {
        let id: Option<PipelineId> = key.strip_prefix(PIPELINE).and_then(|id| id.parse().ok());
        let id = id.ok_or_else(|| format!("has key `{key}` and no value, so it {foreign}"))?;
        return Ok(Some(Record::Forgotten { id }));
    };
    let unreadable = |why: &dyn std::fmt::Display| format!("with key `{key}` cannot be read ({why}), so it {foreign}");
    let mut envelope: Value = serde_json::from_slice(value).map_err(|error| unreadable(&error))?;
    let version = envelope["version"].as_u64().ok_or_else(|| unreadable(&"it has no `version`"))?;
    if version != VERSION {
        return Err(format!(
            "has format {version}, and this build knows {VERSION} only: start the build that wrote it"
        ));
    }
    match envelope["cluster"].as_str() {
        Some(found) if found == cluster => {}
        Some(found) => {
            return Err(format!("belongs to cluster `{found}`, not `{cluster}`: give each cluster its own topic"));
        }
        None => return Err(unreadable(&"it has no `cluster`")),
    }
    if key == BARRIER {
        return Ok(None);
    }
    let record: Record = serde_json::from_value(envelope["record"].take()).map_err(|error| unreadable(&error))?;
    if self::key(&record) != key {
        return Err(unreadable(&format!("its record belongs to `{}`", self::key(&record))));
    }
    Ok(Some(record))
}

fn key(record: &Record) -> String {
    match record {
        Record::Pipeline(pipeline) => format!("{PIPELINE}{}", pipeline.id()),
        Record::Forgotten { id } => format!("{PIPELINE}{id}"),
        Record::Epochs { .. } => EPOCHS.to_owned(),
        Record::Leader { .. } => LEADER.to_owned(),
    }
}

fn envelope(cluster: &str, record: Option<&Record>) -> Vec<u8> {
    serde_json::to_vec(&Envelope { version: VERSION, cluster, record }).expect("plain data can be JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_proto::domain::{Epoch, Term};

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let id: PipelineId = "soc/miners".parse().expect("an id");
        for record in [
            Record::Epochs { ceiling: Epoch(u64::MAX) },
            Record::Leader { term: Term(3), address: "here:1".to_owned() },
            Record::Forgotten { id },
        ] {
            let Message { key, value } = encode("a", &record);
            assert_eq!(decode("a", Some(key.as_bytes()), value.as_deref()), Ok(Some(record)));
        }
        let Message { key, value } = barrier("a");
        assert_eq!(decode("a", Some(key.as_bytes()), value.as_deref()), Ok(None));
    }

    #[test]
    fn foreign_messages_are_refused_with_a_hint() {
        let epochs = r#"{"version":1,"cluster":"a","record":{"kind":"epochs","ceiling":7}}"#;
        for (key, value, expected) in [
            (Some("epochs"), Some(epochs.replace(":1,", ":2,")), "start the build that wrote it"),
            (Some("epochs"), Some(epochs.replace(r#""a""#, r#""b""#)), "belongs to cluster `b`"),
            (Some("epochs"), Some(epochs.replace('7', "x")), "cannot be read"),
            (Some("epochs"), Some(epochs.replace("epochs", "sausages")), "unknown variant `sausages`"),
            (Some("leader"), Some(epochs.to_owned()), "its record belongs to `epochs`"),
            (Some("epochs"), None, "no value"),
            (Some("pipeline/a"), None, "no value"),
            (None, Some(epochs.to_owned()), "no key"),
            (Some("x"), Some("7".to_owned()), "it has no `version`"),
        ] {
            let decoded = decode("a", key.map(str::as_bytes), value.as_deref().map(str::as_bytes));
            let said = decoded.expect_err(expected);
            assert!(said.contains(expected), "{said}");
        }
    }
}
