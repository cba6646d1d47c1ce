//! Guarded forms of a physical plan.

use std::any::Any;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode};
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};

use super::drop::DoesNotFail;
use super::{Failures, guarded};

/// The plan with null where a part of a selected or filtered expression fails. Arguments of aggregates and window functions, and
/// conditions of joins, are left as they are.
pub(crate) fn nulling(plan: &Arc<dyn ExecutionPlan>, failures: &Failures) -> Result<Arc<dyn ExecutionPlan>> {
    Arc::clone(plan).transform_up(|node| nulling_node(node, failures)).data()
}

fn nulling_node(node: Arc<dyn ExecutionPlan>, failures: &Failures) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let any = node.as_ref() as &dyn Any;
    if let Some(projection) = any.downcast_ref::<ProjectionExec>() {
        let expression = |projected: &ProjectionExpr| -> Result<ProjectionExpr> {
            Ok(ProjectionExpr { expr: guarded(&projected.expr, failures)?, alias: projected.alias.clone() })
        };
        let expressions = projection.expr().iter().map(expression).collect::<Result<Vec<_>>>()?;
        let guarded = ProjectionExec::try_new(expressions, Arc::clone(projection.input()))?;
        return Ok(Transformed::yes(Arc::new(guarded)));
    }
    if let Some(filter) = any.downcast_ref::<FilterExec>() {
        let predicate = guarded(filter.predicate(), failures)?;
        let columns = filter.projection().as_ref().map(|columns| columns.to_vec());
        let guarded = FilterExecBuilder::new(predicate, Arc::clone(filter.input())).apply_projection(columns)?;
        return Ok(Transformed::yes(Arc::new(guarded.build()?)));
    }
    Ok(Transformed::no(node))
}

/// The plan with every row left out of an operator whose expressions fail on it. Conditions of joins are left as they are.
pub(crate) fn dropping(plan: &Arc<dyn ExecutionPlan>, failures: &Failures) -> Result<Arc<dyn ExecutionPlan>> {
    Arc::clone(plan).transform_up(|node| dropping_node(node, failures)).data()
}

fn dropping_node(node: Arc<dyn ExecutionPlan>, failures: &Failures) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let mut expressions: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
    if is_over_rows(node.as_ref()) {
        node.apply_expressions(&mut |expression| {
            if !expression.is::<Column>() && !expression.is::<Literal>() {
                expressions.push(Arc::clone(expression));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    let [input] = node.children()[..] else { return Ok(Transformed::no(node)) };
    if expressions.is_empty() {
        return Ok(Transformed::no(node));
    }
    let predicate = DoesNotFail { expressions: expressions.into(), failures: failures.clone() };
    let kept = FilterExecBuilder::new(Arc::new(predicate), Arc::clone(input)).build()?;
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    Ok(Transformed::yes(node.replace_children(vec![Arc::new(kept)], options)?))
}

/// Whether an operator's expressions are over the rows of its input. Those of an aggregate that merges states are not.
fn is_over_rows(node: &dyn ExecutionPlan) -> bool {
    let any = node as &dyn Any;
    if let Some(aggregate) = any.downcast_ref::<AggregateExec>() {
        return aggregate.mode().input_mode() == AggregateInputMode::Raw;
    }
    any.is::<ProjectionExec>()
        || any.is::<FilterExec>()
        || any.is::<SortExec>()
        || any.is::<WindowAggExec>()
        || any.is::<BoundedWindowAggExec>()
}
