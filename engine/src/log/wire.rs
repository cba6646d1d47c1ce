//! Partials as records of a log.
//!
//! A record has one header, `davy`, with who sent it, a fingerprint of the schema and a checksum of the value; the value holds the
//! sender's watermarks and one Arrow IPC record batch without its schema (which would be about a kilobyte each time: both stages
//! know it from the plan). A batch that would be too large for the broker is cut by rows; its watermarks travel with the last piece,
//! so that a watermark never arrives before the rows it covers. Compression is the client's, over whole batches of records.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::ipc::{MetadataVersion, reader, root_as_message};

use super::{Partials, SplitId, SplitTime};
use crate::error::{Error, Result};
use crate::time::Watermark;

pub const HEADER: &str = "davy";

const MAGIC: [u8; 2] = *b"dp";
const VERSION: u8 = 1;
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

    /// Appends `partials` as records whose values are at most `max_bytes` long, where rows allow it.
    pub fn encode(&self, partials: &Partials, max_bytes: usize, records: &mut Vec<Record>) -> Result<()> {
        let Some(batch) = &partials.batch else {
            records.push(self.record(partials, None, &partials.watermarks)?);
            return Ok(());
        };
        let mut pieces = vec![batch.clone()];
        let none = BTreeMap::new();
        while let Some(piece) = pieces.pop() {
            let watermarks = if pieces.is_empty() { &*partials.watermarks } else { &none };
            let record = self.record(partials, Some(&piece), watermarks)?;
            let n_rows = piece.num_rows();
            if max_bytes < record.value.len() && 1 < n_rows {
                // The later half is put away first: pieces leave in the rows' order.
                pieces.push(piece.slice(n_rows / 2, n_rows - n_rows / 2));
                pieces.push(piece.slice(0, n_rows / 2));
            } else {
                records.push(record);
            }
        }
        Ok(())
    }

    fn record(
        &self,
        partials: &Partials,
        batch: Option<&RecordBatch>,
        watermarks: &BTreeMap<SplitId, SplitTime>,
    ) -> Result<Record> {
        let mut value = Vec::new();
        put_watermarks(watermarks, &mut value);
        if let Some(batch) = batch {
            put_batch(batch, &mut value)?;
        }
        let mut header = Vec::with_capacity(24);
        header.extend_from_slice(&MAGIC);
        header.push(VERSION);
        header.push(if batch.is_some() { HAS_BATCH } else { 0 });
        header.extend_from_slice(&partials.sender.to_le_bytes());
        header.extend_from_slice(&partials.senders.to_le_bytes());
        header.extend_from_slice(&self.fingerprint.to_le_bytes());
        let checksum = checksum(&header, &value);
        header.extend_from_slice(&checksum.to_le_bytes());
        Ok(Record { header, value })
    }

    /// Reads a record; an error says what is wrong with it.
    pub fn decode(&self, header: &[u8], value: &[u8]) -> Result<Partials> {
        self.read(header, value).map_err(|why| {
            Error::invalid(format!("a record of partials cannot be read: {why}"))
                .hint("nothing but this pipeline may write to its exchange; start it fresh under another name")
        })
    }

    fn read(&self, header: &[u8], value: &[u8]) -> Result<Partials, String> {
        let mut rest = header;
        if take::<2>(&mut rest)? != MAGIC {
            return Err(format!("its header `{HEADER}` is not Davy's"));
        }
        let [version, flags] = take(&mut rest)?;
        if version != VERSION {
            return Err(format!("it has version {version}, this build reads {VERSION}"));
        }
        let sender = u32::from_le_bytes(take(&mut rest)?);
        let senders = u32::from_le_bytes(take(&mut rest)?);
        let fingerprint = u64::from_le_bytes(take(&mut rest)?);
        if fingerprint != self.fingerprint {
            return Err(format!("its schema is `{fingerprint:016x}`, this plan's is `{:016x}`", self.fingerprint));
        }
        let signed = &header[..header.len() - rest.len()];
        if checksum(signed, value) != u32::from_le_bytes(take(&mut rest)?) {
            return Err("its checksum is wrong".to_owned());
        }
        let mut rest = value;
        let watermarks = Arc::new(take_watermarks(&mut rest)?);
        let batch = match flags & HAS_BATCH {
            0 => None,
            _ => Some(self.take_batch(value, value.len() - rest.len())?),
        };
        Ok(Partials { sender, senders, batch, watermarks })
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
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{Field, Schema};

    use super::*;

    fn schema() -> SchemaRef {
        let pane = Field::new("__pane", DataType::Int64, false);
        Arc::new(Schema::new(vec![pane, Field::new("key", DataType::Utf8, true)]))
    }

    fn partials(n_rows: i64) -> Partials {
        let keys = (0..n_rows).map(|row| (row % 3 != 0).then(|| format!("key {row}")));
        let batch = RecordBatch::try_new(
            schema(),
            vec![Arc::new(Int64Array::from_iter_values(0..n_rows)), Arc::new(StringArray::from_iter(keys))],
        );
        let watermarks = BTreeMap::from([
            (SplitId::from("flows/0"), SplitTime::Active(Watermark(17))),
            (SplitId::from("flows/1"), SplitTime::Idle(Watermark::MIN)),
        ]);
        Partials { sender: 1, senders: 3, batch: Some(batch.expect("rows")), watermarks: Arc::new(watermarks) }
    }

    fn encode(partials: &Partials, max_bytes: usize) -> Vec<Record> {
        let mut records = Vec::new();
        Wire::new(schema()).expect("plain").encode(partials, max_bytes, &mut records).expect("encoded");
        records
    }

    fn decode(record: &Record) -> Result<Partials> {
        Wire::new(schema()).expect("plain").decode(&record.header, &record.value)
    }

    #[test]
    fn what_is_sent_arrives() {
        for sent in [partials(5), partials(0), Partials { batch: None, ..partials(0) }] {
            let records = encode(&sent, 1 << 20);
            let [record] = records.as_slice() else { panic!("one record") };
            let heard = decode(record).expect("read");
            assert_eq!((heard.sender, heard.senders), (1, 3));
            assert_eq!(heard.watermarks, sent.watermarks);
            assert_eq!(heard.batch, sent.batch);
        }
    }

    #[test]
    fn a_large_batch_is_cut_and_its_watermarks_come_last() {
        let sent = partials(1_000);
        let records = encode(&sent, 4_096);
        assert!(2 < records.len());
        let mut rows = Vec::new();
        for (index, record) in records.iter().enumerate() {
            assert!(record.value.len() <= 4_096);
            let piece = decode(record).expect("read");
            assert_eq!(piece.watermarks.is_empty(), index + 1 < records.len());
            rows.push(piece.batch.expect("rows"));
        }
        let together = arrow::compute::concat_batches(&schema(), &rows).expect("same schema");
        assert_eq!(Some(together), sent.batch, "all rows, in order");
        assert_eq!(encode(&partials(1), 1).len(), 1, "one row cannot be cut");
    }

    #[test]
    fn damage_is_found_wherever_it_is() {
        let record = encode(&partials(20), 1 << 20).remove(0);
        for at in 0..record.value.len() {
            let mut broken = record.clone();
            broken.value[at] ^= 0x10;
            assert!(decode(&broken).is_err(), "byte {at} of the value");
            let cut = Record { header: record.header.clone(), value: record.value[..at].to_vec() };
            assert!(decode(&cut).is_err(), "cut at {at}");
        }
        for at in 0..record.header.len() {
            let mut broken = record.clone();
            broken.header[at] ^= 2;
            assert!(decode(&broken).is_err(), "byte {at} of the header");
            let cut = Record { header: record.header[..at].to_vec(), value: record.value.clone() };
            assert!(decode(&cut).is_err(), "header cut at {at}");
        }
    }

    #[test]
    fn another_plans_partials_are_refused() {
        let record = encode(&partials(1), 1 << 20).remove(0);
        let other = Arc::new(Schema::new(vec![Field::new("__pane", DataType::Int64, false)]));
        let error = Wire::new(other).expect("plain").decode(&record.header, &record.value).expect_err("refused");
        assert!(error.to_string().contains("its schema is `"), "{error}");
    }
}
