//! The fields of an alert, and one row of them.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType};
use arrow::temporal_conversions::timestamp_ns_to_datetime;
use datafusion::common::Result as DfResult;
use datafusion::error::DataFusionError;
use serde_json::Value;

use crate::format::Format;
use crate::format::json::JsonOptions;
use crate::time::TIMESTAMP;

/// What a field of an alert holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Number,
    Time,
    /// Several texts.
    List,
    /// A struct or an array, or a text that is JSON.
    Json,
}

/// What an alert may say, by name.
pub(super) const FIELDS: [(&str, Kind); 31] = [
    ("bytes", Kind::Integer),
    ("community_id", Kind::Text),
    ("confidence", Kind::Number),
    ("dst_ip", Kind::Text),
    ("dst_port", Kind::Integer),
    ("explanation", Kind::Json),
    ("features", Kind::Json),
    ("flags", Kind::Text),
    ("hostname", Kind::Text),
    ("id", Kind::Text),
    ("level", Kind::Text),
    ("message", Kind::Text),
    ("model", Kind::Text),
    ("model_sha256", Kind::Text),
    ("model_version", Kind::Text),
    ("outlier_score", Kind::Number),
    ("packets", Kind::Integer),
    ("protocol", Kind::Text),
    ("rule", Kind::Text),
    ("rule_score", Kind::Number),
    ("sources", Kind::List),
    ("src_ip", Kind::Text),
    ("src_port", Kind::Integer),
    ("tags", Kind::List),
    ("technique", Kind::Text),
    ("tenant", Kind::Text),
    ("time", Kind::Time),
    ("tos", Kind::Integer),
    ("url", Kind::Text),
    ("window_end", Kind::Time),
    ("window_start", Kind::Time),
];

impl Kind {
    pub(super) fn takes(self, given: &DataType) -> bool {
        let is_text = given.is_string() || given.is_null();
        match self {
            Self::Text => is_text,
            Self::Integer => given.is_integer() || given.is_null(),
            Self::Number => given.is_numeric() || given.is_null(),
            Self::Time => matches!(given, DataType::Timestamp(..)) || given.is_null(),
            Self::List => is_text || matches!(given, DataType::List(item) if item.data_type().is_string()),
            Self::Json => is_text || given.is_nested(),
        }
    }

    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Time => "TIMESTAMP",
            Self::List => "an array of TEXT, or TEXT",
            Self::Json => "a struct or an array, or TEXT with JSON",
        }
    }
}

/// How severe an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl Level {
    const ALL: [Self; 5] = [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// The fields of a batch of alerts, each with one type.
pub(super) struct Columns {
    plain: BTreeMap<&'static str, ArrayRef>,
    json: BTreeMap<&'static str, Vec<Value>>,
}

/// One alert.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    columns: &'a Columns,
    index: usize,
}

impl Columns {
    pub(super) fn new(alerts: &StructArray) -> DfResult<Self> {
        let mut columns = Self { plain: BTreeMap::new(), json: BTreeMap::new() };
        for (name, kind) in FIELDS {
            let Some(array) = alerts.column_by_name(name) else { continue };
            let wanted = match kind {
                Kind::Text => DataType::Utf8,
                Kind::Integer => DataType::Int64,
                Kind::Number => DataType::Float64,
                Kind::Time => TIMESTAMP,
                Kind::Json if array.data_type().is_nested() => {
                    columns.json.insert(name, values(array)?);
                    continue;
                }
                Kind::List if array.data_type().is_nested() => {
                    columns.json.insert(name, values(array)?);
                    continue;
                }
                Kind::Json | Kind::List => DataType::Utf8,
            };
            columns.plain.insert(name, cast(array, &wanted)?);
        }
        Ok(columns)
    }

    pub(super) fn row(&self, index: usize) -> Row<'_> {
        Row { columns: self, index }
    }
}

/// The values of an array as JSON, written as Davy writes JSON.
fn values(array: &ArrayRef) -> DfResult<Vec<Value>> {
    const NAME: &str = "value";
    let external = |error: crate::Error| DataFusionError::External(Box::new(error));
    let batch = RecordBatch::try_from_iter_with_nullable([(NAME, array.clone(), true)])?;
    let mut encoder = Format::Json(JsonOptions::default()).encoder(batch.schema_ref()).map_err(external)?;
    let mut lines = Vec::new();
    encoder.encode(&batch, &mut lines).map_err(external)?;
    let value = |line: &[u8]| match serde_json::from_slice(line) {
        Ok(Value::Object(mut object)) => Ok(object.remove(NAME).unwrap_or_default()),
        Ok(_) | Err(_) => Err(external(crate::Error::internal("a row as JSON is an object"))),
    };
    lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(value).collect()
}

impl<'a> Row<'a> {
    fn array(&self, name: &str) -> Option<&'a ArrayRef> {
        debug_assert!(FIELDS.iter().any(|(known, _)| *known == name), "`{name}` is a field");
        self.columns.plain.get(name).filter(|array| array.is_valid(self.index))
    }

    /// Checks what every format relies on.
    pub(super) fn check(&self, required: &[&str]) -> Result<(), String> {
        for name in required {
            if self.array(name).is_none() {
                return Err(format!("`{name}` is null"));
            }
        }
        self.level()?;
        self.confidence().map(drop)
    }

    /// A text that is not empty.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        let text = self.array(name)?.as_string::<i32>().value(self.index);
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        Some(self.array(name)?.as_primitive::<Int64Type>().value(self.index))
    }

    /// A number that JSON can hold.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        let number = self.array(name)?.as_primitive::<Float64Type>().value(self.index);
        number.is_finite().then_some(number)
    }

    /// Nanoseconds since 1970.
    pub(super) fn time(&self, name: &str) -> Option<i64> {
        Some(self.array(name)?.as_primitive::<TimestampNanosecondType>().value(self.index))
    }

    pub(super) fn milliseconds(&self, name: &str) -> Option<i64> {
        self.time(name).map(|time| time.div_euclid(1_000_000))
    }

    /// A time as `format` says, in the notation of strftime; it is UTC.
    pub(super) fn time_as(&self, name: &str, format: &str) -> Option<String> {
        timestamp_ns_to_datetime(self.time(name)?).map(|time| time.format(format).to_string())
    }

    /// Several texts: an array, or one text with commas.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let of_text =
            |text: &str| text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
        match self.columns.json.get(name).map(|values| &values[self.index]) {
            Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(_) => Vec::new(),
            None => self.text(name).map_or_else(Vec::new, of_text),
        }
    }

    pub(super) fn json(&self, name: &str) -> Value {
        match self.columns.json.get(name) {
            Some(values) => values[self.index].clone(),
            None => match self.text(name) {
                Some(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
                None => Value::Null,
            },
        }
    }

    pub(super) fn level(&self) -> Result<Option<Level>, String> {
        let Some(text) = self.text("level") else { return Ok(None) };
        match Level::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(text)) {
            Some(level) => Ok(Some(level)),
            None => Err(format!("level `{text}` is none of `informational`, `low`, `medium`, `high` and `critical`")),
        }
    }

    /// From 0 to 1; `None` where the model has none.
    pub(super) fn confidence(&self) -> Result<Option<f64>, String> {
        match self.number("confidence") {
            Some(confidence) if !(0.0..=1.0).contains(&confidence) => {
                Err(format!("confidence {confidence} is not from 0 to 1, as models give it"))
            }
            confidence => Ok(confidence),
        }
    }

    /// In percent, to four digits behind the point: what remains of 0.07 * 100 is 7.
    pub(super) fn percent(&self) -> Result<Option<f64>, String> {
        Ok(self.confidence()?.map(|confidence| (confidence * 1e6).round() / 1e4))
    }

    /// One sentence for people: the given one, or what is known of the alert.
    pub(super) fn message(&self) -> Result<String, String> {
        if let Some(message) = self.text("message") {
            return Ok(message.to_owned());
        }
        let mut message = self.text("rule").unwrap_or_default().to_owned();
        let end = |address: &str, port: &str| {
            let address = self.text(address)?;
            let is_v6 = address.contains(':');
            Some(match self.integer(port) {
                Some(port) if is_v6 => format!("[{address}]:{port}"),
                Some(port) => format!("{address}:{port}"),
                None => address.to_owned(),
            })
        };
        if let Some(source) = end("src_ip", "src_port") {
            message += &format!(" from {source}");
        }
        if let Some(destination) = end("dst_ip", "dst_port") {
            message += &format!(" to {destination}");
        }
        if let Some(percent) = self.percent()? {
            message += &format!(", confidence {percent} %");
        }
        Ok(message)
    }
}

/// Timestamps have nanoseconds in all of Davy.
const _: () = assert!(matches!(TIMESTAMP, DataType::Timestamp(TimeUnit::Nanosecond, None)));
