//! What a commit remembers of the files that a task writes: enough to continue them, or to end them, after any crash.
//!
//! A task has at most one file per table that is not published yet. It is hidden while it is open, and for the moment between the
//! transaction that closes it and its publication.

use super::offset_metadata::take;

/// What is committed of one table's files. In this order, the greatest of several is the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SinkState {
    /// Which table, and where its files are: a checksum of both.
    pub target: u32,
    /// How many owners the files have had; in the names of hidden files.
    pub generation: u32,
    /// The number of the file, or of the next one where there is none.
    pub sequence: u64,
    pub file: Option<CommittedFile>,
    /// In the names of all of the task's files of this table, and of no others.
    pub id: u64,
}

/// A file whose rows are committed, and that may still be hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommittedFile {
    /// Nothing more is written to it: it is published, or about to be.
    pub is_closed: bool,
    /// How many of its bytes are committed.
    pub length: u64,
    /// The generation that made it.
    pub generation: u32,
    /// The owner that made it.
    pub owner: u64,
}

const NO_FILE: u8 = 0;
const OPEN: u8 = 1;
const CLOSED: u8 = 2;

impl SinkState {
    /// The checksum of a table and of what says where its files are.
    pub fn target_of(parts: &[&str]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize()
    }

    /// Whether its file has to be published before these files can be given up.
    pub fn is_unfinished(&self) -> bool {
        self.file.is_some()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(48);
        bytes.extend_from_slice(&self.target.to_le_bytes());
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.push(match self.file {
            None => NO_FILE,
            Some(CommittedFile { is_closed: false, .. }) => OPEN,
            Some(CommittedFile { is_closed: true, .. }) => CLOSED,
        });
        if let Some(file) = self.file {
            bytes.extend_from_slice(&file.generation.to_le_bytes());
            bytes.extend_from_slice(&file.owner.to_le_bytes());
            bytes.extend_from_slice(&file.length.to_le_bytes());
        }
        bytes
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Result<Self, String> {
        let rest = &mut bytes;
        let target = u32::from_le_bytes(take(rest)?);
        let id = u64::from_le_bytes(take(rest)?);
        let generation = u32::from_le_bytes(take(rest)?);
        let sequence = u64::from_le_bytes(take(rest)?);
        let [kind] = take(rest)?;
        let file = match kind {
            NO_FILE => None,
            OPEN | CLOSED => Some(CommittedFile {
                is_closed: kind == CLOSED,
                generation: u32::from_le_bytes(take(rest)?),
                owner: u64::from_le_bytes(take(rest)?),
                length: u64::from_le_bytes(take(rest)?),
            }),
            other => return Err(format!("it has a file of the unknown kind {other}")),
        };
        if rest.is_empty() {
            Ok(Self { target, generation, sequence, file, id })
        } else {
            Err("its part about files is too long".to_owned())
        }
    }
}
