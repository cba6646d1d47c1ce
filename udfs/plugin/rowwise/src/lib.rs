//! A function written the way Arroyo's documentation shows it: one row at a time, the rest is the macro's.

use arroyo_udf_plugin::udf;

/// Mean size of a flow's packets; null for a flow without packets, and where an argument is null.
#[udf]
fn bytes_per_packet(bytes: i64, packets: i64) -> Option<f64> {
    (packets != 0).then(|| bytes as f64 / packets as f64)
}
