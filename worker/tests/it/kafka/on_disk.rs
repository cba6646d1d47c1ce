//! What a broker has on its disk: how batches are compressed, and of which transaction they are. Clients do not report that.

use std::path::{Path, PathBuf};

use super::broker::secure;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// A batch of messages, or the marker at the end of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) codec: Codec,
    pub(crate) is_transactional: bool,
    pub(crate) producer: (i64, i16),
    pub(crate) n_messages: i32,
    is_marker: bool,
}

/// The batches of a topic's first partition on the secure broker, without markers.
pub(crate) fn batches(topic: &str) -> Vec<Batch> {
    let bytes = std::fs::read(log_of(topic)).expect("the partition's log");
    let mut rest = bytes.as_slice();
    let mut found = Vec::new();
    // Base offset (8 bytes), then the length of what follows.
    while let Some(length) = rest.get(8..12) {
        let length = 12 + i32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
        let Some(batch) = rest.get(..length).filter(|_| 12 < length) else { break };
        found.push(batch_of(batch));
        rest = &rest[length..];
    }
    found.retain(|batch| !batch.is_marker);
    found
}

/// Fields of format 2 are at fixed offsets: attributes at 21, the producer's id at 43 and epoch at 51, the number of messages at 57.
fn batch_of(bytes: &[u8]) -> Batch {
    let short = |at: usize| i16::from_be_bytes(bytes[at..at + 2].try_into().expect("two bytes"));
    let attributes = short(21);
    Batch {
        codec: [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd][(attributes & 7) as usize],
        is_transactional: attributes & 0x10 != 0,
        is_marker: attributes & 0x20 != 0,
        producer: (i64::from_be_bytes(bytes[43..51].try_into().expect("eight bytes")), short(51)),
        n_messages: i32::from_be_bytes(bytes[57..61].try_into().expect("four bytes")),
    }
}

fn log_of(topic: &str) -> PathBuf {
    let run = Path::new(secure("DAVY_KAFKA_CA")).ancestors().nth(2).expect("<run>/tls/ca.pem");
    run.join(format!("node-1/data/{topic}-0/00000000000000000000.log"))
}
