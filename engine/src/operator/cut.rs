//! Cuts a plan above windows into what works row by row and the rest.
//!
//! A window that does not fit into memory is run part by part through the first: what its filters leave is usually small, and only that is
//! sorted, limited or aggregated at once.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;

use super::bounded::PlaceholderExec;
use crate::error::Result;

/// A plan in two.
pub(super) struct Cut<P> {
    pub(super) lower: Vec<Lower<P>>,
    pub(super) upper: P,
}

/// Filters and projections over one placeholder.
pub(super) struct Lower<P> {
    /// The placeholder that it reads.
    pub(super) reads: Arc<str>,
    /// The placeholder of the upper plan that it fills.
    pub(super) name: Arc<str>,
    pub(super) plan: P,
}

type Plan = Arc<dyn ExecutionPlan>;

pub(super) fn cut(plan: &Plan) -> Result<Cut<Plan>> {
    let mut lower = Vec::new();
    let upper = replace(plan, &mut lower)?;
    Ok(Cut { lower, upper })
}

/// The plan with placeholders instead of what works row by row.
fn replace(plan: &Plan, lower: &mut Vec<Lower<Plan>>) -> Result<Plan, DataFusionError> {
    if let Some(reads) = reads_row_by_row(plan)
        && has_unique_names(plan)
    {
        let name: Arc<str> = format!("{reads}#{}", lower.len()).into();
        let leaf = PlaceholderExec::new(Arc::clone(&name), plan.schema());
        lower.push(Lower { reads, name, plan: Arc::clone(plan) });
        return Ok(Arc::new(leaf));
    }
    let children: Vec<Plan> =
        plan.children().into_iter().map(|child| replace(child, lower)).collect::<Result<_, _>>()?;
    if children.is_empty() {
        return Ok(Arc::clone(plan));
    }
    Arc::clone(plan).replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}

/// The placeholder under filters and projections.
fn reads_row_by_row(plan: &Plan) -> Option<Arc<str>> {
    let any = plan.as_ref() as &dyn Any;
    if let Some(placeholder) = any.downcast_ref::<PlaceholderExec>() {
        return Some(Arc::clone(&placeholder.name));
    }
    let is_limited = any.downcast_ref::<FilterExec>().is_some_and(|filter| filter.fetch().is_some());
    if (any.is::<FilterExec>() && !is_limited) || any.is::<ProjectionExec>() {
        return reads_row_by_row(plan.children().first()?);
    }
    None
}

/// A placeholder finds its columns by name.
fn has_unique_names(plan: &Plan) -> bool {
    let schema = plan.schema();
    let names: BTreeSet<&String> = schema.fields().iter().map(|field| field.name()).collect();
    names.len() == schema.fields().len()
}
