//! What a stream cannot do, and what to write instead.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;

use super::super::sql_error;
use super::super::window::{has_markers, has_sub_query};
use crate::error::{Error, Result, Subject};

pub(super) fn updating() -> Error {
    Error::invalid("an aggregate without a window would update its rows for ever, which is not supported yet")
        .hint("add tumble(…), hop(…) or session(…) to GROUP BY")
        .about(Subject::GroupBy)
}

/// A source's rows can only be handled one by one: anything that brings rows together needs a window.
pub(super) fn check_row_wise(plan: &LogicalPlan) -> Result<()> {
    let mut problem = None;
    plan.apply_with_subqueries(|node| {
        problem = match node {
            node if has_sub_query(node).unwrap_or(true) => Some(
                Error::invalid("a sub-query over a stream needs a window")
                    .hint("aggregate both sides by a window, and correlate the sub-query on the window")
                    .about(Subject::SubQuery),
            ),
            LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => None,
            LogicalPlan::Union(_) | LogicalPlan::Unnest(_) | LogicalPlan::TableScan(_) => None,
            LogicalPlan::Aggregate(_) => Some(updating()),
            LogicalPlan::Distinct(_) => Some(
                Error::invalid("DISTINCT without a window would have to remember every row")
                    .hint("GROUP BY the columns and a window instead")
                    .about(Subject::Distinct),
            ),
            LogicalPlan::Join(_) => Some(
                Error::invalid("a join without windows is not supported")
                    .hint("aggregate both sides by a window and join on the window")
                    .about(Subject::Join),
            ),
            other => Some(
                Error::invalid(format!("{} over a stream needs a window", clause(other)))
                    .hint("GROUP BY a window first: tumble(…), hop(…) or session(…)")
                    .about(subject(other)),
            ),
        };
        Ok(if problem.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })
    .map_err(sql_error)?;
    problem.map_or(Ok(()), Err)
}

/// What a person calls a plan node.
pub(super) fn clause(plan: &LogicalPlan) -> &'static str {
    match plan {
        LogicalPlan::Sort(_) => "ORDER BY",
        LogicalPlan::Limit(_) => "LIMIT",
        LogicalPlan::Window(_) => "a window function (OVER)",
        LogicalPlan::Distinct(_) => "DISTINCT",
        LogicalPlan::Aggregate(_) => "GROUP BY",
        LogicalPlan::Join(_) => "JOIN",
        LogicalPlan::Values(_) => "VALUES",
        LogicalPlan::EmptyRelation(_) => "SELECT without FROM",
        LogicalPlan::RecursiveQuery(_) => "WITH RECURSIVE",
        LogicalPlan::Subquery(_) => "a sub-query",
        _ => "this clause",
    }
}

/// The clause of a plan node.
pub(super) fn subject(plan: &LogicalPlan) -> Option<Subject> {
    match plan {
        LogicalPlan::Sort(_) => Some(Subject::OrderBy),
        LogicalPlan::Limit(_) => Some(Subject::Limit),
        LogicalPlan::Window(_) => Some(Subject::Over),
        LogicalPlan::Distinct(_) => Some(Subject::Distinct),
        LogicalPlan::Aggregate(_) => Some(Subject::GroupBy),
        LogicalPlan::Join(_) => Some(Subject::Join),
        LogicalPlan::Subquery(_) => Some(Subject::SubQuery),
        _ => None,
    }
}

/// Window markers belong in GROUP BY; what is left of them after cutting is elsewhere.
pub(super) fn refuse_markers(plan: &LogicalPlan) -> Result<()> {
    if has_markers(plan)? {
        return Err(Error::invalid("tumble, hop and session stand only in GROUP BY")
            .hint("write GROUP BY tumble(INTERVAL '1 minute'), and select it AS window")
            .about(Subject::StrayWindow));
    }
    Ok(())
}
