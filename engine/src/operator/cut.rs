//! Cuts a plan above windows into what works row by row and the rest.
//!
//! A window that does not fit into memory is run part by part through the first: what its filters leave is usually small, and only that is
//! sorted, limited or aggregated at once.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
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
    if (any.is::<FilterExec>() && !is_limited) || any.is::<ProjectionExec>() || any.is::<CooperativeExec>() {
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

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;
    use crate::operator::bounded::{BoundedPlan, PlaceholderTable, block_on};

    /// The operators of a plan from its top to its leaf, without those that change no row.
    fn operators(plan: &dyn std::fmt::Display) -> Vec<String> {
        let all = plan.to_string();
        let names = all.lines().map(|line| line.split(':').next().unwrap_or_default().trim().to_owned());
        names.filter(|name| name != "CooperativeExec").collect()
    }

    #[test]
    fn filters_and_projections_are_below_the_cut() {
        // A query, and the operators above and below.
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("SELECT k + 1 AS k FROM w WHERE 3 < v ORDER BY k", &["SortExec"], &["ProjectionExec", "FilterExec"]),
            ("SELECT k, v FROM w ORDER BY v", &["SortExec"], &[]),
            ("SELECT k FROM w WHERE v = 1 LIMIT 3", &["FilterExec"], &[]),
            ("SELECT sum(v) FROM w WHERE k < 9", &["AggregateExec"], &["FilterExec"]),
            ("SELECT k FROM w WHERE v = 1", &[], &["FilterExec"]),
        ];
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
        let fields = ["k", "v"].map(|name| Field::new(name, DataType::Int64, false));
        let table = PlaceholderTable { name: "w".into(), schema: Arc::new(Schema::new(fields.to_vec())) };
        context.register_table("w", Arc::new(table)).expect("a table");
        for (query, upper, lower) in cases {
            let logical = block_on(context.sql(query)).expect("a query").into_optimized_plan().expect("a plan");
            let plan = BoundedPlan::new(&context.state(), &logical).expect("a physical plan");
            let whole = plan.to_string();
            let cut = plan.cut().expect("a plan in two");
            let with_leaf = |names: &[&'static str]| [names, &["PlaceholderScan"]].concat();
            assert_eq!(operators(&cut.upper), with_leaf(upper), "{whole}");
            assert_eq!(cut.lower.len(), 1);
            assert_eq!(operators(&cut.lower[0].plan), with_leaf(lower), "{whole}");
        }
    }
}
