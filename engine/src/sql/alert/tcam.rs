//! `alert_tcam`: an alert as the Threat Classification and Alarm Management takes it.

use serde_json::{Value, json};

use super::json::pruned;
use super::row::Row;

const TIME: &str = "%Y-%m-%d %H:%M:%S";

pub(super) fn write(row: &Row<'_>) -> Result<String, String> {
    let seconds = || Some((row.time("window_end")?.checked_sub(row.time("window_start")?)?) / 1_000_000_000);
    let alert = json!({
        "Threat_Finding": {
            "Time_Start": row.time_as("window_start", TIME),
            "Time_End": row.time_as("window_end", TIME),
            "Time_Duration": seconds().map(|seconds| seconds.to_string()),
            "Source_Address": row.text("src_ip"),
            "Destination_Address": row.text("dst_ip"),
            "Source_Port": row.integer("src_port"),
            "Destination_Port": row.integer("dst_port"),
            "Protocol": row.text("protocol"),
            "Flag": row.text("flags"),
            "Source_tos": row.integer("tos"),
            "Input_packets": row.integer("packets"),
            "Input_bytes": row.integer("bytes"),
        },
        "Threat_Label": "Crypto",
        "Threat_Category": "malware",
        "Classification_Confidence": row.confidence()?,
        "Outlier_Score": row.number("outlier_score"),
    });
    Ok(Value::to_string(&pruned(alert)))
}
