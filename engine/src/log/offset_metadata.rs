//! What a commit leaves beside each position: the text that Kafka keeps as an offset's metadata.
//!
//! A few dozen bytes, checked by magic, version and CRC, as text in base64, because clients refuse bytes that are not UTF-8. Kafka's
//! limit is 4096 bytes. Version 1 has fixed fields only. Version 2 has optional parts after them, each a tag, a length and bytes; it
//! is written only where there is such a part, so that a build that knows version 1 alone reads all else. A part with an unknown tag
//! makes the whole unreadable: what a later build remembered must not be lost.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::sink_state::SinkState;
use super::{CommitRecord, FoundSplit, Judged, PartlyClosed, Position};

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
                IDLE | RESET | PARTLY_CLOSED | JUDGED => return Err(format!("its part {tag} has {length} bytes")),
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
mod tests {
    use proptest::prelude::*;

    use super::super::sink_state::CommittedFile;
    use super::*;

    fn metadata(state: SplitState) -> SplitMetadata {
        SplitMetadata {
            fingerprint: 0xfeed,
            task: 3,
            n_tasks: 8,
            owner: 77,
            sequence: 12,
            state,
            parts: Parts::default(),
        }
    }

    fn samples() -> [SplitMetadata; 4] {
        let windows = SplitState::Windows { replay_from: Position(5), closed_through: -1, expected: i64::MAX };
        let source = metadata(SplitState::Source { watermark: i64::MIN });
        let reset = Some(Reset { read_until: Position(7), written_until: Position(u64::MAX), to: -1 });
        let file = |is_closed| CommittedFile { is_closed, length: 1 << 40, generation: 3, owner: u64::MAX };
        let sink = |file| SinkState { target: 7, generation: 4, sequence: 1 << 33, file, id: u64::MAX - 1 };
        let partly_closed = Some(PartlyClosed { window_end: 90, place: 7 });
        let judged = Some(Judged { from: Position(6), watermark: i64::MIN });
        let sinks = vec![sink(None), sink(Some(file(false))), sink(Some(file(true)))];
        [
            SplitMetadata { parts: Parts { is_idle: true, ..Parts::default() }, ..source.clone() },
            SplitMetadata { parts: Parts { is_idle: true, reset, partly_closed, judged, sinks }, ..metadata(windows) },
            source,
            metadata(windows),
        ]
    }

    #[test]
    fn what_is_written_is_read_and_stays_far_below_the_limit() {
        for metadata in samples() {
            let text = metadata.encode();
            assert_eq!(SplitMetadata::decode(&text), OffsetMetadata::Valid(metadata.clone()));
            let limit = 160 + 80 * metadata.parts.sinks.len();
            assert!(text.len() < limit, "{} characters", text.len());
        }
    }

    #[test]
    fn a_count_of_64_parts_is_a_place() {
        let body = [90_i64.to_le_bytes().as_slice(), &7_u32.to_le_bytes()].concat();
        let mut bytes = Vec::new();
        put_part(&mut bytes, PARTLY_CLOSED, &body);
        let parts = Parts::decode(&mut bytes.as_slice()).expect("of an earlier build");
        assert_eq!(parts.partly_closed, Some(PartlyClosed { window_end: 90, place: 7 << 26 }));
    }

    #[test]
    fn text_that_is_not_offset_metadata_is_recognised() {
        assert_eq!(SplitMetadata::decode(""), OffsetMetadata::Erased);
        let encode = |bytes: &[u8]| STANDARD_NO_PAD.encode(bytes);
        let checked = |mut bytes: Vec<u8>| {
            bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
            encode(&bytes)
        };
        let fixed = STANDARD_NO_PAD.decode(samples()[2].encode()).expect("ours");
        let with_parts = |parts: &[u8]| {
            let mut bytes = fixed[..fixed.len() - 4].to_vec();
            bytes[2] = WITH_PARTS;
            bytes.extend_from_slice(parts);
            checked(bytes)
        };
        let cases = [
            ("reset by hand".to_owned(), "it was not written by Davy"),
            (encode(b"xx"), "it is cut off"),
            (encode(b"xxxxxxxxxxx"), "it was not written by Davy"),
            (encode(b"dvxxxxxxxxx"), "its checksum is wrong"),
            (checked(vec![b'd', b'v', 9, 1]), "it has version 9, this build reads up to 2"),
            (with_parts(&[200, 0, 0]), "it has the unknown part 200"),
            (with_parts(&[IDLE, 1, 0, 7]), "its part 1 has 1 bytes"),
            (with_parts(&[IDLE, 1, 0]), "it is cut off"),
            (with_parts(&[SINK, 1, 0, 7]), "it is cut off"),
            (with_parts(&[RESET, 1, 0, 7]), "its part 8 has 1 bytes"),
            (with_parts(&[&[SINK, 25, 0], &[7; 25][..]].concat()), "it has a file of the unknown kind 7"),
        ];
        for (text, why) in cases {
            assert_eq!(SplitMetadata::decode(&text), OffsetMetadata::Unreadable(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn metadata_without_optional_parts_has_version_1() {
        let versions = samples().map(|metadata| STANDARD_NO_PAD.decode(metadata.encode()).expect("ours")[2]);
        assert_eq!(versions, [WITH_PARTS, WITH_PARTS, FIXED, FIXED]);
    }

    proptest! {
        #[test]
        fn damaged_metadata_is_never_accepted(at in 0usize..300, bit in 0u8..8, which in 0usize..4) {
            let text = samples()[which].encode();
            let mut bytes = STANDARD_NO_PAD.decode(&text).expect("ours");
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(matches!(SplitMetadata::decode(&STANDARD_NO_PAD.encode(&bytes)), OffsetMetadata::Unreadable(_)));
            prop_assert!(matches!(SplitMetadata::decode(&STANDARD_NO_PAD.encode(&bytes[..at])), OffsetMetadata::Unreadable(_) | OffsetMetadata::Erased));
        }
    }
}
