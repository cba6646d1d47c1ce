//! One version of a list, parsed and indexed.
//!
//! A list is used as a whole or not at all: a record that cannot be decoded, a key that is missing or there twice, or a text that is no
//! network refuses it. Lines that begin with `#`, and empty lines, are comments.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, StructArray, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Int64Type, UInt64Type};

use super::networks::{Network, Networks, parse_address};
use super::{Declaration, Match};
use crate::error::{Error, Result};
use crate::format::{BadRecord, DecodeField, DecodeSpec, FieldFrom, Format};

/// Which content a list has: a hash of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

impl Version {
    /// Of a list's bytes: FNV-1a, the same in every build.
    pub fn of(bytes: &[u8]) -> Self {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
    }
}

impl Version {
    /// What commits remember of it, and messages show.
    pub fn short(self) -> u32 {
        (self.0 ^ (self.0 >> 32)) as u32
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.short())
    }
}

/// A list that does not change any more.
#[derive(Debug)]
pub struct Snapshot {
    pub version: Version,
    rows: RecordBatch,
    index: Index,
}

/// From keys to rows.
#[derive(Debug)]
enum Index {
    Text(HashMap<Box<str>, u32>),
    Integer(HashMap<i128, u32>),
    Networks(Networks),
}

impl Snapshot {
    /// Parses a list; an error says which line or key is wrong.
    pub fn parse(declaration: &Declaration, bytes: &[u8]) -> Result<Self> {
        let about = |error: Error| error.context(&format!("lookup table `{}`", declaration.name));
        let rows = decode(declaration, bytes).map_err(about)?;
        let keys = rows.column(declaration.key);
        let index = match declaration.matching {
            Match::Exact => Index::exact(keys),
            Match::Cidr => Index::networks(keys.as_string()),
        };
        let columns = declaration.nullable_columns();
        let rows = RecordBatch::try_new(columns, rows.columns().to_vec())?;
        Ok(Self { version: Version::of(bytes), rows, index: index.map_err(about)? })
    }

    pub fn n_entries(&self) -> usize {
        self.rows.num_rows()
    }

    /// The entry of each key, as a struct of the list's columns; null where there is none. Keys are TEXT, BIGINT or BIGINT UNSIGNED.
    pub fn find(&self, keys: &ArrayRef) -> Result<StructArray> {
        let found = self.index.find(keys);
        let column = |column: &ArrayRef| take(column, &found, None);
        let columns = self.rows.columns().iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let fields = self.rows.schema().fields().clone();
        Ok(StructArray::try_new(fields, columns, found.nulls().cloned())?)
    }
}

impl Index {
    fn exact(keys: &ArrayRef) -> Result<Self> {
        if *keys.data_type() == DataType::Utf8 {
            let keys = keys.as_string::<i32>();
            if keys.iter().flatten().any(str::is_empty) {
                return Err(Error::invalid("a key is empty").hint("remove the entry without a key"));
            }
            return Ok(Self::Text(unique(keys.iter().flatten().map(Box::from))?));
        }
        Ok(Self::Integer(unique(integers(keys)?.into_iter().flatten())?))
    }

    fn networks(keys: &StringArray) -> Result<Self> {
        let parse = |text: &str| {
            Network::parse(text).map_err(|why| {
                Error::invalid(why).hint("if the first line names the columns, say 'csv.columns' = 'header'")
            })
        };
        let networks = keys.iter().flatten().map(parse).collect::<Result<Vec<_>>>()?;
        let mut seen = HashMap::with_capacity(networks.len());
        for (row, network) in networks.iter().enumerate() {
            if let Some(first) = seen.insert(*network, row) {
                let (text, other) = (keys.value(row), keys.value(first));
                return Err(twice(&if text == other {
                    format!("`{text}`")
                } else {
                    format!("`{other}` (and `{text}`)")
                }));
            }
        }
        let numbered: Vec<(Network, u32)> = networks.into_iter().zip(0..).collect();
        Ok(Self::Networks(Networks::new(&numbered)))
    }

    fn find(&self, keys: &ArrayRef) -> UInt32Array {
        match self {
            Self::Text(index) => keys.as_string::<i32>().iter().map(|key| index.get(key?).copied()).collect(),
            Self::Integer(index) => {
                let keys = integers(keys).unwrap_or_default();
                keys.into_iter().map(|key| index.get(&key?).copied()).collect()
            }
            Self::Networks(networks) => {
                let keys = keys.as_string::<i32>().iter();
                keys.map(|key| parse_address(key?).and_then(|address| networks.find(address))).collect()
            }
        }
    }
}

/// Integers of any width.
fn integers(keys: &ArrayRef) -> Result<Vec<Option<i128>>> {
    if *keys.data_type() == DataType::UInt64 {
        return Ok(keys.as_primitive::<UInt64Type>().iter().map(|key| key.map(i128::from)).collect());
    }
    let keys = cast(keys, &DataType::Int64)?;
    Ok(keys.as_primitive::<Int64Type>().iter().map(|key| key.map(i128::from)).collect())
}

/// Keys with the numbers of their rows.
fn unique<K: std::hash::Hash + Eq + fmt::Display>(keys: impl Iterator<Item = K>) -> Result<HashMap<K, u32>> {
    let mut index = HashMap::new();
    for (row, key) in (0..).zip(keys) {
        match index.entry(key) {
            std::collections::hash_map::Entry::Vacant(free) => free.insert(row),
            std::collections::hash_map::Entry::Occupied(taken) => return Err(twice(&format!("`{}`", taken.key()))),
        };
    }
    Ok(index)
}

fn twice(key: &str) -> Error {
    Error::invalid(format!("the key {key} is there twice"))
        .hint("keep one of the two: a row of a stream has one entry at most")
}

/// The rows of a list.
fn decode(declaration: &Declaration, bytes: &[u8]) -> Result<RecordBatch> {
    let fields = declaration.columns.fields();
    let decoded = |(index, field): (usize, &Arc<arrow::datatypes::Field>)| DecodeField {
        name: field.name().clone(),
        data_type: field.data_type().clone(),
        nullable: field.is_nullable() && index != declaration.key,
        from: FieldFrom::Column(index),
    };
    let spec = DecodeSpec {
        declared: fields.iter().map(|field| field.name().clone()).collect(),
        fields: fields.iter().enumerate().map(decoded).collect(),
    };
    let records = match &declaration.format {
        Format::Csv(_) => Records::without_comments(bytes),
        Format::Json(_) | Format::RawString(_) | Format::Arrow | Format::Parquet => Records::all(bytes),
    };
    let mut decoder = declaration.format.decoder(spec)?;
    let mut bad: Vec<BadRecord> = Vec::new();
    decoder.push(&records.bytes, &mut bad)?;
    if let Some(record) = bad.first() {
        let line = records.line(record.offset);
        return Err(Error::invalid(format!("line {line}: {} ({})", record.detail, record.reason.label()))
            .hint("correct the list; a list with a bad record is not used"));
    }
    decoder.finish()
}

/// A list's bytes, and where they were.
struct Records {
    bytes: Vec<u8>,
    /// The offset of each line in `bytes`, and its number in the list.
    lines: Vec<(u64, u64)>,
}

impl Records {
    fn all(bytes: &[u8]) -> Self {
        Self::of(bytes, |_| true)
    }

    /// Without lines that begin with `#` and empty ones; within quotes such lines are data.
    fn without_comments(bytes: &[u8]) -> Self {
        let mut is_quoted = false;
        Self::of(bytes, |line| {
            let is_comment = !is_quoted && (line.starts_with(b"#") || line.trim_ascii().is_empty());
            if !is_comment {
                is_quoted ^= memchr::memchr_iter(b'"', line).count() % 2 == 1;
            }
            !is_comment
        })
    }

    fn of(bytes: &[u8], mut is_kept: impl FnMut(&[u8]) -> bool) -> Self {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let mut records = Self { bytes: Vec::with_capacity(bytes.len()), lines: Vec::new() };
        for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
            if is_kept(line) {
                records.lines.push((records.bytes.len() as u64, number));
                records.bytes.extend_from_slice(line);
            }
        }
        records
    }

    fn line(&self, offset: u64) -> u64 {
        let after = self.lines.partition_point(|(start, _)| *start <= offset);
        after.checked_sub(1).map_or(1, |index| self.lines[index].1)
    }
}
