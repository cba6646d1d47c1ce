//! Text in, text out, one row at a time: what the host's tests pass strings through.

use arroyo_udf_plugin::udf;

/// The last two labels of a host name. A name without a dot has none: null. An empty name panics, to be caught by the macro.
#[udf]
fn last_labels(host: &str) -> Option<String> {
    assert!(!host.is_empty(), "an empty host name");
    let (rest, last) = host.rsplit_once('.')?;
    let before = rest.rsplit('.').next().unwrap_or(rest);
    Some(format!("{before}.{last}"))
}
