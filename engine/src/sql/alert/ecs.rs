//! `alert_ecs`: an alert in the Elastic Common Schema, version 8. What the schema has no field for is below `davy`.

use serde_json::{Value, json};

use super::attack::{Attack, Entry, FRAMEWORK};
use super::json::{evidence, pruned, time};
use super::row::{Level, Row};
use super::{PRODUCT, VERSION};

const ECS_VERSION: &str = "8.17.0";

/// The severities that Elastic's detections have.
fn severity(level: Level) -> u8 {
    match level {
        Level::Informational => 1,
        Level::Low => 21,
        Level::Medium => 47,
        Level::High => 73,
        Level::Critical => 99,
    }
}

pub(super) fn write(row: &Row<'_>) -> Result<String, String> {
    let attack = Attack::new(row.text("technique"));
    let ids = |entry: Option<&Entry>| entry.map(|entry| json!({ "id": [entry.id], "name": [entry.name] }));
    let mut technique = ids(Some(&attack.technique)).unwrap_or_default();
    technique["subtechnique"] = json!(ids(attack.sub_technique.as_ref()));
    let end = |address: &str, port: &str| json!({ "address": row.text(address), "ip": row.text(address), "port": row.integer(port) });
    let alert = json!({
        "@timestamp": time(row, "time"),
        "ecs": { "version": ECS_VERSION },
        "message": row.message()?,
        "tags": row.list("tags"),
        "event": {
            "kind": "alert",
            "category": ["network", "intrusion_detection"],
            "type": ["info"],
            "id": row.text("id"),
            "provider": "davy",
            "dataset": "davy.alert",
            "module": "davy",
            "severity": row.level()?.map(severity),
            "risk_score": row.percent()?,
            "start": time(row, "window_start"),
            "end": time(row, "window_end"),
            "url": row.text("url"),
        },
        "rule": { "name": row.text("rule") },
        "source": end("src_ip", "src_port"),
        "destination": end("dst_ip", "dst_port"),
        "network": {
            "bytes": row.integer("bytes"),
            "community_id": row.text("community_id"),
            "packets": row.integer("packets"),
            "transport": row.text("protocol").map(|protocol| protocol.trim().to_lowercase()),
        },
        "threat": {
            "framework": FRAMEWORK,
            "tactic": ids(attack.tactic.as_ref()),
            "technique": technique,
        },
        "host": { "name": row.text("hostname") },
        "organization": { "id": row.text("tenant") },
        "observer": { "product": PRODUCT, "type": "ids", "vendor": PRODUCT, "version": VERSION },
        "davy": evidence(row)?,
    });
    Ok(Value::to_string(&pruned(alert)))
}
