//! JSON values as they are read, borrowing text where it has no escapes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::encode::write_string;
use crate::format::BadReason;

/// A value of a field that the query uses.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Boolean(bool),
    Signed(i64),
    /// A number that a signed one cannot hold, or any that is not negative.
    Unsigned(u64),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    /// In the order of the text, duplicates included.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl Json<'_> {
    /// Writes the value as JSON again, without blanks.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        use std::io::Write;
        let written = match self {
            Self::Null => out.write_all(b"null"),
            Self::Boolean(value) => write!(out, "{value}"),
            Self::Signed(value) => write!(out, "{value}"),
            Self::Unsigned(value) => write!(out, "{value}"),
            Self::Float(value) => write!(out, "{value:?}"),
            Self::Text(text) => {
                write_string(text, out);
                Ok(())
            }
            Self::List(items) => {
                write_between(b'[', items, b']', out, Json::write);
                Ok(())
            }
            Self::Object(fields) => {
                write_between(b'{', fields, b'}', out, |(key, value), out| {
                    write_string(key, out);
                    out.push(b':');
                    value.write(out);
                });
                Ok(())
            }
        };
        written.expect("a vector takes all");
    }
}

fn write_between<T>(open: u8, items: &[T], close: u8, out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if 0 < index {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(close);
}

/// What was found of a used name.
#[derive(Clone, Debug, Default)]
pub(super) enum Slot<'a> {
    #[default]
    Absent,
    /// Spelled as the name; of several the last counts.
    Exact(Json<'a>),
    /// Spelled with other capitals.
    Folded(Cow<'a, str>, Json<'a>),
    /// Spelled with other capitals, in two ways.
    Ambiguous(Cow<'a, str>, Cow<'a, str>),
}

impl<'a> Slot<'a> {
    fn fold(&mut self, key: Cow<'a, str>, value: Json<'a>) {
        *self = match std::mem::take(self) {
            Self::Folded(other, _) if other != key => Self::Ambiguous(other, key),
            Self::Absent | Self::Folded(..) => Self::Folded(key, value),
            known @ (Self::Exact(_) | Self::Ambiguous(..)) => known,
        };
    }
}

/// Whether `key` may be what a query calls `name`: SQL folds names that are not quoted to lower case.
fn is_folded(name: &str, key: &str) -> bool {
    key.eq_ignore_ascii_case(name) && !name.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// The value of a struct's field, by the same rules as [`Record`]'s.
pub(super) fn find<'v, 'a>(
    fields: &'v [(Cow<'a, str>, Json<'a>)],
    name: &str,
) -> Result<Option<&'v Json<'a>>, BadReason> {
    if let Some((_, value)) = fields.iter().rev().find(|(key, _)| key == name) {
        return Ok(Some(value));
    }
    let mut folded = fields.iter().rev().filter(|(key, _)| is_folded(name, key));
    let Some((found, value)) = folded.next() else { return Ok(None) };
    if folded.any(|(key, _)| key != found) { Err(BadReason::Malformed) } else { Ok(Some(value)) }
}

/// Reads an object's used fields: `slots[index]` for the name at `index`.
pub(super) struct Record<'s, 'de> {
    pub(super) names: &'s [String],
    pub(super) slots: &'s mut [Slot<'de>],
}

impl<'de> Visitor<'de> for Record<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key()? {
            if let Some(index) = self.names.iter().position(|name| **name == *key) {
                self.slots[index] = Slot::Exact(map.next_value()?);
            } else if let Some(index) = self.names.iter().position(|name| is_folded(name, &key)) {
                self.slots[index].fold(key, map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(AnyValue)? {
            Json::Text(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("a key that is no text")),
        }
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Boolean(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Signed(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Unsigned(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::Float(value))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(Text(key)) = map.next_key()? {
            fields.push((key, map.next_value()?));
        }
        Ok(Json::Object(fields))
    }
}
