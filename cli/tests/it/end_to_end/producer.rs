//! Writes the input in the background: small transactions at a constant rate, every ninth of them aborted.
//!
//! When the broker is away, the thread retries the same rows with a fresh producer; rows may then be in the topic twice. That
//! is right: what counts is what the topic holds in the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle, park_timeout};
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::broker::client;
use super::input::{Row, Rows};
use davy_testkit::wait::now;

/// From one transaction to the next.
const TICK: Duration = Duration::from_millis(100);
const CALL: Duration = Duration::from_secs(10);

/// Which rows are written where, and how fast.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) servers: String,
    pub(crate) topic: String,
    pub(crate) seed: u64,
    pub(crate) rows_per_second: u64,
}

/// The thread that writes the input.
pub(crate) struct InputProducer {
    is_over: Arc<AtomicBool>,
    n_rows: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl InputProducer {
    pub(crate) fn start(input: Input) -> Self {
        let (is_over, n_rows) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (over, counted) = (Arc::clone(&is_over), Arc::clone(&n_rows));
        let thread =
            Builder::new().name("input".into()).spawn(move || produce(&input, &over, &counted)).expect("a thread");
        Self { is_over, n_rows, thread: Some(thread) }
    }

    /// Rows of transactions that were committed.
    pub(crate) fn n_rows(&self) -> u64 {
        self.n_rows.load(Ordering::Relaxed)
    }

    /// Writes the rows that close every window, and stops.
    pub(crate) fn finish(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the input's thread did not panic");
        }
    }
}

impl Drop for InputProducer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn produce(input: &Input, is_over: &AtomicBool, n_rows: &AtomicU64) {
    let mut rows = Rows::new(input.seed);
    let mut producer = None;
    let begun = now();
    let mut n_made = 0;
    for number in 1_u64.. {
        let ends = is_over.load(Ordering::Relaxed);
        let due = ((now() - begun).as_secs_f64() * input.rows_per_second as f64) as u64;
        // After a pause of the broker, not everything at once.
        let n = (due.saturating_sub(n_made)).min(input.rows_per_second);
        n_made = if n < input.rows_per_second { n_made + n } else { due };
        let mut batch: Vec<Row> = (0..n).map(|_| rows.next()).collect();
        if ends {
            batch.extend(Rows::last());
        }
        if number % 9 == 0 {
            // A reader that counts these rows has read what was never committed.
            write(input, &mut producer, &ghosts(&batch), Ending::Abort);
        }
        write(input, &mut producer, &batch, Ending::Commit);
        n_rows.fetch_add(batch.len() as u64, Ordering::Relaxed);
        if ends {
            return;
        }
        park_timeout(TICK);
    }
}

fn ghosts(rows: &[Row]) -> Vec<Row> {
    let ghost = |row: &Row| Row { partition: row.partition, line: row.line.replace(",k", ",ghost") };
    rows.iter().take(20).map(ghost).collect()
}

#[derive(Clone, Copy)]
enum Ending {
    Commit,
    Abort,
}

/// Retries until the transaction has ended.
fn write(input: &Input, producer: &mut Option<BaseProducer>, rows: &[Row], ending: Ending) {
    loop {
        let ready = match producer.take() {
            Some(producer) => Ok(producer),
            None => fresh(input),
        };
        if let Ok(ready) = ready
            && transact(&ready, &input.topic, rows, ending).is_ok()
        {
            *producer = Some(ready);
            return;
        }
    }
}

fn fresh(input: &Input) -> Result<BaseProducer, KafkaError> {
    let mut config = client(&input.servers);
    config.set("transactional.id", format!("input-{}", input.topic)).set("linger.ms", "2");
    let producer: BaseProducer = config.create()?;
    producer.init_transactions(CALL)?;
    Ok(producer)
}

fn transact(producer: &BaseProducer, topic: &str, rows: &[Row], ending: Ending) -> Result<(), KafkaError> {
    producer.begin_transaction()?;
    for row in rows {
        let record = BaseRecord::<(), str>::to(topic).partition(row.partition).payload(&row.line);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    match ending {
        Ending::Commit => producer.commit_transaction(CALL),
        Ending::Abort => {
            producer.flush(CALL)?;
            producer.abort_transaction(CALL)
        }
    }
}
