//! The thread that owns the catalog: it waits to lead, writes, and tells the event loop how that went.
//!
//! ```text
//! lead ──▶ write leader and ceiling ──▶ Led ──▶ write … write ──▶ Lost ──▶ lead …
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::catalog::{Catalog, CatalogError, Record, Snapshot};
use crate::metrics::Metrics;
use crate::service::clock::Clock;
use crate::service::epochs::Epochs;
use davy_proto::domain::Term;

/// How often it asks whether it still leads, and how long it waits before it tries again to.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// What the event loop hears.
#[derive(Debug)]
pub enum News {
    /// This coordinator leads; that is durable.
    Led {
        term: Term,
        snapshot: Snapshot,
        /// What it may give out.
        epochs: Epochs,
        /// Where it writes, one write at a time.
        writer: Writer,
    },
    /// A write has ended.
    Written { term: Term, result: Result<(), CatalogError> },
    /// It does not lead, and waits for its turn.
    Standby { why: String },
    /// A person has to look.
    Broken(String),
}

/// Where a leader writes.
#[derive(Clone, Debug)]
pub struct Writer {
    records: SyncSender<Vec<Record>>,
}

impl Writer {
    /// Begins a write; [`News::Written`] tells how it ended. There must be no other.
    pub fn begin(&self, records: Vec<Record>) {
        // Full or gone means that leadership was lost, of which the event loop hears by itself.
        if self.records.try_send(records).is_err() {
            warn!("a write was dropped, since leadership was lost");
        }
    }
}

/// What the thread is made of.
pub(super) struct Keeper<E> {
    pub catalog: Box<dyn Catalog>,
    /// Where clients reach this coordinator.
    pub address: String,
    /// Set when it need not wait to lead any more. One that leads ends when its writer is dropped.
    pub is_over: Arc<AtomicBool>,
    pub events: mpsc::Sender<E>,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
}

impl<E: From<News>> Keeper<E> {
    /// Until it is over, or a person has to look.
    pub(super) fn run(mut self) {
        while !self.is_over.load(Ordering::Relaxed) {
            let is_over = Arc::clone(&self.is_over);
            let result = match self.catalog.lead(&|| is_over.load(Ordering::Relaxed)) {
                Ok(Some(snapshot)) => self.begin(snapshot),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            let Err(error) = result else { return };
            if let CatalogError::Corrupt(why) = error {
                error!(why, "the catalog is broken");
                self.tell(News::Broken(why));
                return;
            }
            warn!(%error, "this coordinator does not lead");
            self.tell(News::Standby { why: error.to_string() });
            self.wait();
        }
    }

    /// Makes it durable that this one leads, then leads until that is lost.
    fn begin(&mut self, snapshot: Snapshot) -> Result<(), CatalogError> {
        let term = Term(snapshot.term.0 + 1);
        let epochs = Epochs::begin(snapshot.ceiling, self.clock.unix_ms());
        let leader = Record::Leader { term, address: self.address.clone() };
        self.write(&[leader, Record::Epochs { ceiling: epochs.ceiling() }])?;
        info!(%term, n_pipelines = snapshot.pipelines.len(), "this coordinator leads");
        // One write at a time.
        let (sender, records) = sync_channel(1);
        self.tell(News::Led { term, snapshot, epochs, writer: Writer { records: sender } });
        self.lead(term, &records)
    }

    fn lead(&mut self, term: Term, records: &Receiver<Vec<Record>>) -> Result<(), CatalogError> {
        loop {
            match records.recv_timeout(CHECK_INTERVAL) {
                Ok(records) => {
                    let result = self.write(&records);
                    let is_lost = result.clone().err().filter(|error| !matches!(error, CatalogError::Unavailable(_)));
                    self.tell(News::Written { term, result });
                    if let Some(error) = is_lost {
                        return Err(error);
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.catalog.still_leads()?,
                // The event loop has ended, when no change was on its way any more.
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn write(&mut self, records: &[Record]) -> Result<(), CatalogError> {
        let before = self.clock.now();
        let result = self.catalog.write(records);
        self.metrics.catalog_write_seconds.observe((self.clock.now() - before).as_secs_f64());
        let outcome = match &result {
            Ok(()) => "ok",
            Err(CatalogError::Fenced(_)) => "fenced",
            Err(CatalogError::Unavailable(_)) => "unavailable",
            Err(CatalogError::Corrupt(_)) => "corrupt",
        };
        self.metrics.catalog_writes.with_label_values(&[outcome]).inc();
        result
    }

    fn tell(&self, news: News) {
        if self.events.blocking_send(news.into()).is_err() {
            // The event loop has ended, and so does this thread.
            self.is_over.store(true, Ordering::Relaxed);
        }
    }

    /// Before the next try. Nothing is to be waited for: brokers do not tell when they are back.
    #[expect(clippy::disallowed_methods, reason = "the edge: the thread of the catalog blocks by design")]
    fn wait(&self) {
        if !self.is_over.load(Ordering::Relaxed) {
            std::thread::sleep(CHECK_INTERVAL);
        }
    }
}
