//! What a commit leaves beside each position: the text that Kafka keeps as an offset's metadata.
//!
//! A few dozen bytes, checked by magic, version and CRC, as text in base64, because clients refuse bytes that are not UTF-8. Kafka's
//! limit is 4096 bytes. Version 1 has fixed fields only. Version 2 has optional parts after them, each a tag, a length and bytes; it
//! is written only where there is such a part, so that a build that knows version 1 alone reads all else. A part with an unknown tag
//! makes the whole unreadable: what a later build remembered must not be lost.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::sink_state::SinkState;
use super::{CommitRecord, FoundSplit, Judged, LookupVersions, PartlyClosed, Position};

/// What recovery needs to know of one split, beside the position that it is stored with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitMetadata {
    /// The plan that wrote it.
    pub fingerprint: u64,
    /// The task that wrote it.
    pub task: u32,
    /// How many tasks its stage had.
    pub n_tasks: u32,
    /// A number that no other owner of the task has; of two, the greater one keeps the task.
    pub owner: u64,
    /// How many commits the owner had made.
    pub sequence: u64,
    /// What the stage remembers of the split.
    pub state: SplitState,
    pub parts: Parts,
}

/// What only some commits have to remember.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The split had been set aside as idle.
    pub is_idle: bool,
    /// The watermark of a stage over exchanges was reset, and records from before are still to be read.
    pub reset: Option<Reset>,
    /// The window that is partly in the output.
    pub partly_closed: Option<PartlyClosed>,
    /// How a replay judges what belongs to sessions.
    pub judged: Option<Judged>,
    /// The files that the task writes; the same beside each of its splits.
    pub sinks: Vec<SinkState>,
    /// The lists that rows were joined with.
    pub lookups: LookupVersions,
}

/// What is left out of an exchange's split after the watermark was reset: what had been read then belongs to windows that were closed, or
/// lie beyond the watermark that was wrong; and what had been written then carries that watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// Partials before this are not merged again.
    pub read_until: Position,
    /// Watermarks before this close nothing, and judge sessions by no more than `to`.
    pub written_until: Position,
    /// The watermark that was set, ns since 1970.
    pub to: i64,
}

/// What a stage remembers of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitState {
    /// A stage over a table.
    Source { watermark: i64 },
    /// A stage over closed windows.
    Windows {
        /// Where replay begins: the earliest record that an open window may still need.
        replay_from: Position,
        /// Every window that ends at or before this is in the output.
        closed_through: i64,
        /// The watermark that all senders together had reported; where windows are in the task that reads the table, the split's watermark at
        /// `replay_from`.
        expected: i64,
    },
}

/// What is found beside a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OffsetMetadata {
    /// Nothing: a tool other than Davy has set the position.
    Erased,
    /// Damaged, or not written by Davy; with the reason.
    Unreadable(String),
    Valid(SplitMetadata),
}

const MAGIC: [u8; 2] = *b"dv";
const FIXED: u8 = 1;
const WITH_PARTS: u8 = 2;
const SOURCE: u8 = 1;
const WINDOWS: u8 = 2;

/// Tags of parts. A tag is never used again for something else.
const IDLE: u8 = 1;
const RESET: u8 = 8;
const SINK: u8 = 16;
const PARTLY_CLOSED: u8 = 32;
const JUDGED: u8 = 48;
const LOOKUP: u8 = 64;

impl SplitMetadata {
    /// The text to store.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(80);
        bytes.extend_from_slice(&MAGIC);
        let parts = self.parts.encode();
        bytes.push(if parts.is_empty() { FIXED } else { WITH_PARTS });
        bytes.push(match self.state {
            SplitState::Source { .. } => SOURCE,
            SplitState::Windows { .. } => WINDOWS,
        });
        bytes.extend_from_slice(&self.fingerprint.to_le_bytes());
        bytes.extend_from_slice(&self.task.to_le_bytes());
        bytes.extend_from_slice(&self.n_tasks.to_le_bytes());
        bytes.extend_from_slice(&self.owner.to_le_bytes());
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        match self.state {
            SplitState::Source { watermark } => bytes.extend_from_slice(&watermark.to_le_bytes()),
            SplitState::Windows { replay_from, closed_through, expected } => {
                bytes.extend_from_slice(&replay_from.0.to_le_bytes());
                bytes.extend_from_slice(&closed_through.to_le_bytes());
                bytes.extend_from_slice(&expected.to_le_bytes());
            }
        }
        bytes.extend_from_slice(&parts);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        STANDARD_NO_PAD.encode(bytes)
    }

    /// Reads what is stored beside a position.
    pub fn decode(text: &str) -> OffsetMetadata {
        if text.is_empty() {
            return OffsetMetadata::Erased;
        }
        match Self::read(text) {
            Ok(metadata) => OffsetMetadata::Valid(metadata),
            Err(why) => OffsetMetadata::Unreadable(why),
        }
    }

    fn read(text: &str) -> Result<Self, String> {
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| "it was not written by Davy".to_owned())?;
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or("it is cut off")?;
        if !body.starts_with(&MAGIC) {
            return Err("it was not written by Davy".to_owned());
        }
        if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
            return Err("its checksum is wrong".to_owned());
        }
        let (head, mut rest) = body.split_at_checked(4).ok_or("it is cut off")?;
        if ![FIXED, WITH_PARTS].contains(&head[2]) {
            return Err(format!("it has version {}, this build reads up to {WITH_PARTS}", head[2]));
        }
        let mut metadata = Self {
            fingerprint: u64::from_le_bytes(take(&mut rest)?),
            task: u32::from_le_bytes(take(&mut rest)?),
            n_tasks: u32::from_le_bytes(take(&mut rest)?),
            owner: u64::from_le_bytes(take(&mut rest)?),
            sequence: u64::from_le_bytes(take(&mut rest)?),
            state: match head[3] {
                SOURCE => SplitState::Source { watermark: i64::from_le_bytes(take(&mut rest)?) },
                WINDOWS => SplitState::Windows {
                    replay_from: Position(u64::from_le_bytes(take(&mut rest)?)),
                    closed_through: i64::from_le_bytes(take(&mut rest)?),
                    expected: i64::from_le_bytes(take(&mut rest)?),
                },
                other => return Err(format!("it is of an unknown kind, {other}")),
            },
            parts: Parts::default(),
        };
        if head[2] == WITH_PARTS {
            metadata.parts = Parts::decode(&mut rest)?;
        }
        if rest.is_empty() { Ok(metadata) } else { Err("it is too long".to_owned()) }
    }
}

impl Parts {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.is_idle {
            put_part(&mut bytes, IDLE, &[]);
        }
        if let Some(Reset { read_until, written_until, to }) = self.reset {
            let body = [read_until.0.to_le_bytes(), written_until.0.to_le_bytes(), to.to_le_bytes()].concat();
            put_part(&mut bytes, RESET, &body);
        }
        if let Some(PartlyClosed { window_end, place }) = self.partly_closed {
            let mut body = window_end.to_le_bytes().to_vec();
            body.extend_from_slice(&place.to_le_bytes());
            put_part(&mut bytes, PARTLY_CLOSED, &body);
        }
        if let Some(Judged { from, watermark }) = self.judged {
            let body = [from.0.to_le_bytes(), watermark.to_le_bytes()].concat();
            put_part(&mut bytes, JUDGED, &body);
        }
        for sink in &self.sinks {
            put_part(&mut bytes, SINK, &sink.encode());
        }
        for (table, version) in &self.lookups {
            put_part(&mut bytes, LOOKUP, &[table.to_le_bytes(), version.to_le_bytes()].concat());
        }
        bytes
    }

    fn decode(rest: &mut &[u8]) -> Result<Self, String> {
        let mut parts = Self::default();
        while !rest.is_empty() {
            let [tag] = take(rest)?;
            let length = u16::from_le_bytes(take(rest)?);
            let (body, after) = rest.split_at_checked(length.into()).ok_or("it is cut off")?;
            *rest = after;
            match tag {
                IDLE if body.is_empty() => parts.is_idle = true,
                RESET if [16, 24].contains(&body.len()) => {
                    let mut body = body;
                    let read_until = Position(u64::from_le_bytes(take(&mut body)?));
                    let written_until = Position(u64::from_le_bytes(take(&mut body)?));
                    // Earlier builds used none of these watermarks.
                    let to = if body.is_empty() { i64::MIN } else { i64::from_le_bytes(take(&mut body)?) };
                    parts.reset = Some(Reset { read_until, written_until, to });
                }
                PARTLY_CLOSED if body.len() == 16 => {
                    let mut body = body;
                    let window_end = i64::from_le_bytes(take(&mut body)?);
                    let place = u64::from_le_bytes(take(&mut body)?);
                    parts.partly_closed = Some(PartlyClosed { window_end, place });
                }
                // Written when windows had 64 parts; each ends at a place.
                PARTLY_CLOSED if body.len() == 12 => {
                    let mut body = body;
                    let window_end = i64::from_le_bytes(take(&mut body)?);
                    let n_parts = u32::from_le_bytes(take(&mut body)?);
                    parts.partly_closed = Some(PartlyClosed { window_end, place: u64::from(n_parts) << 26 });
                }
                JUDGED if body.len() == 16 => {
                    let mut body = body;
                    let from = Position(u64::from_le_bytes(take(&mut body)?));
                    let watermark = i64::from_le_bytes(take(&mut body)?);
                    parts.judged = Some(Judged { from, watermark });
                }
                LOOKUP if body.len() == 8 => {
                    let mut body = body;
                    let table = u32::from_le_bytes(take(&mut body)?);
                    parts.lookups.insert(table, u32::from_le_bytes(take(&mut body)?));
                }
                IDLE | RESET | PARTLY_CLOSED | JUDGED | LOOKUP => {
                    return Err(format!("its part {tag} has {length} bytes"));
                }
                SINK => parts.sinks.push(SinkState::decode(body)?),
                other => return Err(format!("it has the unknown part {other}")),
            }
        }
        Ok(parts)
    }
}

/// Adds a part. Its length fits, because Kafka takes no more than 4096 bytes of metadata.
fn put_part(bytes: &mut Vec<u8>, tag: u8, body: &[u8]) {
    bytes.push(tag);
    bytes.extend_from_slice(&(body.len() as u16).to_le_bytes());
    bytes.extend_from_slice(body);
}

pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], String> {
    let (taken, rest) = bytes.split_first_chunk::<N>().ok_or("it is cut off")?;
    *bytes = rest;
    Ok(*taken)
}

/// The record that the offset metadata of a task's splits makes together; see [`crate::recovery`] for what is checked before.
pub(crate) fn record_of(found: &[FoundSplit]) -> CommitRecord {
    let mut record = CommitRecord::default();
    for FoundSplit { split, position, metadata } in found {
        record.positions.insert(split.clone(), *position);
        let OffsetMetadata::Valid(metadata) = metadata else { continue };
        record.fingerprint = metadata.fingerprint;
        if metadata.parts.is_idle {
            record.idle.insert(split.clone());
        }
        record.partly_closed = record.partly_closed.or(metadata.parts.partly_closed);
        record.lookups.extend(&metadata.parts.lookups);
        record.judged.extend(metadata.parts.judged.map(|judged| (split.clone(), judged)));
        record.resets.extend(metadata.parts.reset.map(|reset| (split.clone(), reset)));
        match metadata.state {
            SplitState::Source { watermark } => {
                record.watermarks.insert(split.clone(), watermark);
            }
            SplitState::Windows { replay_from, closed_through, expected } => {
                record.replay_from.insert(split.clone(), replay_from);
                record.closed_through = record.closed_through.max(Some(closed_through));
                record.expected = record.expected.max(Some(expected));
                record.watermarks.insert(split.clone(), expected);
            }
        }
    }
    record
}

#[cfg(test)]
mod tests;
