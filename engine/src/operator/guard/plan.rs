//! Guarded forms of a physical plan.

use std::any::Any;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode, PhysicalGroupBy};
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};

use super::drop::DoesNotFail;
use super::{Failures, guarded};

/// The plan with null where a part of an expression fails. Arguments of window functions, and conditions of joins, are left as they are.
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
    if let Some(aggregate) = any.downcast_ref::<AggregateExec>().filter(|_| is_over_rows(node.as_ref())) {
        return Ok(Transformed::yes(Arc::new(nulling_aggregate(aggregate, failures)?)));
    }
    Ok(Transformed::no(node))
}

fn nulling_aggregate(aggregate: &AggregateExec, failures: &Failures) -> Result<AggregateExec> {
    let guard = |expression: &Arc<dyn PhysicalExpr>| guarded(expression, failures);
    let call = |call: &Arc<AggregateFunctionExpr>| -> Result<Arc<AggregateFunctionExpr>> {
        let arguments = call.expressions().iter().map(guard).collect::<Result<_>>()?;
        let orders = call.order_bys().iter().map(|order| guard(&order.expr)).collect::<Result<_>>()?;
        Ok(call.with_new_expressions(arguments, orders).map_or_else(|| Arc::clone(call), Arc::new))
    };
    let calls = aggregate.aggr_expr().iter().map(call).collect::<Result<_>>()?;
    let filters = aggregate.filter_expr().iter().map(|filter| filter.as_ref().map(guard).transpose());
    let keys = aggregate.group_expr();
    let key = |(key, name): &(Arc<dyn PhysicalExpr>, String)| Ok((guard(key)?, name.clone()));
    let guarded_keys = keys.expr().iter().map(key).collect::<Result<_>>()?;
    let (nulls, groups) = (keys.null_expr().to_vec(), keys.groups().to_vec());
    let keys = PhysicalGroupBy::new(guarded_keys, nulls, groups, keys.has_grouping_set());
    let (filters, input) = (filters.collect::<Result<_>>()?, Arc::clone(aggregate.input()));
    let guarded = AggregateExec::try_new(*aggregate.mode(), keys, calls, filters, input, aggregate.input_schema())?;
    Ok(guarded.with_limit_options(aggregate.limit_options()))
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
