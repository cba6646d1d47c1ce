//! What a coordinator knows while it leads: dropped as a whole when it leads no more.
//!
//! A change is visible when it is durable, not before: [`changes`] hands records to the catalog's thread, and only what that thread
//! has written reaches [`Cluster`] and clients.

mod changes;
mod scaling;
mod views;
mod workers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::catalog::{CatalogError, Record, Snapshot};
use crate::cluster::Cluster;
use crate::model::{PipelineRecord, Wish};
use crate::rpc::scaler::Wanted;
use crate::service::driver::Tools;
use crate::service::epochs::Epochs;
use crate::service::error::Refused;
use crate::service::event::Event;
use crate::service::keeper::{News, Writer};
use crate::service::pace::Pace;
use davy_proto::domain::{Epoch, PipelineId, Term};

use changes::Changes;
use scaling::Scaling;
use views::Watchers;
use workers::Calls;

/// Changes that are written at once: each may hold a large script.
const RECORDS_AT_ONCE: usize = 16;

/// How long a ceiling that was not written waits for the next try.
const RESERVE_AGAIN: Duration = Duration::from_secs(1);

/// How often the load is measured.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Leading {
    tools: Tools,
    term: Term,
    epochs: Epochs,
    writer: Writer,
    writing: Option<Writing>,
    cluster: Cluster,
    records: BTreeMap<PipelineId, Arc<PipelineRecord>>,
    changes: Changes,
    calls: Calls,
    watchers: Watchers,
    scaling: Scaling,
    sampled_at: Option<Duration>,
    /// No ceiling is written before.
    reserve_after: Duration,
    deciding: Pace,
    telling: Pace,
}

/// What the catalog's thread writes just now.
struct Writing {
    ceiling: Option<Epoch>,
    changes: Vec<changes::Unwritten>,
}

impl Leading {
    /// Begins with what the catalog remembers.
    pub(super) fn begin(tools: Tools, (term, epochs, writer): (Term, Epochs, Writer), snapshot: Snapshot) -> Self {
        let mut cluster = Cluster::new(tools.options.cluster.clone(), tools.clock.now());
        for record in &snapshot.pipelines {
            cluster.set_pipeline(record);
        }
        let records = snapshot.pipelines.into_iter().map(|record| (record.id.clone(), Arc::new(record))).collect();
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
            calls: Calls::default(),
            watchers: Watchers::default(),
            sampled_at: None,
            reserve_after: Duration::ZERO,
            deciding: Pace::default(),
            telling: Pace::default(),
        }
    }

    /// Notes what has happened.
    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::Keeper(News::Written { term, result }) if term == self.term => self.written(result),
            // Of a time when this coordinator led before.
            Event::Keeper(_) | Event::Stop => {}
            Event::Planned { term, id, result } => {
                if term == self.term {
                    self.planned(&id, result);
                }
            }
            Event::Change(asked, reply) => self.change(*asked, reply),
            Event::Ask(question) => self.answer(question),
            Event::Attend { info, reports, reply } => self.attend(info, reports, reply),
            Event::Heard { call, reports, is_draining } => self.heard(&call, reports, is_draining),
            Event::HungUp(call) => self.hung_up(&call),
        }
    }

    /// This process stood still for long.
    pub(super) fn wake(&mut self, now: Duration) {
        self.cluster.wake(now);
    }

    /// Decides, and carries out what was decided. What is not due yet is done at the next tick.
    pub(super) fn settle(&mut self) {
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
        if self.telling.is_due(began_at) {
            self.tell_watchers();
            self.telling.done(began_at, self.tools.clock.now());
        }
    }

    /// Ends what would go on for ever: calls of workers, and watching. Changes on their way go on.
    pub(super) fn begin_to_end(&mut self) {
        self.calls = Calls::default();
        self.dismiss_watchers();
    }

    /// Whether no change is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many workers are wanted, if it is known.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        let decision = self.scaling.overall()?;
        let is_active = self.records.values().any(|record| record.wish == Wish::Run);
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

    /// Hands what is to be remembered to the catalog's thread, if that is idle.
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
