//! The state of a leading coordinator; it is dropped as a whole when the coordinator stops leading.
//!
//! A change is visible only when it is durable: [`changes`] hands records to the catalog's thread, and only records that this thread has
//! written reach [`Cluster`] and clients.

mod changes;
mod scaling;
mod sessions;
mod views;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::autoscale::Wanted;
use crate::catalog::{CatalogError, Record, Snapshot};
use crate::cluster::Cluster;
use crate::error::Refused;
use crate::model::{DesiredState, PipelineRecord};
use crate::service::catalog_writer::{News, Writer};
use crate::service::driver::Tools;
use crate::service::epochs::Epochs;
use crate::service::event::Event;
use crate::service::rate_limit::RateLimit;
use davy_proto::domain::{Epoch, PipelineId, Term};

use changes::Changes;
use scaling::Scaling;
use sessions::Sessions;
use views::Watchers;

/// Changes in one write: each may hold a large script.
const RECORDS_AT_ONCE: usize = 16;

/// Pause after a ceiling could not be written.
const RESERVE_AGAIN: Duration = Duration::from_secs(1);

/// How often the load is measured.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct LeaderState {
    tools: Tools,
    term: Term,
    epochs: Epochs,
    writer: Writer,
    writing: Option<Writing>,
    cluster: Cluster,
    records: BTreeMap<PipelineId, Arc<PipelineRecord>>,
    changes: Changes,
    sessions: Sessions,
    watchers: Watchers,
    scaling: Scaling,
    sampled_at: Option<Duration>,
    /// No ceiling is written before this time.
    reserve_after: Duration,
    deciding: RateLimit,
    watching: RateLimit,
}

/// What the leader begins with.
pub(super) struct Lead {
    pub(super) term: Term,
    pub(super) epochs: Epochs,
    pub(super) writer: Writer,
}

/// What the catalog's thread is writing.
struct Writing {
    ceiling: Option<Epoch>,
    changes: Vec<changes::Unwritten>,
}

impl LeaderState {
    /// Begins with the catalog's records.
    pub(super) fn begin(tools: Tools, lead: Lead, snapshot: Snapshot) -> Self {
        let Lead { term, epochs, writer } = lead;
        let mut cluster = Cluster::new(tools.options.cluster.clone(), tools.clock.now());
        for record in &snapshot.pipelines {
            cluster.set_pipeline(record);
        }
        let records = snapshot.pipelines.into_iter().map(|record| (record.id().clone(), Arc::new(record))).collect();
        Self {
            scaling: Scaling::new(tools.options.autoscale.clone()),
            tools,
            term,
            epochs,
            writer,
            writing: None,
            cluster,
            records,
            changes: Changes::default(),
            sessions: Sessions::default(),
            watchers: Watchers::default(),
            sampled_at: None,
            reserve_after: Duration::ZERO,
            deciding: RateLimit::default(),
            watching: RateLimit::default(),
        }
    }

    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::Catalog(News::Written { term, result }) if term == self.term => self.written(result),
            // Of an earlier term of this coordinator.
            Event::Catalog(_) | Event::Stop => {}
            Event::Planned { term, id, result } => {
                if term == self.term {
                    self.planned(&id, result);
                }
            }
            Event::Change(request, reply) => self.change(*request, reply),
            Event::Query(query) => self.answer(query),
            Event::OpenSession { info, reports, reply } => self.open_session(info, reports, reply),
            Event::Heartbeat { session, reports, is_draining } => self.heartbeat(&session, reports, is_draining),
            Event::SessionClosed(session) => self.session_closed(&session),
        }
    }

    /// The process continues after it was suspended.
    pub(super) fn wake(&mut self, now: Duration) {
        self.cluster.wake(now);
    }

    /// Decides, and carries decisions out. Work that is not due yet is done at a later tick.
    pub(super) fn act(&mut self) {
        let began_at = self.tools.clock.now();
        if self.deciding.is_due(began_at) {
            self.decide(began_at);
            self.deciding.done(began_at, self.tools.clock.now());
        }
        self.write();
        let is_time = self.sampled_at.is_none_or(|at| SAMPLE_INTERVAL <= began_at - at);
        if is_time {
            self.sampled_at = Some(began_at);
            self.sample();
        }
        let began_at = self.tools.clock.now();
        if self.watching.is_due(began_at) {
            self.update_watchers();
            self.watching.done(began_at, self.tools.clock.now());
        }
    }

    /// Ends worker sessions and watching, which would last forever. Changes that have begun continue.
    pub(super) fn begin_shutdown(&mut self) {
        self.sessions = Sessions::default();
        self.dismiss_watchers();
    }

    /// Whether no change is in progress.
    pub(super) fn is_idle(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many workers are needed; `None` before the first measurement.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        let decision = self.scaling.overall()?;
        let is_active = self.records.values().any(|record| record.desired_state == DesiredState::Run);
        Some(Wanted { is_active, desired_workers: decision.desired_workers })
    }

    fn decide(&mut self, now: Duration) {
        self.epochs.skip(self.cluster.epoch_seen());
        // Each task is granted at most once in a decision.
        if self.epochs.needs(changes::n_tasks(&self.records)).is_some() {
            return;
        }
        let epochs = &mut self.epochs;
        let actions = self.cluster.decide(now, &mut || epochs.take());
        for action in actions {
            self.carry_out(action, now);
        }
    }

    /// Hands records to the catalog's thread, if that is idle.
    fn write(&mut self) {
        if self.writing.is_some() {
            return;
        }
        let may_reserve = self.reserve_after <= self.tools.clock.now();
        let ceiling = self.epochs.needs(changes::n_tasks(&self.records)).filter(|_| may_reserve);
        let changes = self.changes.take_unwritten(RECORDS_AT_ONCE);
        if ceiling.is_none() && changes.is_empty() {
            return;
        }
        let mut records: Vec<Record> = ceiling.map(|ceiling| Record::Epochs { ceiling }).into_iter().collect();
        records.extend(changes.iter().map(|change| Record::Pipeline(Box::new(change.record.clone()))));
        self.writing = Some(Writing { ceiling, changes });
        self.writer.begin(records);
    }

    fn written(&mut self, result: Result<(), CatalogError>) {
        let Writing { ceiling, changes } = self.writing.take().expect("one write at a time, which has ended");
        match result {
            Ok(()) => {
                if let Some(ceiling) = ceiling {
                    self.epochs.raise(ceiling);
                }
                changes.into_iter().for_each(|change| self.accept(change));
            }
            Err(error) => {
                warn!(%error, n_changes = changes.len(), "the catalog was not written");
                self.reserve_after = self.tools.clock.now() + RESERVE_AGAIN;
                let refused = Refused::from(error);
                changes.into_iter().for_each(|change| self.refuse(change, refused.clone()));
            }
        }
    }
}
