//! `alert_cef`: an alert in the Common Event Format, version 0, as ArcSight's implementation standard describes it.
//!
//! In the header `|` and `\` are escaped, and there is no line end. In the extension `=` and `\` are, and line ends are `\n` and `\r`.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::Value;

use super::attack::Attack;
use super::row::{Level, Row};
use super::{PRODUCT, VERSION};

fn severity(level: Option<Level>) -> &'static str {
    match level {
        None => "Unknown",
        Some(Level::Informational) => "0",
        Some(Level::Low) => "3",
        Some(Level::Medium) => "6",
        Some(Level::High) => "8",
        Some(Level::Critical) => "10",
    }
}

fn in_header(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\r', '\n'], " ")
}

fn in_extension(text: &str) -> String {
    text.replace('\\', "\\\\").replace('=', "\\=").replace('\r', "\\r").replace('\n', "\\n")
}

/// `key=value` pairs.
#[derive(Default)]
struct Extension(String);

impl Extension {
    fn add<'a>(&mut self, key: &str, value: Option<impl Into<Cow<'a, str>>>) {
        if let Some(value) = value {
            let separator = if self.0.is_empty() { "" } else { " " };
            let value = in_extension(&value.into());
            write!(self.0, "{separator}{key}={value}").expect("a String takes any text");
        }
    }

    /// A custom field with what it means.
    fn add_custom<'a>(&mut self, key: &str, label: &str, value: Option<impl Into<Cow<'a, str>>>) {
        if let Some(value) = value {
            self.add(key, Some(value));
            self.add(&format!("{key}Label"), Some(label));
        }
    }

    /// Addresses of IPv6 have fields of their own.
    fn add_address(&mut self, address: Option<&str>, v4: &str, v6: (&str, &str)) {
        match address {
            Some(address) if address.contains(':') => self.add_custom(v6.0, v6.1, Some(address)),
            address => self.add(v4, address),
        }
    }
}

pub(super) fn write(row: &Row<'_>) -> Result<String, String> {
    let rule = in_header(row.text("rule").unwrap_or_default());
    let technique = Attack::new(row.text("technique"));
    let number = |name: &str| row.integer(name).map(|number| number.to_string());
    let decimal = |number: Option<f64>| number.map(|number| number.to_string());
    let milliseconds = |name: &str| row.milliseconds(name).map(|time| time.to_string());
    let joined = |texts: Vec<String>| (!texts.is_empty()).then(|| texts.join(", "));
    let features = row.json("features");
    let model = row.text("model").map(|model| match row.text("model_version") {
        Some(version) => format!("{model} {version}"),
        None => model.to_owned(),
    });

    let mut extension = Extension::default();
    extension.add("externalId", row.text("id"));
    extension.add("rt", milliseconds("time"));
    extension.add("start", milliseconds("window_start"));
    extension.add("end", milliseconds("window_end"));
    extension.add_address(row.text("src_ip"), "src", ("c6a2", "Source IPv6 Address"));
    extension.add("spt", number("src_port"));
    extension.add_address(row.text("dst_ip"), "dst", ("c6a3", "Destination IPv6 Address"));
    extension.add("dpt", number("dst_port"));
    extension.add("proto", row.text("protocol"));
    extension.add("in", number("bytes"));
    extension.add("msg", Some(row.message()?));
    extension.add("cat", Some(technique.id()));
    extension.add("dvchost", row.text("hostname"));
    extension.add("request", row.text("url"));
    extension.add_custom("cfp1", "Confidence percent", decimal(row.percent()?));
    extension.add_custom("cfp2", "Rule score", decimal(row.number("rule_score")));
    extension.add_custom("cs1", "Community ID", row.text("community_id"));
    extension.add_custom("cs2", "Model", model);
    extension.add_custom("cs3", "Model SHA-256", row.text("model_sha256"));
    extension.add_custom("cs4", "Features", (features != Value::Null).then(|| features.to_string()));
    extension.add_custom("cs5", "Sources", joined(row.list("sources")));
    extension.add_custom("cs6", "Tags", joined(row.list("tags")));
    extension.add_custom("flexString1", "Tenant", row.text("tenant"));
    let severity = severity(row.level()?);
    Ok(format!("CEF:0|{PRODUCT}|{PRODUCT}|{VERSION}|{rule}|{rule}|{severity}|{}", extension.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the standard.
    #[test]
    fn texts_are_escaped_as_the_standard_shows() {
        let header = [
            ("detected a | in message", "detected a \\| in message"),
            ("detected a \\ in packet", "detected a \\\\ in packet"),
            ("detected a = in message", "detected a = in message"),
            ("two\nlines", "two lines"),
        ];
        for (text, expected) in header {
            assert_eq!(in_header(text), expected);
        }
        let extension = [
            ("blocked a |", "blocked a |"),
            ("blocked a \\", "blocked a \\\\"),
            ("blocked a =", "blocked a \\="),
            ("Detected a threat.\n No action needed.\r", "Detected a threat.\\n No action needed.\\r"),
        ];
        for (text, expected) in extension {
            assert_eq!(in_extension(text), expected);
        }
    }
}
