//! Sends rows, repeats what the receiver cannot take now, and finds the rows that it refuses.
//!
//! | answer | what follows |
//! |---|---|
//! | 2xx | the rows are delivered |
//! | 400, 413, 422 | the rows are refused: halves of them are sent, until those that it refuses are alone |
//! | none in time, 408, 409, 425, 429, 5xx | the request is repeated with a back-off, for `retry_for` |
//! | any other | as after `retry_for`: the task starts again from its last commit, and repeats the rows |
//!
//! So wrong credentials and a wrong address lose nothing.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use davy_engine::format::{BadReason, Encoder};
use davy_engine::log::{Sink, Unwritable};
use davy_engine::{Error, Result};
use tracing::warn;

use super::options::{HttpOptions, Layout};
use crate::clock;
use crate::http_client::{Answer, HttpClient};

/// Between the first two requests; doubled after each, up to the longest.
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);
/// How much of an answer is shown.
const SHOWN_CHARS: usize = 200;

pub(super) struct HttpSink {
    client: HttpClient,
    options: Arc<HttpOptions>,
    encoder: Box<dyn Encoder>,
    /// Rows that are sent with the commit: dead letters of other tables.
    staged: Vec<Vec<u8>>,
}

/// What became of a request.
enum Outcome {
    Delivered,
    /// The receiver does not take these rows, and says so.
    Refused(String),
}

impl HttpSink {
    pub(super) fn new(client: HttpClient, options: Arc<HttpOptions>, encoder: Box<dyn Encoder>) -> Self {
        Self { client, options, encoder, staged: Vec::new() }
    }

    /// Each row as it is sent, without a line end.
    fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<Vec<u8>>> {
        let row = |row: usize| {
            let mut bytes = Vec::new();
            self.encoder.encode(&batch.slice(row, 1), &mut bytes)?;
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
            }
            Ok(bytes)
        };
        (0..batch.num_rows()).map(row).collect()
    }

    /// Sends rows, and gives those that are refused.
    fn send(&self, rows: &[Vec<u8>]) -> Result<Vec<Unwritable>> {
        let mut refused = Vec::new();
        let mut begin = 0;
        while begin < rows.len() {
            let mut end = begin + 1;
            let mut n_bytes = rows[begin].len();
            while end < rows.len() && end - begin < self.options.batch_rows {
                n_bytes += rows[end].len() + 1;
                if self.options.batch_bytes < n_bytes {
                    break;
                }
                end += 1;
            }
            self.send_batch(rows, begin..end, &mut refused)?;
            begin = end;
        }
        Ok(refused)
    }

    fn send_batch(&self, rows: &[Vec<u8>], batch: std::ops::Range<usize>, refused: &mut Vec<Unwritable>) -> Result<()> {
        let Outcome::Refused(why) = self.post(&rows[batch.clone()])? else { return Ok(()) };
        if batch.len() == 1 {
            let remedy = "correct what the query makes of such rows";
            refused.push(Unwritable { row: batch.start, reason: BadReason::Refused, why, remedy });
            return Ok(());
        }
        let middle = batch.start + batch.len() / 2;
        self.send_batch(rows, batch.start..middle, refused)?;
        self.send_batch(rows, middle..batch.end, refused)
    }

    /// One request, repeated while the receiver cannot take it.
    fn post(&self, rows: &[Vec<u8>]) -> Result<Outcome> {
        let HttpOptions { table, retry_for, .. } = &*self.options;
        let body = body(rows, self.options.layout);
        let key = davy_forest::package::sha256(&body);
        let begun = clock::now();
        let mut pause = SHORTEST;
        loop {
            let (why, wait) = match self.request(&key, &body) {
                Ok(answer) if (200..300).contains(&answer.status) => return Ok(Outcome::Delivered),
                Ok(answer) if matches!(answer.status, 400 | 413 | 422) => {
                    return Ok(Outcome::Refused(format!("is refused by its receiver: {}", describe(&answer))));
                }
                Ok(answer) if answer.is_temporary() || answer.status == 409 => {
                    (describe(&answer), answer.retry_after.unwrap_or(pause))
                }
                Ok(answer) => {
                    let why = describe(&answer);
                    return Err(Error::Unavailable(format!(
                        "{table}: the receiver answers {why}; correct its options"
                    )));
                }
                Err(Error::Unavailable(why)) => (why, pause),
                Err(error) => return Err(error.context(table)),
            };
            if *retry_for < clock::since(begun) + wait {
                return Err(Error::Unavailable(format!("{table}: the receiver does not take rows: {why}")));
            }
            warn!(table, why, "the receiver does not take rows; the request is repeated in {} s", wait.as_secs_f32());
            clock::rest(wait);
            pause = (pause * 2).min(LONGEST);
        }
    }

    fn request(&self, key: &str, body: &[u8]) -> Result<Answer> {
        let HttpOptions { url, headers, content_type, .. } = &*self.options;
        let key = format!("\"{key}\"");
        let mut all = vec![("Content-Type", content_type.as_str()), ("Idempotency-Key", key.as_str())];
        all.extend(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        self.client.post(url, &all, body)
    }
}

fn body(rows: &[Vec<u8>], layout: Layout) -> Vec<u8> {
    match layout {
        Layout::Lines => rows.iter().flat_map(|row| row.iter().copied().chain([b'\n'])).collect(),
        Layout::Array => [b"[".as_slice(), &rows.join(b",".as_slice()), b"]"].concat(),
    }
}

fn describe(Answer { status, body, .. }: &Answer) -> String {
    let text = String::from_utf8_lossy(body);
    let shown: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_CHARS).collect();
    if shown.is_empty() { format!("HTTP status {status}") } else { format!("HTTP status {status}: {shown}") }
}

impl Sink for HttpSink {
    fn deliver(&mut self, rows: &RecordBatch) -> Result<Option<Vec<Unwritable>>> {
        let encoded = self.encode(rows)?;
        self.send(&encoded).map(Some)
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let encoded = self.encode(batch)?;
        self.staged.extend(encoded);
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        let staged = std::mem::take(&mut self.staged);
        match self.send(&staged)?.into_iter().next() {
            None => Ok(()),
            Some(row) => Err(Error::Unavailable(format!("{}: a dead letter {}", self.options.table, row.why))),
        }
    }

    fn abort(&mut self) -> Result<()> {
        self.staged.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
