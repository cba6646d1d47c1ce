//! The tasks assigned to a worker, one thread each.
//!
//! Tasks are isolated: an error ends the task's thread and is reported, a panic is caught, and each pipeline has a memory pool of its
//! own. The coordinator decides which tasks a worker has; `agent` receives its decisions. [`planning`] is for the coordinator.

pub(crate) mod pipeline;
pub mod planning;
mod slot;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use davy_proto::domain::{Assignment, PipelineId, PipelineSpec, Release, Revocation, TaskId, TaskReport};
use prometheus::Registry;

use crate::clock;
use crate::connector::LocalConnectors;
use crate::host::HostOptions;
use pipeline::Loaded;
use slot::{Slot, SlotRequest};

#[derive(Clone, Debug)]
pub struct SlotOptions {
    /// What scripts reach beyond their text.
    pub connectors: LocalConnectors,
    pub host: HostOptions,
}

/// The tasks of a worker.
pub struct Slots {
    options: Arc<SlotOptions>,
    changed: Arc<dyn Fn() + Send + Sync>,
    /// The newest version of each pipeline that a task was assigned with.
    loaded: HashMap<PipelineId, Arc<Loaded>>,
    slots: BTreeMap<TaskId, Slot>,
}

impl Slots {
    /// Without tasks. `changed` is called, from any thread, when the status of a task changes.
    pub fn new(options: SlotOptions, changed: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { options: Arc::new(options), changed, loaded: HashMap::new(), slots: BTreeMap::new() }
    }

    /// Starts a task. An older epoch of the same task ends first; a newer one stays.
    pub fn assign(&mut self, assignment: Assignment) {
        let Assignment { task, epoch, pipeline } = assignment;
        let earlier = match self.slots.remove(&task) {
            Some(slot) if epoch <= slot.epoch => {
                self.slots.insert(task, slot);
                return;
            }
            Some(slot) => {
                slot.end(Release::Drain);
                slot.thread
            }
            None => None,
        };
        let loaded = self.loaded(pipeline);
        let request = SlotRequest { task: task.clone(), epoch, loaded, earlier };
        let slot = Slot::start(request, &self.options, &self.changed);
        self.slots.insert(task, slot);
    }

    fn loaded(&mut self, spec: Arc<PipelineSpec>) -> Arc<Loaded> {
        match self.loaded.get(&spec.id) {
            Some(loaded) if loaded.spec.spec_version == spec.spec_version => Arc::clone(loaded),
            _ => {
                let id = spec.id.clone();
                let loaded = Arc::new(Loaded::new(spec));
                self.loaded.insert(id, Arc::clone(&loaded));
                loaded
            }
        }
    }

    /// Ends a task that has this epoch or an older one.
    pub fn revoke(&self, revocation: &Revocation) {
        if let Some(slot) = self.slots.get(&revocation.task)
            && slot.epoch <= revocation.epoch
        {
            slot.end(revocation.release);
        }
    }

    /// Ends all tasks, each after a last commit.
    pub fn drain(&self) {
        self.slots.values().for_each(|slot| slot.end(Release::Drain));
    }

    pub fn have_ended(&self) -> bool {
        self.slots.values().all(Slot::has_ended)
    }

    /// Reports of all tasks for the coordinator; busy ratios are of the time since the last ones.
    pub fn reports(&mut self) -> Vec<TaskReport> {
        let now = clock::running();
        self.slots.iter_mut().map(|(task, slot)| slot.report(task, now)).collect()
    }

    /// The same for metrics: without effect on the next busy ratios.
    pub fn snapshot(&self) -> Vec<TaskReport> {
        let now = clock::running();
        self.slots.iter().map(|(task, slot)| slot.snapshot(task, now)).collect()
    }

    /// Removes tasks that had ended in reports that the coordinator has acknowledged.
    pub fn acknowledge(&mut self, reports: &[TaskReport]) {
        for report in reports.iter().filter(|report| !report.phase.is_held()) {
            if self.slots.get(&report.task).is_some_and(|slot| slot.epoch == report.epoch) {
                self.slots.remove(&report.task);
            }
        }
        let slots = &self.slots;
        self.loaded.retain(|id, _| slots.keys().any(|task| task.pipeline == *id));
    }

    /// The metrics of each pipeline.
    pub(crate) fn registries(&self) -> Vec<Registry> {
        self.loaded.values().map(|loaded| loaded.registry.clone()).collect()
    }
}
