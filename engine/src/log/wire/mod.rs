//! Partials as records of a log.
//!
//! A record has one header, `davy`, with who sent it, a fingerprint of the schema and a checksum of the value; the value holds the
//! sender's watermarks and one Arrow IPC record batch without its schema (which would be about a kilobyte each time: both stages
//! know it from the plan). A batch that would be too large for the broker is cut by rows; its watermarks travel with the last piece,
//! so that a watermark never arrives before the rows it covers. One row that is too large by itself is cut into pieces of bytes (version 2
//! of the header; see [`pieces`]). Compression is the client's, over whole batches of records.

mod pieces;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::ipc::{MetadataVersion, reader, root_as_message};

use self::pieces::{Joined, PieceNumber, Unfinished};
use super::{Partials, Payload, SplitId, SplitTime};
use crate::error::{Error, Result};
use crate::time::Watermark;

pub const HEADER: &str = "davy";

const MAGIC: [u8; 2] = *b"dp";
const WHOLE: u8 = 1;
const PIECE: u8 = 2;
const HAS_BATCH: u8 = 1;
/// Where the batch's buffers begin, so that they can be used where they lie.
const ALIGNMENT: usize = 64;

/// Partials as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub header: Vec<u8>,
    pub value: Vec<u8>,
}

/// Writes and reads the partials of one exchange.
#[derive(Clone, Debug)]
pub struct Wire {
    schema: SchemaRef,
    fingerprint: u64,
}

impl Wire {
    /// For partials of this schema.
    pub fn new(schema: SchemaRef) -> Result<Self> {
        if let Some(field) = schema.fields().iter().find(|field| matches!(field.data_type(), DataType::Dictionary(..)))
        {
            return Err(Error::invalid(format!("`{}` is dictionary encoded, and cannot be regrouped", field.name()))
                .hint("cast it to its value type"));
        }
        let fingerprint = fingerprint(&schema);
        Ok(Self { schema, fingerprint })
    }

    /// Appends `partials` as records whose values are at most `max_bytes` long.
    pub fn encode(&self, partials: &Partials, max_bytes: usize, records: &mut Vec<Record>) -> Result<()> {
        let Some(batch) = &partials.batch else {
            self.put_record(partials, value_of(None, &partials.watermarks)?, max_bytes, records);
            return Ok(());
        };
        let mut pieces = vec![batch.clone()];
        let none = BTreeMap::new();
        while let Some(piece) = pieces.pop() {
            let watermarks = if pieces.is_empty() { &*partials.watermarks } else { &none };
            let value = value_of(Some(&piece), watermarks)?;
            let n_rows = piece.num_rows();
            if max_bytes < value.len() && 1 < n_rows {
                // The later half is put away first: pieces leave in the rows' order.
                pieces.push(piece.slice(n_rows / 2, n_rows - n_rows / 2));
                pieces.push(piece.slice(0, n_rows / 2));
            } else {
                self.put_record(partials, value, max_bytes, records);
            }
        }
        Ok(())
    }

    /// Appends one record, in pieces where it is too large.
    fn put_record(&self, partials: &Partials, value: Vec<u8>, max_bytes: usize, records: &mut Vec<Record>) {
        if value.len() <= max_bytes {
            records.push(self.record(partials, None, value));
            return;
        }
        let cut = value.chunks(max_bytes.max(1));
        let count = cut.len() as u32;
        for (index, bytes) in cut.enumerate() {
            let number = PieceNumber { index: index as u32, count };
            records.push(self.record(partials, Some(number), bytes.to_vec()));
        }
    }

    fn record(&self, partials: &Partials, number: Option<PieceNumber>, value: Vec<u8>) -> Record {
        let mut header = Vec::with_capacity(32);
        header.extend_from_slice(&MAGIC);
        header.push(if number.is_some() { PIECE } else { WHOLE });
        header.push(if partials.batch.is_some() { HAS_BATCH } else { 0 });
        header.extend_from_slice(&partials.sender.to_le_bytes());
        header.extend_from_slice(&partials.senders.to_le_bytes());
        header.extend_from_slice(&self.fingerprint.to_le_bytes());
        if let Some(PieceNumber { index, count }) = number {
            header.extend_from_slice(&index.to_le_bytes());
            header.extend_from_slice(&count.to_le_bytes());
        }
        let checksum = checksum(&header, &value);
        header.extend_from_slice(&checksum.to_le_bytes());
        Record { header, value }
    }

    fn read(&self, header: &[u8], value: &[u8]) -> Result<Envelope, String> {
        let mut rest = header;
        if take::<2>(&mut rest)? != MAGIC {
            return Err(format!("its header `{HEADER}` is not Davy's"));
        }
        let [version, flags] = take(&mut rest)?;
        if ![WHOLE, PIECE].contains(&version) {
            return Err(format!("it has version {version}, this build reads up to {PIECE}"));
        }
        let sender = u32::from_le_bytes(take(&mut rest)?);
        let senders = u32::from_le_bytes(take(&mut rest)?);
        let fingerprint = u64::from_le_bytes(take(&mut rest)?);
        if fingerprint != self.fingerprint {
            return Err(format!("its schema is `{fingerprint:016x}`, this plan's is `{:016x}`", self.fingerprint));
        }
        let number = match version {
            PIECE => Some(PieceNumber {
                index: u32::from_le_bytes(take(&mut rest)?),
                count: u32::from_le_bytes(take(&mut rest)?),
            }),
            _ => None,
        };
        let signed = &header[..header.len() - rest.len()];
        if checksum(signed, value) != u32::from_le_bytes(take(&mut rest)?) {
            return Err("its checksum is wrong".to_owned());
        }
        Ok(Envelope { sender, senders, has_batch: flags & HAS_BATCH != 0, number })
    }

    fn partials(&self, envelope: &Envelope, value: &[u8]) -> Result<Partials, String> {
        let mut rest = value;
        let watermarks = Arc::new(take_watermarks(&mut rest)?);
        let batch = match envelope.has_batch {
            false => None,
            true => Some(self.take_batch(value, value.len() - rest.len())?),
        };
        Ok(Partials { sender: envelope.sender, senders: envelope.senders, batch, watermarks })
    }

    fn take_batch(&self, value: &[u8], from: usize) -> Result<RecordBatch, String> {
        let mut rest = &value[from..];
        let length = u32::from_le_bytes(take(&mut rest)?) as usize;
        let message = rest.get(..length).ok_or("it is cut off")?;
        let message = root_as_message(message).map_err(|error| format!("its batch: {error}"))?;
        let batch = message.header_as_record_batch().ok_or("it holds no batch")?;
        let body = aligned(value.len() - rest.len() + length);
        if value.len() < body {
            return Err("it is cut off".to_owned());
        }
        let buffer = Buffer::from(value).slice(body);
        reader::read_record_batch(&buffer, batch, Arc::clone(&self.schema), &HashMap::new(), None, &MetadataVersion::V5)
            .map_err(|error| format!("its batch: {error}"))
    }
}

/// What the header of a record says.
struct Envelope {
    sender: u32,
    senders: u32,
    has_batch: bool,
    /// Of a piece; a whole record has none.
    number: Option<PieceNumber>,
}

/// Reads the partials of one exchange, record by record.
#[derive(Debug)]
pub struct WireReader {
    wire: Wire,
    unfinished: Unfinished,
}

impl WireReader {
    pub fn new(wire: Wire) -> Self {
        Self { wire, unfinished: Unfinished::default() }
    }

    /// Reads a record of `split`; an error says what is wrong with it.
    pub fn decode(&mut self, split: &SplitId, header: &[u8], value: &[u8]) -> Result<Payload> {
        self.read(split, header, value).map_err(|why| {
            Error::invalid(format!("a record of partials cannot be read: {why}"))
                .hint("nothing but this pipeline may write to its exchange; start it fresh under another name")
        })
    }

    fn read(&mut self, split: &SplitId, header: &[u8], value: &[u8]) -> Result<Payload, String> {
        let envelope = self.wire.read(header, value)?;
        let Some(number) = envelope.number else {
            return self.wire.partials(&envelope, value).map(Payload::Partials);
        };
        let sender = envelope.sender;
        match self.unfinished.join(split, sender, number, value)? {
            Joined::Whole(value) => self.wire.partials(&envelope, &value).map(Payload::Partials),
            Joined::Unfinished => Ok(Payload::Piece { sender }),
            Joined::Headless => Ok(Payload::Remnant),
        }
    }

    /// The split is read from another position now.
    pub fn forget(&mut self, split: &SplitId) {
        self.unfinished.forget(split);
    }
}

/// Over both: a flipped flag is as bad as a flipped number.
fn checksum(header: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(value);
    hasher.finalize()
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT)
}

/// FNV-1a over what both stages must agree on: it has to be the same in every build.
fn fingerprint(schema: &SchemaRef) -> u64 {
    let text: String = schema
        .fields()
        .iter()
        .map(|field| format!("{}:{}:{};", field.name(), field.data_type(), field.is_nullable()))
        .collect();
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn value_of(batch: Option<&RecordBatch>, watermarks: &BTreeMap<SplitId, SplitTime>) -> Result<Vec<u8>> {
    let mut value = Vec::new();
    put_watermarks(watermarks, &mut value);
    if let Some(batch) = batch {
        put_batch(batch, &mut value)?;
    }
    Ok(value)
}

fn put_batch(batch: &RecordBatch, value: &mut Vec<u8>) -> Result<()> {
    let options = IpcWriteOptions::default();
    let (dictionaries, encoded) = IpcDataGenerator::default().encode(
        batch,
        &mut DictionaryTracker::new(true),
        &options,
        &mut IpcWriteContext::default(),
    )?;
    assert!(dictionaries.is_empty(), "a wire's schema has no dictionaries");
    value.extend_from_slice(&(encoded.ipc_message.len() as u32).to_le_bytes());
    value.extend_from_slice(&encoded.ipc_message);
    value.resize(aligned(value.len()), 0);
    value.extend_from_slice(&encoded.arrow_data);
    Ok(())
}

fn put_watermarks(watermarks: &BTreeMap<SplitId, SplitTime>, value: &mut Vec<u8>) {
    value.extend_from_slice(&(watermarks.len() as u32).to_le_bytes());
    for (split, time) in watermarks {
        let (is_idle, watermark) = match time {
            SplitTime::Active(watermark) => (0, watermark),
            SplitTime::Idle(watermark) => (1, watermark),
        };
        value.push(is_idle);
        value.extend_from_slice(&watermark.0.to_le_bytes());
        value.extend_from_slice(&(split.0.len() as u32).to_le_bytes());
        value.extend_from_slice(split.0.as_bytes());
    }
}

fn take_watermarks(rest: &mut &[u8]) -> Result<BTreeMap<SplitId, SplitTime>, String> {
    let mut watermarks = BTreeMap::new();
    for _ in 0..u32::from_le_bytes(take(rest)?) {
        let [is_idle] = take(rest)?;
        let watermark = Watermark(i64::from_le_bytes(take(rest)?));
        let length = u32::from_le_bytes(take(rest)?) as usize;
        let (name, after) = rest.split_at_checked(length).ok_or("it is cut off")?;
        *rest = after;
        let name = std::str::from_utf8(name).map_err(|_| "a split's name is no text")?;
        let time = if is_idle == 0 { SplitTime::Active(watermark) } else { SplitTime::Idle(watermark) };
        watermarks.insert(SplitId::from(name), time);
    }
    Ok(watermarks)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], String> {
    let (taken, rest) = bytes.split_first_chunk::<N>().ok_or("it is cut off")?;
    *bytes = rest;
    Ok(*taken)
}

#[cfg(test)]
mod tests;
