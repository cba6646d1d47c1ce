//! What happened in a run, line by line: the expanded plan of a failing seed, and what a replay must repeat.

use std::fmt::Write;

use super::kafka::{Refusal, Request, Response};

/// A request in a few words.
pub fn request(request: &Request) -> String {
    match request {
        Request::InitProducerId { task } => format!("init {task}"),
        Request::AddPartition { task, producer, topic_partition } => format!("add {task} {producer} {topic_partition}"),
        Request::AddOffsets { task, producer, group } => format!("add-offsets {task} {producer} {group}"),
        Request::Produce { task, producer, sequence, topic_partition, message } => {
            let hash = message.value.iter().fold(17_u32, |hash, byte| hash.wrapping_mul(31) ^ u32::from(*byte));
            let what = if message.headers.iter().any(|(_, header)| header.get(2) == Some(&2)) {
                " (a piece of a record)"
            } else {
                ""
            };
            let n_bytes = message.value.len();
            format!("produce {task} {producer} #{sequence} {topic_partition} {n_bytes} bytes {hash:08x}{what}")
        }
        Request::TxnOffsetCommit { task, producer, positions, .. } => {
            let mut text = format!("offsets {task} {producer}");
            for (split, position, _) in positions {
                let _written = write!(text, " {split}@{}", position.0);
            }
            text
        }
        Request::EndTxn { task, producer, commits } => {
            format!("{} {task} {producer}", if *commits { "commit" } else { "abort" })
        }
        Request::OffsetFetch { group, splits } => format!("fetch {group} {} splits", splits.len()),
    }
}

/// An answer in a few words.
pub fn answer(answer: &Result<Response, Refusal>) -> String {
    match answer {
        Ok(Response::Done) => "ok".into(),
        Ok(Response::Producer(producer)) => format!("{producer}"),
        Ok(Response::Positions(positions)) => {
            let known: Vec<String> =
                positions.iter().map(|(split, position, _)| format!("{split}@{}", position.0)).collect();
            known.join(" ")
        }
        Err(refusal) => format!("{refusal:?}"),
    }
}
