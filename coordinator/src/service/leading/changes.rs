//! Changes on their way: checked, planned, written, visible. One at a time for each pipeline; others wait for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::model::{DataflowShape, PipelineRecord, Wish};
use crate::service::change::{self, Asked, Change, Place, Step};
use crate::service::error::{Kind, Refused};
use crate::service::event::{Event, PipelineView, Reply};
use davy_proto::domain::PipelineId;

use super::Leading;

/// Changes on their way, over all pipelines.
const CHANGES_MAX: usize = 1_024;

/// Changes that wait for another one of the same pipeline.
const WAITING_MAX: usize = 16;

/// Changes on their way.
#[derive(Default)]
pub(super) struct Changes {
    /// Pipelines that change just now, with what waits for that.
    busy: BTreeMap<PipelineId, VecDeque<(Asked, Reply<PipelineView>)>>,
    planning: BTreeMap<PipelineId, InPlanning>,
    unwritten: VecDeque<Unwritten>,
}

struct InPlanning {
    asked: Asked,
    place: Place,
    reply: Reply<PipelineView>,
}

/// A change that is to be written.
pub(super) struct Unwritten {
    pub(super) record: PipelineRecord,
    reply: Reply<PipelineView>,
}

impl Changes {
    pub(super) fn take_unwritten(&mut self, n: usize) -> Vec<Unwritten> {
        let n = n.min(self.unwritten.len());
        self.unwritten.drain(..n).collect()
    }

    /// None is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.busy.is_empty()
    }

    fn n(&self) -> usize {
        self.busy.values().map(|waiting| 1 + waiting.len()).sum()
    }
}

impl Leading {
    /// Begins a change, or lets it wait for its pipeline.
    pub(super) fn change(&mut self, asked: Asked, reply: Reply<PipelineView>) {
        let is_full = CHANGES_MAX <= self.changes.n();
        match self.changes.busy.get_mut(&asked.id) {
            Some(waiting) if !is_full && waiting.len() < WAITING_MAX => waiting.push_back((asked, reply)),
            None if !is_full => self.start(asked, reply),
            Some(_) | None => {
                let refused = Refused::new(Kind::Exhausted, "too many changes wait to be made").hint("try again later");
                answer(reply, Err(refused));
            }
        }
    }

    fn start(&mut self, asked: Asked, reply: Reply<PipelineView>) {
        let id = asked.id.clone();
        match self.next_step(&asked) {
            Err(refused) => answer(reply, Err(refused)),
            Ok(Step::Nothing) => {
                let view = self.view(&id).ok_or_else(|| change::not_found(&id.name));
                answer(reply, view);
            }
            Ok(Step::Write(record)) => {
                self.changes.busy.entry(id).or_default();
                self.changes.unwritten.push_back(Unwritten { record: *record, reply });
            }
            Ok(Step::Plan(place)) => {
                self.changes.busy.entry(id.clone()).or_default();
                self.plan(&asked, &place);
                self.changes.planning.insert(id, InPlanning { asked, place, reply });
            }
        }
    }

    fn next_step(&self, asked: &Asked) -> Result<Step, Refused> {
        let current = self.records.get(&asked.id).map(AsRef::as_ref);
        let step = change::begin(asked, current, self.tools.clock.unix_ms())?;
        if let (Step::Plan(_), Change::Submit { .. }) = (&step, &asked.change) {
            self.check_room(&asked.id)?;
        }
        Ok(step)
    }

    /// Those that are submitted just now count.
    fn check_room(&self, id: &PipelineId) -> Result<(), Refused> {
        let limits = &self.tools.options.limits;
        let own = |(other, _): &(&PipelineId, &Arc<PipelineRecord>)| other.tenant == id.tenant;
        let runs = |record: &PipelineRecord| matches!(record.wish, Wish::Run | Wish::Pause);
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

    fn plan(&self, asked: &Asked, place: &Place) {
        let Some((script, _)) = asked.change.script() else { return };
        let (script, kafka_name, id) = (script.clone(), place.kafka_name.clone(), asked.id.clone());
        let wanted = self.tools.options.tasks_per_stage.get();
        let (planning, events, term) = (self.tools.planning.clone(), self.tools.events.clone(), self.term);
        self.tools.tasks.spawn("plan", async move {
            let result = planning.run(move |planner| planner.place(&script, &kafka_name, wanted)).await;
            // An event loop that has ended needs no plan.
            drop(events.send(Event::Planned { term, id, result }).await);
        });
    }

    /// A script was planned.
    pub(super) fn planned(&mut self, id: &PipelineId, result: Result<Vec<DataflowShape>, Refused>) {
        let InPlanning { asked, place, reply } =
            self.changes.planning.remove(id).expect("a change that is planned is known until then");
        let is_update = matches!(asked.change, Change::Update { .. });
        let dataflows = match result {
            Ok(dataflows) => dataflows,
            Err(refused) => {
                answer(reply, Err(if is_update { name_the_choice(refused) } else { refused }));
                return self.go_on(id);
            }
        };
        let current = self.records.get(id).map(AsRef::as_ref);
        let record = change::planned(&asked, current, (place, dataflows), self.tools.clock.unix_ms());
        let record = record.expect("what was planned has a script");
        if let Change::Submit { dry_run: true, .. } = asked.change {
            answer(reply, Ok(PipelineView { record: Arc::new(record), status: None, scaling: None }));
            return self.go_on(id);
        }
        self.changes.unwritten.push_back(Unwritten { record, reply });
    }

    /// A change is durable: it becomes visible.
    pub(super) fn accept(&mut self, change: Unwritten) {
        let Unwritten { record, reply } = change;
        let id = record.id.clone();
        self.cluster.set_pipeline(&record);
        self.records.insert(id.clone(), Arc::new(record));
        let view = self.view(&id).expect("the pipeline was put there just now");
        answer(reply, Ok(view));
        self.go_on(&id);
    }

    /// A change could not be written.
    pub(super) fn refuse(&mut self, change: Unwritten, refused: Refused) {
        answer(change.reply, Err(refused));
        self.go_on(&change.record.id);
    }

    /// Begins those that have waited for the one that has ended.
    fn go_on(&mut self, id: &PipelineId) {
        let mut waiting = self.changes.busy.remove(id).unwrap_or_default();
        while let Some((asked, reply)) = waiting.pop_front() {
            // Whoever does not wait any more sends it again.
            if reply.is_closed() {
                continue;
            }
            self.start(asked, reply);
            if let Some(busy) = self.changes.busy.get_mut(id) {
                *busy = waiting;
                return;
            }
        }
    }
}

/// Tasks of all pipelines.
pub(super) fn n_tasks(records: &BTreeMap<PipelineId, Arc<PipelineRecord>>) -> usize {
    let stages = records.values().flat_map(|record| &record.dataflows).flat_map(|dataflow| &dataflow.stages);
    stages.map(|stage| usize::try_from(stage.n_tasks).unwrap_or(usize::MAX)).sum()
}

/// Whoever asked may have given up; that is nobody's fault.
pub(super) fn answer<T>(reply: Reply<T>, answer: Result<T, Refused>) {
    drop(reply.send(answer));
}

fn name_the_choice(mut refused: Refused) -> Refused {
    if refused.kind == Kind::Precondition && !refused.hint.contains("fresh") {
        let choice = "or begin anew with `fresh = true`, which leaves the old state behind";
        refused.hint = if refused.hint.is_empty() { choice.to_owned() } else { format!("{}; {choice}", refused.hint) };
    }
    refused
}
