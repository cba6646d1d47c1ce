//! Changes in progress: checked, planned, written, visible. One at a time for each pipeline; others wait for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::error::{Kind, Refused};
use crate::model::PipelineRecord;
use crate::service::change::{self, Change, ChangeRequest, Deployment, Plan, Step};
use crate::service::event::{Event, PipelineView, Reply};
use davy_proto::domain::{DataflowShape, PipelineId};

use super::LeaderState;

/// Changes in progress, over all pipelines.
const CHANGES_MAX: usize = 1_024;

/// Changes that wait for another one of the same pipeline.
const WAITING_MAX: usize = 16;

#[derive(Default)]
pub(super) struct Changes {
    /// Pipelines with a change in progress, and the requests that wait for it.
    busy: BTreeMap<PipelineId, VecDeque<(ChangeRequest, Reply<PipelineView>)>>,
    planning: BTreeMap<PipelineId, PlannedChange>,
    unwritten: VecDeque<Unwritten>,
}

struct PlannedChange {
    request: ChangeRequest,
    deployment: Deployment,
    reply: Reply<PipelineView>,
}

/// A change that waits for its write.
pub(super) struct Unwritten {
    pub(super) record: PipelineRecord,
    reply: Reply<PipelineView>,
}

impl Changes {
    pub(super) fn take_unwritten(&mut self, n: usize) -> Vec<Unwritten> {
        let n = n.min(self.unwritten.len());
        self.unwritten.drain(..n).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.busy.is_empty()
    }

    fn n(&self) -> usize {
        self.busy.values().map(|waiting| 1 + waiting.len()).sum()
    }
}

impl LeaderState {
    /// Begins a change, or queues it behind another one of its pipeline.
    pub(super) fn change(&mut self, request: ChangeRequest, reply: Reply<PipelineView>) {
        let is_full = CHANGES_MAX <= self.changes.n();
        match self.changes.busy.get_mut(&request.id) {
            Some(waiting) if !is_full && waiting.len() < WAITING_MAX => waiting.push_back((request, reply)),
            None if !is_full => self.start(request, reply),
            Some(_) | None => {
                let refused = Refused::new(Kind::Exhausted, "too many changes are waiting").hint("try again later");
                answer(reply, Err(refused));
            }
        }
    }

    fn start(&mut self, request: ChangeRequest, reply: Reply<PipelineView>) {
        let id = request.id.clone();
        match self.next_step(&request) {
            Err(refused) => answer(reply, Err(refused)),
            Ok(Step::Nothing) => {
                let view = self.view(&id).ok_or_else(|| change::not_found(&id.name));
                answer(reply, view);
            }
            Ok(Step::Write(record)) => {
                self.changes.busy.entry(id).or_default();
                self.changes.unwritten.push_back(Unwritten { record: *record, reply });
            }
            Ok(Step::Plan(deployment)) => {
                self.changes.busy.entry(id.clone()).or_default();
                self.plan(&request, &deployment);
                self.changes.planning.insert(id, PlannedChange { request, deployment, reply });
            }
        }
    }

    fn next_step(&self, request: &ChangeRequest) -> Result<Step, Refused> {
        let current = self.records.get(&request.id).map(AsRef::as_ref);
        let step = change::begin(request, current, self.tools.clock.unix_ms())?;
        if let (Step::Plan(_), Change::Submit { .. }) = (&step, &request.change) {
            self.check_room(&request.id)?;
        }
        Ok(step)
    }

    /// Checks the tenant's limits; submissions in progress count.
    fn check_room(&self, id: &PipelineId) -> Result<(), Refused> {
        let limits = &self.tools.options.limits;
        let own = |(other, _): &(&PipelineId, &Arc<PipelineRecord>)| other.tenant == id.tenant;
        let runs = |record: &PipelineRecord| !record.desired_state.is_stopped();
        let n_new = self
            .changes
            .busy
            .keys()
            .filter(|other| other.tenant == id.tenant)
            .filter(|other| self.records.get(*other).is_none_or(|record| !runs(record)));
        let n_new = n_new.count();
        let n_names = self.records.iter().filter(own).count();
        let n_running = self.records.iter().filter(own).filter(|(_, record)| runs(record)).count();
        let is_known = self.records.contains_key(id);
        let full = |n: usize, what: &str| {
            Refused::new(Kind::Exhausted, format!("tenant `{}` has {n} {what}, which is the limit", id.tenant))
        };
        if limits.pipelines_per_tenant <= n_running + n_new {
            return Err(full(n_running + n_new, "pipelines").hint("stop some that are not needed"));
        }
        if !is_known && limits.names_per_tenant <= n_names + n_new {
            return Err(full(n_names, "names of pipelines, stopped ones included").hint("use a name again"));
        }
        Ok(())
    }

    fn plan(&self, request: &ChangeRequest, deployment: &Deployment) {
        let Some((script, _)) = request.change.script() else { return };
        let (script, kafka_name, id) = (script.clone(), deployment.kafka_name.clone(), request.id.clone());
        let wanted = self.tools.options.tasks_per_stage.get();
        let (planning, events, term) = (self.tools.planning.clone(), self.tools.events.clone(), self.term);
        self.tools.tasks.spawn("plan", async move {
            let result = planning.run(move |planner| planner.plan_tasks(&script, &kafka_name, wanted)).await;
            // The event loop may have ended.
            drop(events.send(Event::Planned { term, id, result }).await);
        });
    }

    pub(super) fn planned(&mut self, id: &PipelineId, result: Result<Vec<DataflowShape>, Refused>) {
        let PlannedChange { request, deployment, reply } =
            self.changes.planning.remove(id).expect("a change that is planned is known until then");
        let is_update = matches!(request.change, Change::Update { .. });
        let dataflows = match result {
            Ok(dataflows) => dataflows,
            Err(refused) => {
                answer(reply, Err(if is_update { name_the_choice(refused) } else { refused }));
                return self.begin_next(id);
            }
        };
        let current = self.records.get(id).map(AsRef::as_ref);
        let record = change::planned(&request, current, Plan { deployment, dataflows }, self.tools.clock.unix_ms());
        let record = record.expect("what was planned has a script");
        if let Change::Submit { dry_run: true, .. } = request.change {
            answer(reply, Ok(PipelineView { record: Arc::new(record), status: None, scaling: None }));
            return self.begin_next(id);
        }
        self.changes.unwritten.push_back(Unwritten { record, reply });
    }

    /// A change is durable: it becomes visible.
    pub(super) fn accept(&mut self, change: Unwritten) {
        let Unwritten { record, reply } = change;
        let id = record.id().clone();
        self.cluster.set_pipeline(&record);
        self.records.insert(id.clone(), Arc::new(record));
        let view = self.view(&id).expect("the pipeline was put there just now");
        answer(reply, Ok(view));
        self.begin_next(&id);
    }

    /// A change could not be written.
    pub(super) fn refuse(&mut self, change: Unwritten, refused: Refused) {
        answer(change.reply, Err(refused));
        self.begin_next(change.record.id());
    }

    /// Begins the changes that have waited for the one that has ended.
    fn begin_next(&mut self, id: &PipelineId) {
        let mut waiting = self.changes.busy.remove(id).unwrap_or_default();
        while let Some((request, reply)) = waiting.pop_front() {
            // A client that has left sends the request again.
            if reply.is_closed() {
                continue;
            }
            self.start(request, reply);
            if let Some(busy) = self.changes.busy.get_mut(id) {
                *busy = waiting;
                return;
            }
        }
    }
}

pub(super) fn n_tasks(records: &BTreeMap<PipelineId, Arc<PipelineRecord>>) -> usize {
    let stages = records.values().flat_map(|record| &record.spec.dataflows).flat_map(|dataflow| &dataflow.stages);
    stages.map(|stage| usize::try_from(stage.n_tasks).unwrap_or(usize::MAX)).sum()
}

/// Answers a caller, who may have left.
pub(super) fn answer<T>(reply: Reply<T>, answer: Result<T, Refused>) {
    drop(reply.send(answer));
}

fn name_the_choice(mut refused: Refused) -> Refused {
    if refused.kind == Kind::Precondition && !refused.hint.contains("fresh") {
        let choice = "or start fresh with `fresh = true`, which drops the old state";
        refused.hint = if refused.hint.is_empty() { choice.to_owned() } else { format!("{}; {choice}", refused.hint) };
    }
    refused
}
