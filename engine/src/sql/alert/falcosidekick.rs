//! `alert_falcosidekick`: an alert as Falco sends it, which falcosidekick forwards to chats, queues and SIEMs.

use serde_json::{Value, json};

use super::attack::Attack;
use super::json::{evidence, flat, pruned};
use super::row::{Level, Row};

/// Falco's priorities.
fn priority(level: Option<Level>) -> &'static str {
    match level {
        Some(Level::Informational) => "Informational",
        None | Some(Level::Low) => "Notice",
        Some(Level::Medium) => "Warning",
        Some(Level::High) => "Error",
        Some(Level::Critical) => "Critical",
    }
}

pub(super) fn write(row: &Row<'_>) -> Result<String, String> {
    let mut fields = evidence(row)?;
    for name in ["id", "src_ip", "dst_ip", "protocol", "url"] {
        fields[name] = json!(row.text(name));
    }
    for name in ["src_port", "dst_port", "packets", "bytes"] {
        fields[name] = json!(row.integer(name));
    }
    let mut tags = row.list("tags");
    let technique = Attack::new(row.text("technique")).id().to_owned();
    if !tags.contains(&technique) {
        tags.push(technique);
    }
    let alert = json!({
        "output": row.message()?,
        "priority": priority(row.level()?),
        "rule": row.text("rule"),
        "time": row.time_as("time", "%Y-%m-%dT%H:%M:%S%.9fZ"),
        "output_fields": flat(&pruned(fields)),
        "source": "davy",
        "tags": tags,
        "hostname": row.text("hostname"),
    });
    Ok(Value::to_string(&pruned(alert)))
}
