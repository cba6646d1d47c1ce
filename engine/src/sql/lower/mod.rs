//! A logical plan to stages: cut at every windowed aggregate.
//!
//! Below a window is a row-wise query over a source (or the rows of windows closed before); above it one over closed windows.
//! [`cut`] replaces each windowed aggregate by a placeholder scan, [`event_time`] carries the event time, as a hidden column, through
//! everything below it, and [`refuse`] rejects what a stream cannot do. Both halves are then optimised and planned by DataFusion as
//! ordinary bounded queries.
//!
//! The query above the windows decides by which keys partials are spread, and which aggregates are computed at all: those that it reads.
//! So it is optimised before the query below is cut. What is below ends in a [`stages::Target`] that names its aggregate, and becomes a
//! stage when all aggregates are known.

pub(super) mod cut;
mod event_time;
mod refuse;
mod sources;
mod stages;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::logical_expr::{Aggregate, LogicalPlan};

use super::catalog::{Catalog, list};
use super::checked;
use super::early;
use super::max_keys;
use super::spread::{PlaceholderKeys, spread};
use super::sql_error;
use super::window::{Follow, PlaceholderWindow, window_of};
use crate::error::{Error, Result, Subject};
use crate::operator::bounded::BoundedPlan;
use crate::plan::{ExchangeInput, KeyLimit, Stage, TableDef};
use cut::{Below, DraftAggregate, GroupWindow, Grouped, aggregate_calls, below_plan, placeholder_scan, raw_table};
use refuse::{check_row_wise, refuse_markers};
use sources::{partition_keys, source_tables, without_others};
use stages::{AboveWindows, Queries, SourceBranch, Target};

/// Cuts the plan of one INSERT whose rows go to `sink`.
pub(super) fn lower(catalog: &Catalog, dataflow: usize, plan: LogicalPlan, sink: &Arc<str>) -> Result<Vec<Stage>> {
    let plan = checked::sums(plan).and_then(checked::floats).map_err(sql_error)?;
    let mut lowering = Lowering { catalog, dataflow, queries: Queries::default(), n_windows: 0 };
    lowering.add_query(plan, &Target::Sink(Arc::clone(sink)))?;
    lowering.queries.finish(catalog, sink)
}

/// A windowed aggregate that a query reads, whose own query is not yet lowered.
struct Window {
    draft: DraftAggregate,
    grouped: Grouped,
    /// How many windowed aggregates have a number before those below this one.
    n_windows: usize,
}

struct Lowering<'a> {
    catalog: &'a Catalog,
    dataflow: usize,
    queries: Queries,
    n_windows: usize,
}

impl Lowering<'_> {
    /// Makes the stage (or stages) whose rows are those of `plan` and go to `target`.
    fn add_query(&mut self, plan: LogicalPlan, target: &Target) -> Result<()> {
        let mut windows = Vec::new();
        let plan = self.cut(plan, &mut windows)?;
        let sources = source_tables(&plan)?;
        match (windows.is_empty(), sources.is_empty()) {
            (true, true) => Err(Error::invalid("the query reads no table").hint("add FROM with a source table")),
            (true, false) => self.add_source_query(&plan, sources, target),
            (false, true) => self.add_window_query(&plan, windows, target.clone()),
            (false, false) => Err(Error::invalid(format!(
                "a query cannot bring rows of windows together with single rows of {}",
                list(sources.iter().map(|def| &*def.name))
            ))
            .hint("aggregate those by a window too, and join on the window")
            .about(Subject::Table(sources[0].name.to_string()))),
        }
    }

    /// Replaces windowed aggregates by placeholder scans, and tables by their decoded rows.
    fn cut(&mut self, plan: LogicalPlan, windows: &mut Vec<Window>) -> Result<LogicalPlan> {
        let mut problem = None;
        let cut = plan.transform_down_with_subqueries(|node| {
            let replaced = match &node {
                LogicalPlan::Aggregate(aggregate) => match window_of(aggregate) {
                    Ok(Some((index, spec))) => {
                        Some(self.cut_aggregate(aggregate, GroupWindow { index, spec }, windows))
                    }
                    Ok(None) => None,
                    Err(error) => Some(Err(error)),
                },
                LogicalPlan::TableScan(scan) => raw_table(scan).map(|def| placeholder_scan(&def, scan, &[])),
                _ => None,
            };
            match replaced {
                None => Ok(Transformed::no(node)),
                Some(Ok(plan)) => Ok(Transformed::new(plan, true, TreeNodeRecursion::Jump)),
                Some(Err(error)) => {
                    problem = Some(error);
                    Ok(Transformed::new(node, false, TreeNodeRecursion::Stop))
                }
            }
        });
        match problem {
            Some(error) => Err(error),
            None => Ok(cut.map_err(sql_error)?.data),
        }
    }

    /// Makes the leaf that replaces a windowed aggregate.
    fn cut_aggregate(
        &mut self,
        aggregate: &Aggregate,
        window: GroupWindow,
        windows: &mut Vec<Window>,
    ) -> Result<LogicalPlan> {
        self.n_windows += 1;
        let n_windows = self.n_windows;
        let name: Arc<str> = format!("w{}_{n_windows}", self.dataflow).into();
        self.n_windows += n_windowed_aggregates(&aggregate.input)?;
        let grouped = Grouped::new(aggregate, window);
        let (draft, _) = self.draft(name, &grouped)?;
        let leaf = draft.leaf(aggregate)?;
        windows.push(Window { draft, grouped, n_windows });
        Ok(leaf)
    }

    /// A windowed aggregate, and the query below it.
    fn draft(&self, name: Arc<str>, grouped: &Grouped) -> Result<(DraftAggregate, Below)> {
        let below = below_plan(&grouped.aggregate, grouped.window.index)?;
        let calls = aggregate_calls(&below.aggregates, below.plan.schema(), self.catalog)?;
        Ok((DraftAggregate::new(name, grouped, calls, &below)?, below))
    }

    /// Makes the stages below a window, with the aggregates that the query above reads.
    fn add_below(&mut self, window: Window, used: &[String]) -> Result<DraftAggregate> {
        let Window { draft, grouped, n_windows } = window;
        let (draft, below) = self.draft(draft.name, &grouped.with_used(used)?)?;
        let target = Target::Aggregate { name: Arc::clone(&draft.name), n_keys: draft.layout.keys.len() };
        let n_after = std::mem::replace(&mut self.n_windows, n_windows);
        self.add_query(below.plan, &target)?;
        self.n_windows = n_after;
        Ok(draft)
    }

    fn add_window_query(&mut self, plan: &LogicalPlan, windows: Vec<Window>, target: Target) -> Result<()> {
        refuse_markers(plan)?;
        let placeholders: HashMap<String, PlaceholderWindow> = windows
            .iter()
            .map(|Window { draft, .. }| {
                (draft.name.to_string(), PlaceholderWindow { index: draft.window_index, spec: draft.spec })
            })
            .collect();
        let optimized = self.optimize(plan)?;
        let window_by_window = Follow { placeholders: &placeholders }.check_above(&optimized)?;
        let mut specs: Vec<_> = placeholders.values().map(|placeholder| placeholder.spec).collect();
        specs.dedup();
        if window_by_window && 1 < specs.len() {
            return Err(Error::invalid("ORDER BY and LIMIT over windows of different shapes are not supported")
                .hint("use ROW_NUMBER() OVER (PARTITION BY window …)")
                .about(Subject::OrderBy));
        }
        let keys: HashMap<String, PlaceholderKeys> =
            windows.iter().map(|Window { draft, .. }| (draft.name.to_string(), draft.placeholder_keys())).collect();
        let mut spread = spread(&optimized, &keys)?;
        max_keys::check_above(&optimized, windows.iter().flat_map(|Window { draft, .. }| draft.layout.keys.iter()))?;
        let limits: Vec<KeyLimit> = windows.iter().filter_map(|Window { draft, .. }| draft.key_limit.clone()).collect();
        let early = match &target {
            Target::Sink(sink) => early::of_sink(self.catalog, sink, &optimized, &limits)?.map(Arc::new),
            Target::Aggregate { .. } => None,
        };
        let plan = max_keys::plan_above(self.catalog, &optimized, &limits)?;
        let mut inputs = Vec::new();
        for window in windows {
            let placeholder = Arc::clone(&window.draft.name);
            let plans = std::iter::once(&plan).chain(early.as_ref().map(|early| &early.plan));
            let used: Vec<String> =
                plans.filter_map(|plan| plan.placeholders.get(&placeholder)).flatten().cloned().collect();
            let draft = self.add_below(window, &used)?;
            let aggregate = Arc::new(draft.spread(spread.remove(&*placeholder).unwrap_or_default()));
            self.queries.aggregates.insert(Arc::clone(&placeholder), Arc::clone(&aggregate));
            inputs.push(ExchangeInput { placeholder, aggregate });
        }
        self.queries.above.push(AboveWindows { inputs, plan, window_by_window, early, target });
        Ok(())
    }

    fn optimize(&self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        checked::arithmetic(plan).and_then(|plan| self.catalog.state.optimize(&plan)).map_err(sql_error)
    }

    fn add_source_query(&mut self, plan: &LogicalPlan, tables: Vec<Arc<TableDef>>, target: &Target) -> Result<()> {
        refuse_markers(plan)?;
        check_row_wise(plan)?;
        let is_alone = tables.len() == 1;
        for def in tables {
            let alone = without_others(plan.clone(), &def.name)?;
            let optimized = self.optimize(&alone)?;
            let partitioned = match target {
                // With a second table below the same aggregate its keys may lie anywhere.
                Target::Aggregate { n_keys, .. } if is_alone => partition_keys(&optimized, &def, *n_keys),
                _ => Vec::new(),
            };
            let plan = BoundedPlan::new(&self.catalog.state, &optimized).map_err(sql_error)?;
            let branch = SourceBranch { plan, target: target.clone(), partitioned };
            self.queries.add_to_source(def, branch);
        }
        Ok(())
    }
}

/// How many windowed aggregates a plan has.
fn n_windowed_aggregates(plan: &LogicalPlan) -> Result<usize> {
    let mut n = 0;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Aggregate(aggregate) = node {
            n += usize::from(matches!(window_of(aggregate), Ok(Some(_))));
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(sql_error)?;
    Ok(n)
}
