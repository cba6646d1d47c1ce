//! `alert_ocsf`: an alert as a Detection Finding (class 2004) of the Open Cybersecurity Schema Framework.

use serde_json::{Value, json};

use super::super::network::protocol_number;
use super::attack::{Attack, Entry};
use super::json::{evidence, pruned};
use super::row::{Level, Row};
use super::{PRODUCT, VERSION};

const OCSF_VERSION: &str = "1.5.0";

const FINDINGS: u32 = 2;
const DETECTION_FINDING: u32 = 2004;
const CREATE: u32 = 1;

fn severity(level: Option<Level>) -> (u8, &'static str) {
    match level {
        None => (0, "Unknown"),
        Some(Level::Informational) => (1, "Informational"),
        Some(Level::Low) => (2, "Low"),
        Some(Level::Medium) => (3, "Medium"),
        Some(Level::High) => (4, "High"),
        Some(Level::Critical) => (5, "Critical"),
    }
}

pub(super) fn write(row: &Row<'_>) -> Result<String, String> {
    let (severity_id, severity) = severity(row.level()?);
    let percent = row.percent()?;
    let (time, start, end) =
        (row.milliseconds("time"), row.milliseconds("window_start"), row.milliseconds("window_end"));
    let message = row.message()?;
    let alert = json!({
        "activity_id": CREATE,
        "activity_name": "Create",
        "category_uid": FINDINGS,
        "category_name": "Findings",
        "class_uid": DETECTION_FINDING,
        "class_name": "Detection Finding",
        "type_uid": DETECTION_FINDING * 100 + CREATE,
        "type_name": "Detection Finding: Create",
        "time": time,
        "start_time": start,
        "end_time": end,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": 1,
        "status": "New",
        "message": message,
        "is_alert": true,
        // Of the caption's own values none is exact, so it is `Other` with the number.
        "confidence": percent.map(|percent| format!("{percent} %")),
        "confidence_id": percent.map(|_| 99),
        "confidence_score": percent.map(|percent| percent.round() as u8),
        "metadata": {
            "version": OCSF_VERSION,
            "product": { "name": PRODUCT, "vendor_name": PRODUCT, "version": VERSION },
            "uid": row.text("id"),
            "log_provider": row.text("hostname"),
            "tenant_uid": row.text("tenant"),
            "labels": row.list("tags"),
        },
        "finding_info": {
            "uid": row.text("id"),
            "title": row.text("rule"),
            "desc": message,
            "created_time": time,
            "first_seen_time": start,
            "last_seen_time": end,
            "src_url": row.text("url"),
            "data_sources": row.list("sources"),
            "analytic": analytic(row),
            "attacks": [attack(row)],
        },
        "evidences": [{
            "src_endpoint": endpoint(row, "src"),
            "dst_endpoint": endpoint(row, "dst"),
            "connection_info": connection(row),
            "data": evidence(row)?,
        }],
        "observables": observables(row),
    });
    Ok(Value::to_string(&pruned(alert)))
}

/// The model, or where there is none, the rule.
fn analytic(row: &Row<'_>) -> Value {
    match row.text("model") {
        Some(model) => json!({
            "name": model,
            "uid": row.text("model_sha256").unwrap_or(model),
            "version": row.text("model_version"),
            "type_id": 4,
            "type": "Learning (ML/DL)",
        }),
        None => json!({ "name": row.text("rule"), "uid": row.text("rule"), "type_id": 1, "type": "Rule" }),
    }
}

fn attack(row: &Row<'_>) -> Value {
    let attack = Attack::new(row.text("technique"));
    let entry = |entry: Option<&Entry>| entry.map(|entry| json!({ "uid": entry.id, "name": entry.name }));
    json!({
        "tactic": entry(attack.tactic.as_ref()),
        "technique": entry(Some(&attack.technique)),
        "sub_technique": entry(attack.sub_technique.as_ref()),
    })
}

fn endpoint(row: &Row<'_>, side: &str) -> Value {
    json!({ "ip": row.text(&format!("{side}_ip")), "port": row.integer(&format!("{side}_port")) })
}

/// Which side began a connection is not known.
fn connection(row: &Row<'_>) -> Value {
    let Some(protocol) = row.text("protocol") else { return Value::Null };
    json!({
        "direction_id": 0,
        "protocol_name": protocol.trim().to_lowercase(),
        "protocol_num": protocol_number(protocol),
        "uid": row.text("community_id"),
    })
}

fn observables(row: &Row<'_>) -> Value {
    let address = |side: &str| {
        let address = row.text(&format!("{side}_ip"))?;
        let name = format!("evidences[].{side}_endpoint.ip");
        Some(json!({ "name": name, "type_id": 2, "type": "IP Address", "value": address }))
    };
    ["src", "dst"].into_iter().filter_map(address).collect()
}
