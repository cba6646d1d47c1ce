//! What the formats in JSON share.

use serde_json::{Map, Value, json};

use super::row::Row;

/// Without members that say nothing: null, and objects and arrays that are empty.
pub(super) fn pruned(value: Value) -> Value {
    let says_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().map(|(name, value)| (name, pruned(value)));
            Value::Object(kept.filter(|(_, value)| !says_nothing(value)).collect())
        }
        Value::Array(items) => {
            let is_kept = |item: &Value| !item.as_object().is_some_and(Map::is_empty);
            Value::Array(items.into_iter().map(pruned).filter(is_kept).collect())
        }
        other => other,
    }
}

const RFC_3339: &str = "%Y-%m-%dT%H:%M:%S%.3fZ";

/// A time to the millisecond.
pub(super) fn time(row: &Row<'_>, name: &str) -> Option<String> {
    row.time_as(name, RFC_3339)
}

/// What an alert was judged by, for which the formats have no fields of their own.
pub(super) fn evidence(row: &Row<'_>) -> Result<Value, String> {
    Ok(json!({
        "confidence_percent": row.percent()?,
        "community_id": row.text("community_id"),
        "explanation": row.json("explanation"),
        "features": row.json("features"),
        "flags": row.text("flags"),
        "level": row.level()?.map(|level| level.name()),
        "model": {
            "name": row.text("model"),
            "sha256": row.text("model_sha256"),
            "version": row.text("model_version"),
        },
        "outlier_score": row.number("outlier_score"),
        "rule_score": row.number("rule_score"),
        "sources": row.list("sources"),
        "tenant": row.text("tenant"),
        "window": { "start": time(row, "window_start"), "end": time(row, "window_end") },
    }))
}

/// The same with one level: names of members are joined by dots.
pub(super) fn flat(value: &Value) -> Map<String, Value> {
    let mut into = Map::new();
    flatten("", value, &mut into);
    into
}

fn flatten(name: &str, value: &Value, into: &mut Map<String, Value>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                let name = if name.is_empty() { member.clone() } else { format!("{name}.{member}") };
                flatten(&name, value, into);
            }
        }
        // Readers of flat fields take texts and numbers.
        Value::Array(_) => {
            into.insert(name.to_owned(), Value::from(value.to_string()));
        }
        other => {
            into.insert(name.to_owned(), other.clone());
        }
    }
}
