//! An alert as JSON: a row of a pipeline, or what `alert_ecs`, `alert_ocsf` and `alert_falcosidekick` write.

use davy_engine::sql::offset_ranges::OffsetRange;
use davy_engine::time::parse_timestamp;
use davy_engine::{Error, Result};
use serde_json::Value;

/// Where each format has it.
const ID: [&str; 4] = ["/id", "/event/id", "/finding_info/uid", "/output_fields/id"];
const SOURCES: [&str; 4] = ["/sources", "/davy/sources", "/finding_info/data_sources", "/output_fields/sources"];
const ONE_END: [&str; 6] =
    ["/client", "/src_ip", "/source/ip", "/evidences/0/src_endpoint/ip", "/output_fields/src_ip", "/sa"];
const OTHER_END: [&str; 6] =
    ["/server", "/dst_ip", "/destination/ip", "/evidences/0/dst_endpoint/ip", "/output_fields/dst_ip", "/da"];
const PORT: [&str; 6] =
    ["/port", "/dst_port", "/destination/port", "/evidences/0/dst_endpoint/port", "/output_fields/dst_port", "/dp"];

const WINDOW: [[&str; 2]; 5] = [
    ["/window_start", "/window_end"],
    ["/event/start", "/event/end"],
    ["/davy/window_start", "/davy/window_end"],
    ["/evidences/0/data/window_start", "/evidences/0/data/window_end"],
    ["/output_fields/window_start", "/output_fields/window_end"],
];

/// An early result says so; the final one of the same rows differs in it only.
const IS_FINAL: &str = "is_final";

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alert(pub(super) Value);

/// A field whose value has changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    /// The names on the way to it, with dots.
    pub(super) field: String,
    pub(super) alert: Value,
    pub(super) again: Value,
}

impl Alert {
    /// The objects of a text, one after the other, as lines or not.
    pub(super) fn read_all(text: &str) -> Result<Vec<Self>> {
        let mut alerts = Vec::new();
        for (index, value) in serde_json::Deserializer::from_str(text).into_iter::<Value>().enumerate() {
            match value {
                Ok(value @ Value::Object(_)) => alerts.push(Self(value)),
                Ok(_) => return Err(Error::invalid(format!("value {} is no JSON object", index + 1))),
                Err(error) => return Err(Error::invalid(format!("value {} is no JSON: {error}", index + 1))),
            }
        }
        Ok(alerts)
    }

    /// One object; `None` where the text is something else.
    pub(super) fn of_line(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok().filter(Value::is_object).map(Self)
    }

    /// Whether its id begins so.
    pub(super) fn has_id(&self, prefix: &str) -> bool {
        self.id().is_some_and(|id| id.starts_with(prefix))
    }

    fn first(&self, pointers: &[&str]) -> Option<&Value> {
        pointers.iter().find_map(|pointer| self.0.pointer(pointer)).filter(|value| !value.is_null())
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.first(&ID)?.as_str()
    }

    /// The messages that it is from; none where it does not say.
    pub(super) fn sources(&self) -> Result<Vec<OffsetRange>> {
        let texts: Vec<&str> = match self.first(&SOURCES) {
            None => return Ok(Vec::new()),
            Some(Value::String(text)) => text.split(',').collect(),
            Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).collect(),
            Some(other) => return Err(Error::invalid(format!("the alert's sources are no texts: {other}"))),
        };
        let parse = |text: &&str| {
            OffsetRange::parse(text).ok_or_else(|| {
                Error::invalid(format!("the alert's source `{}` is no range of offsets", text.trim()))
                    .hint("make them with offset_ranges(split, offset), as `flows/3@1000-1018`")
            })
        };
        texts.iter().map(parse).collect()
    }

    /// The condition for its flows over nfdump's columns; `None` where it has no addresses.
    pub(super) fn condition(&self) -> Option<String> {
        let quoted = |value: &Value| value.as_str().map(|text| format!("'{}'", text.replace('\'', "''")));
        let (one, other) = (quoted(self.first(&ONE_END)?)?, quoted(self.first(&OTHER_END)?)?);
        let pair = format!("((sa = {one} AND da = {other}) OR (sa = {other} AND da = {one}))");
        Some(match self.first(&PORT).and_then(Value::as_u64) {
            Some(port) => format!("{pair} AND (sp = {port} OR dp = {port})"),
            None => pair,
        })
    }

    /// Begin and end of its window, as timestamps.
    pub(super) fn window(&self) -> Option<[&str; 2]> {
        WINDOW.iter().find_map(|pointers| {
            let [from, to] = pointers.map(|pointer| self.0.pointer(pointer).and_then(Value::as_str));
            let is_time = |text: &&str| parse_timestamp(text).is_some();
            Some([from.filter(is_time)?, to.filter(is_time)?])
        })
    }

    /// Its fields in order, those of objects within it by their path.
    pub(super) fn fields(&self) -> Vec<(String, &Value)> {
        let mut fields = Vec::new();
        flatten("", &self.0, &mut fields);
        fields
    }

    /// What is different in `again`.
    pub(super) fn differences(&self, again: &Self) -> Vec<Difference> {
        let (mine, theirs) = (self.fields(), again.fields());
        let find = |fields: &[(String, &Value)], name: &str| {
            fields.iter().find(|(field, _)| field == name).map_or(Value::Null, |(_, value)| (*value).clone())
        };
        let mut names: Vec<&String> = mine.iter().chain(&theirs).map(|(name, _)| name).collect();
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| *name != IS_FINAL && seen.insert(*name));
        let difference = |name: &String| {
            let (alert, again) = (find(&mine, name), find(&theirs, name));
            (alert != again).then(|| Difference { field: name.clone(), alert, again })
        };
        names.into_iter().filter_map(difference).collect()
    }
}

/// The path to a field of the object at `path`.
pub(super) fn path(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn flatten<'a>(path: &str, value: &'a Value, fields: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                flatten(&self::path(path, name), value, fields);
            }
        }
        value => fields.push((path.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_format_has_its_places() {
        let alerts = [
            json!({"id": "a1", "client": "10.0.0.1", "server": "192.0.2.1", "port": 3333, "sources": ["flows/0@1-2", "flows/1@5-5"]}),
            json!({"event": {"id": "a1"}, "source": {"ip": "10.0.0.1"}, "destination": {"ip": "192.0.2.1", "port": 3333},
                   "davy": {"sources": ["flows/0@1-2", "flows/1@5-5"]}}),
            json!({"finding_info": {"uid": "a1", "data_sources": ["flows/0@1-2", "flows/1@5-5"]},
                   "evidences": [{"src_endpoint": {"ip": "10.0.0.1"}, "dst_endpoint": {"ip": "192.0.2.1", "port": 3333}}]}),
            json!({"output_fields": {"id": "a1", "src_ip": "10.0.0.1", "dst_ip": "192.0.2.1", "dst_port": 3333,
                   "sources": "flows/0@1-2, flows/1@5-5"}}),
        ];
        for alert in alerts.map(Alert) {
            assert_eq!(alert.id(), Some("a1"));
            let ranges: Vec<String> = alert.sources().expect("ranges").iter().map(ToString::to_string).collect();
            assert_eq!(ranges, ["flows/0@1-2", "flows/1@5-5"]);
            assert_eq!(
                alert.condition().expect("addresses"),
                "((sa = '10.0.0.1' AND da = '192.0.2.1') OR (sa = '192.0.2.1' AND da = '10.0.0.1')) AND (sp = 3333 OR dp = 3333)"
            );
        }
        let hostile = Alert(json!({"client": "x' OR '1' = '1", "server": "y", "sources": ["flows"]}));
        assert_eq!(
            hostile.condition().expect("two"),
            "((sa = 'x'' OR ''1'' = ''1' AND da = 'y') OR (sa = 'y' AND da = 'x'' OR ''1'' = ''1'))"
        );
        assert!(hostile.sources().expect_err("refused").to_string().contains("`flows` is no range"));
    }

    #[test]
    fn what_has_changed_is_named_with_its_path() {
        let alert = Alert(json!({"id": "a", "score": 0.9, "why": {"flows": 5, "gone": 1}, "is_final": false}));
        let again = Alert(json!({"id": "a", "score": 0.9, "why": {"flows": 6}, "more": true, "is_final": true}));
        let shown: Vec<String> = alert
            .differences(&again)
            .iter()
            .map(|Difference { field, alert, again }| format!("{field}: {alert} {again}"))
            .collect();
        assert_eq!(shown, ["why.flows: 5 6", "why.gone: 1 null", "more: null true"]);
        assert_eq!(alert.differences(&alert), []);
    }

    #[test]
    fn alerts_are_read_as_lines_or_as_one_object() {
        let two = Alert::read_all("{\"id\": \"a\"}\n{\n \"id\": \"b\"\n}\n").expect("two");
        assert_eq!(two.iter().filter_map(Alert::id).collect::<Vec<_>>(), ["a", "b"]);
        assert!(Alert::read_all("{\"id\"").expect_err("refused").to_string().contains("value 1 is no JSON"));
        assert!(Alert::read_all("{} 7").expect_err("refused").to_string().contains("value 2 is no JSON object"));
    }
}
