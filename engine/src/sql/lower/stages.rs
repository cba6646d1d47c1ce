//! Cut queries to stages, when all windowed aggregates are known.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::catalog::Catalog;
use super::super::row_policy;
use super::super::source::source_plan;
use crate::error::{Error, Result};
use crate::operator::bounded::BoundedPlan;
use crate::operator::partial::WindowedAggregate;
use crate::plan::{Branch, EarlyResults, ExchangeInput, LocalWindows, Output, Stage, StageInput, TableDef};

/// Where the rows of a query go, while not all aggregates are known.
#[derive(Clone)]
pub(super) enum Target {
    Sink(Arc<str>),
    /// To the windowed aggregate of this name, which groups by the first `n_keys` columns.
    Aggregate {
        name: Arc<str>,
        n_keys: usize,
    },
}

/// Queries over a source table that are still to become one stage.
struct Source {
    def: Arc<TableDef>,
    branches: Vec<SourceBranch>,
}

pub(super) struct SourceBranch {
    pub(super) plan: BoundedPlan,
    pub(super) target: Target,
    /// Which of the target's keys are columns that the source's topic is partitioned by; empty where it is not, or where not all of
    /// them are keys.
    pub(super) partitioned: Vec<usize>,
}

/// A query over closed windows, still to become a stage.
pub(super) struct AboveWindows {
    pub(super) inputs: Vec<ExchangeInput>,
    pub(super) plan: BoundedPlan,
    pub(super) window_by_window: bool,
    pub(super) early: Option<Arc<EarlyResults>>,
    pub(super) target: Target,
}

/// The queries that a dataflow was cut into.
#[derive(Default)]
pub(super) struct Queries {
    sources: Vec<Source>,
    /// Inner before outer.
    pub(super) above: Vec<AboveWindows>,
    /// By name; each is known when the query above it is.
    pub(super) aggregates: BTreeMap<Arc<str>, Arc<WindowedAggregate>>,
}

impl Queries {
    pub(super) fn add_to_source(&mut self, def: Arc<TableDef>, branch: SourceBranch) {
        match self.sources.iter_mut().find(|source| source.def.name == def.name) {
            Some(source) => source.branches.push(branch),
            None => self.sources.push(Source { def, branches: vec![branch] }),
        }
    }

    /// Source stages first, then the stages over windows in the order they were made: inner before outer.
    pub(super) fn finish(mut self, catalog: &Catalog, sink: &str) -> Result<Vec<Stage>> {
        let mut stages = Vec::new();
        let reaches = self.aggregates.values().map(|aggregate| aggregate.spec.reach());
        let reach_ns = reaches.fold(0, i64::saturating_add);
        for Source { def, branches } in std::mem::take(&mut self.sources) {
            let is_only = branches.len() == 1;
            let mut finish = |SourceBranch { plan, target, partitioned }: SourceBranch| {
                let on_error = match &target {
                    Target::Sink(sink) => row_policy::of_row(catalog, &def, sink),
                    Target::Aggregate { .. } => row_policy::of_source(&def),
                };
                let local = if is_only { self.take_local(catalog, &target, &partitioned) } else { None };
                let output = local.map_or_else(|| self.output(target), |local| Ok(Output::Local(Arc::new(local))))?;
                Ok(Branch { plan, window_by_window: false, on_error, early: None, output })
            };
            let branches = branches.into_iter().map(&mut finish).collect::<Result<Vec<_>>>()?;
            let plan = source_plan(catalog, def, &branches, reach_ns)?;
            stages.push(Stage { input: StageInput::Table(Arc::new(plan)), branches });
        }
        for AboveWindows { inputs, plan, window_by_window, early, target } in std::mem::take(&mut self.above) {
            let on_error = row_policy::of_sink(catalog, sink);
            let branches = vec![Branch { plan, window_by_window, on_error, early, output: self.output(target)? }];
            stages.push(Stage { input: StageInput::Exchanges(inputs), branches });
        }
        Ok(stages)
    }

    fn output(&self, target: Target) -> Result<Output> {
        match target {
            Target::Sink(name) => Ok(Output::Sink(name)),
            Target::Aggregate { name, .. } => match self.aggregates.get(&name) {
                Some(aggregate) => Ok(Output::Exchange(Arc::clone(aggregate))),
                None => Err(Error::internal(format!("no query reads the windows of `{name}`"))),
            },
        }
    }

    /// Takes the query above the windows of a source's only branch, to run in the same task: where the source's partitions hold
    /// their keys alone, and the query brings together nothing else.
    fn take_local(&mut self, catalog: &Catalog, target: &Target, partitioned: &[usize]) -> Option<LocalWindows> {
        let Target::Aggregate { name, .. } = target else { return None };
        let aggregate = self.aggregates.get(name)?;
        if partitioned.is_empty() || !partitioned.iter().all(|key| aggregate.spread.contains(key)) {
            return None;
        }
        let is_above = |query: &AboveWindows| {
            let reads_nothing_else = matches!(query.inputs.as_slice(), [input] if input.placeholder == *name);
            reads_nothing_else && matches!(query.target, Target::Sink(_))
        };
        let index = self.above.iter().position(is_above)?;
        let AboveWindows { mut inputs, plan, window_by_window, early, target } = self.above.remove(index);
        let (Some(ExchangeInput { placeholder, aggregate }), Target::Sink(sink)) = (inputs.pop(), target) else {
            return None;
        };
        let on_error = row_policy::of_sink(catalog, &sink);
        Some(LocalWindows { aggregate, placeholder, plan, window_by_window, on_error, early, sink })
    }
}
