//! The protobuf wire format, read in place.
//!
//! A message is a slice of the file that is walked field by field; nothing is copied, and a length is compared with the bytes
//! that are there before anything is done with it. Stricter than protobuf in one thing: a known field with another wire type
//! than the schema's is refused, where protobuf would take it for an unknown one.
//!
//! <https://protobuf.dev/programming-guides/encoding/>

use crate::error::{Error, Result};

/// Bytes of the file, and where they begin in it (messages name the byte).
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) offset: usize,
}

/// The value of a field, as its wire type says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(Slice<'a>),
    Fixed32(u32),
}

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) value: Value<'a>,
    /// Where it begins in the file.
    pub(super) offset: usize,
    /// The field as it stands in the file, with its tag.
    pub(super) raw: &'a [u8],
}

/// An error that says where in the file it is.
pub(super) fn broken(offset: usize, what: impl std::fmt::Display) -> Error {
    Error::invalid(
        format!("model, byte {offset}: {what}"),
        "export the model again; the file is damaged or no ONNX model",
    )
}

/// Walks the fields of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    slice: Slice<'a>,
    at: usize,
}

impl<'a> Slice<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(super) fn fields(self) -> Fields<'a> {
        Fields { slice: self, at: 0 }
    }

    /// As text, which protobuf says is UTF-8.
    pub(super) fn text(self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes).map_err(|_| broken(self.offset, "a name is not UTF-8"))
    }

    pub(super) fn varints(self) -> Varints<'a> {
        Varints(self.fields())
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.slice.bytes.len() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.at = self.slice.bytes.len();
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<Field<'a>> {
        let begin = self.at;
        let offset = self.slice.offset + begin;
        let tag = self.varint()?;
        let number = match u32::try_from(tag >> 3) {
            Ok(number @ 1..0x2000_0000) => number,
            _ => return Err(broken(offset, format!("field number {} is out of range", tag >> 3))),
        };
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                let left = self.slice.bytes.len() - self.at;
                let Some(length) = usize::try_from(length).ok().filter(|length| *length <= left) else {
                    return Err(broken(
                        offset,
                        format!("field {number} says that it has {length} bytes, but {left} are left"),
                    ));
                };
                let value =
                    Slice { bytes: &self.slice.bytes[self.at..self.at + length], offset: self.slice.offset + self.at };
                self.at += length;
                Value::Bytes(value)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            wire_type => {
                return Err(broken(
                    offset,
                    format!("field {number} has wire type {wire_type}, which ONNX does not use"),
                ));
            }
        };
        Ok(Field { number, value, offset, raw: &self.slice.bytes[begin..self.at] })
    }

    fn varint(&mut self) -> Result<u64> {
        let begin = self.at;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some(byte) = self.slice.bytes.get(self.at) else { break };
            self.at += 1;
            if shift == 63 && 1 < *byte {
                return Err(broken(self.slice.offset + begin, "a number has more than 64 bits"));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok(value);
            }
        }
        Err(broken(self.slice.offset + begin, "a number ends in the middle"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some(bytes) = self.slice.bytes[self.at..].first_chunk::<N>() else {
            return Err(broken(self.slice.offset + self.at, "a number ends in the middle"));
        };
        self.at += N;
        Ok(*bytes)
    }
}

pub(super) struct Varints<'a>(Fields<'a>);

impl Iterator for Varints<'_> {
    type Item = Result<u64>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.at == self.0.slice.bytes.len() {
            return None;
        }
        let value = self.0.varint();
        if value.is_err() {
            self.0.at = self.0.slice.bytes.len();
        }
        Some(value)
    }
}

impl<'a> Field<'a> {
    /// The value of a number field.
    pub(super) fn int(&self, name: &str) -> Result<i64> {
        match self.value {
            Value::Varint(value) => Ok(value.cast_signed()),
            _ => Err(self.mistyped(name)),
        }
    }

    /// The value of a bytes, text or message field.
    pub(super) fn slice(&self, name: &str) -> Result<Slice<'a>> {
        match self.value {
            Value::Bytes(slice) => Ok(slice),
            _ => Err(self.mistyped(name)),
        }
    }

    /// The value of a text field.
    pub(super) fn text(&self, name: &str) -> Result<&'a str> {
        self.slice(name)?.text()
    }

    /// The values of a repeated number field, packed or not.
    pub(super) fn each_int(&self, name: &str, mut take: impl FnMut(i64) -> Result<()>) -> Result<()> {
        match self.value {
            Value::Varint(value) => take(value.cast_signed()),
            Value::Bytes(packed) => packed.varints().try_for_each(|value| take(value?.cast_signed())),
            _ => Err(self.mistyped(name)),
        }
    }

    /// The values of a repeated `float` field, packed or not.
    pub(super) fn each_float(&self, name: &str, mut take: impl FnMut(f32)) -> Result<()> {
        match self.value {
            Value::Fixed32(bits) => take(f32::from_bits(bits)),
            Value::Bytes(packed) => {
                let (chunks, rest) = packed.bytes.as_chunks::<4>();
                if !rest.is_empty() {
                    return Err(broken(self.offset, format!("`{name}` ends in the middle of a number")));
                }
                chunks.iter().for_each(|chunk| take(f32::from_le_bytes(*chunk)));
            }
            _ => return Err(self.mistyped(name)),
        }
        Ok(())
    }

    /// The values of a repeated `double` field, packed or not.
    pub(super) fn each_double(&self, name: &str, mut take: impl FnMut(f64)) -> Result<()> {
        match self.value {
            Value::Fixed64(bits) => take(f64::from_bits(bits)),
            Value::Bytes(packed) => {
                let (chunks, rest) = packed.bytes.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err(broken(self.offset, format!("`{name}` ends in the middle of a number")));
                }
                chunks.iter().for_each(|chunk| take(f64::from_le_bytes(*chunk)));
            }
            _ => return Err(self.mistyped(name)),
        }
        Ok(())
    }

    pub(super) fn mistyped(&self, name: &str) -> Error {
        broken(self.offset, format!("`{name}` is not of the type that ONNX says"))
    }
}
