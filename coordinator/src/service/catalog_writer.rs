//! The thread that owns the catalog: it waits to lead, writes, and reports the results to the event loop.
//!
//! ```text
//! lead ──▶ write leader and ceiling ──▶ Led ──▶ write … write ──▶ Lost ──▶ lead …
//! ```

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::catalog::{Catalog, CatalogError, Record, Snapshot};
use crate::metrics::Metrics;
use crate::service::clock::Clock;
use crate::service::epochs::Epochs;
use davy_proto::domain::Term;

/// How often it checks that it still leads, and its pause before it tries again to lead.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub enum News {
    /// This coordinator leads, which is durable.
    Led {
        term: Term,
        snapshot: Snapshot,
        epochs: Epochs,
        writer: Writer,
    },
    Written {
        term: Term,
        result: Result<(), CatalogError>,
    },
    Standby {
        reason: String,
    },
    /// The catalog needs a person.
    Broken(String),
}

/// A leader's access to the catalog, for one write at a time.
#[derive(Clone, Debug)]
pub struct Writer {
    records: SyncSender<Vec<Record>>,
}

impl Writer {
    /// Begins a write; [`News::Written`] has its result. The write before it must have ended.
    pub fn begin(&self, records: Vec<Record>) {
        // Full or closed means that leadership was lost, which another event reports.
        if self.records.try_send(records).is_err() {
            warn!("a write was dropped, since leadership was lost");
        }
    }
}

pub(super) struct CatalogWriter<E> {
    pub catalog: Box<dyn Catalog>,
    /// Where clients reach this coordinator.
    pub address: String,
    /// Cancelled when the thread should no longer wait to lead. While it leads, it ends when its [`Writer`] is dropped.
    pub shutdown: CancellationToken,
    pub events: mpsc::Sender<E>,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
}

impl<E: From<News>> CatalogWriter<E> {
    /// Runs until shutdown, or until the catalog is broken.
    pub(super) fn run(mut self) {
        while !self.shutdown.is_cancelled() {
            let shutdown = self.shutdown.clone();
            let result = match self.catalog.lead(&|| shutdown.is_cancelled()) {
                Ok(Some(snapshot)) => self.begin(snapshot),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            let Err(error) = result else { return };
            if let CatalogError::Corrupt(reason) = error {
                error!(reason, "the catalog is broken");
                self.send(News::Broken(reason));
                return;
            }
            warn!(%error, "this coordinator does not lead");
            self.send(News::Standby { reason: error.to_string() });
            self.wait();
        }
    }

    /// Writes durably that this coordinator leads, then leads until it loses that.
    fn begin(&mut self, snapshot: Snapshot) -> Result<(), CatalogError> {
        let term = Term(snapshot.term.0 + 1);
        let epochs = Epochs::begin(snapshot.ceiling, self.clock.unix_ms());
        let leader = Record::Leader { term, address: self.address.clone() };
        self.write(&[leader, Record::Epochs { ceiling: epochs.ceiling() }])?;
        info!(%term, n_pipelines = snapshot.pipelines.len(), "this coordinator leads");
        // One write at a time.
        let (sender, records) = sync_channel(1);
        self.send(News::Led { term, snapshot, epochs, writer: Writer { records: sender } });
        self.lead(term, &records)
    }

    fn lead(&mut self, term: Term, records: &Receiver<Vec<Record>>) -> Result<(), CatalogError> {
        loop {
            match records.recv_timeout(CHECK_INTERVAL) {
                Ok(records) => {
                    let result = self.write(&records);
                    let is_lost = result.clone().err().filter(|error| !matches!(error, CatalogError::Unavailable(_)));
                    self.send(News::Written { term, result });
                    if let Some(error) = is_lost {
                        return Err(error);
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.catalog.still_leads()?,
                // The event loop has ended, with no change in progress.
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

    fn send(&self, news: News) {
        if self.events.blocking_send(news.into()).is_err() {
            // The event loop has ended, and so does this thread.
            self.shutdown.cancel();
        }
    }

    /// Pauses before the next try: no event says that a broker is back.
    #[expect(clippy::disallowed_methods, reason = "the edge: the thread of the catalog blocks by design")]
    fn wait(&self) {
        if !self.shutdown.is_cancelled() {
            std::thread::sleep(CHECK_INTERVAL);
        }
    }
}
