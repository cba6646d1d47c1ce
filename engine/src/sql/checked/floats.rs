//! Floating-point numbers above windows, compared as they are in windows: zeros are one value, and so are NaNs, which are the greatest.
//!
//! DataFusion groups by value, but counts distinct values, partitions and orders OVER by their bits; and its `min` and `max` of many groups
//! begin at the greatest finite number (see `engine/src/operator/window/extreme.rs`). Its accumulators of one group do not.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, Aggregate, AggregateUDF, AggregateUDFImpl, Expr, ExprSchemable, LogicalPlan, Signature, Window,
};

use super::super::window::window_of;
use super::check_argument;
use crate::operator::checked::Argument;
use crate::operator::float::canonical;

/// The plan in which equal numbers are equal above windows too.
pub(in crate::sql) fn floats(plan: LogicalPlan) -> Result<LogicalPlan> {
    let replaced = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) if matches!(window_of(&aggregate), Ok(None)) => in_aggregate(aggregate),
        LogicalPlan::Window(window) => in_window(window),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(replaced.data)
}

fn in_aggregate(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let below = aggregate.input.schema();
    let calls = replace_all(&aggregate.aggr_expr, |expression| match expression {
        Expr::AggregateFunction(call) => in_call(call, below),
        other => Ok(Transformed::no(other)),
    })?;
    if !calls.transformed {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let Aggregate { input, group_expr, schema, .. } = aggregate;
    let replaced = Aggregate::try_new_with_schema(input, group_expr, calls.data, schema)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(replaced)))
}

fn in_call(mut call: AggregateFunction, below: &DFSchema) -> Result<Transformed<Expr>> {
    let mut is_changed = false;
    if call.params.distinct || call.func.name() == "approx_distinct" {
        is_changed |= wrap_all(call.params.args.iter_mut(), below)?;
    } else if ["min", "max"].contains(&call.func.name())
        && let [argument] = call.params.args.as_slice()
        && Argument::Canonical.may_not_fit(&argument.get_type(below)?)
    {
        call.func = Arc::new(AggregateUDF::from(Extreme { inner: Arc::clone(&call.func) }));
        is_changed = true;
    }
    Ok(Transformed::new_transformed(Expr::AggregateFunction(call), is_changed))
}

fn in_window(window: Window) -> Result<Transformed<LogicalPlan>> {
    let below = Arc::clone(window.input.schema());
    let calls = replace_all(&window.window_expr, |expression| {
        let Expr::WindowFunction(mut call) = expression else { return Ok(Transformed::no(expression)) };
        let params = &mut call.params;
        let mut is_changed = wrap_all(params.partition_by.iter_mut(), &below)?;
        is_changed |= wrap_all(params.order_by.iter_mut().map(|order| &mut order.expr), &below)?;
        if params.distinct {
            is_changed |= wrap_all(params.args.iter_mut(), &below)?;
        }
        Ok(Transformed::new_transformed(Expr::WindowFunction(call), is_changed))
    })?;
    if !calls.transformed {
        return Ok(Transformed::no(LogicalPlan::Window(window)));
    }
    Ok(Transformed::yes(LogicalPlan::Window(Window::try_new(calls.data, window.input)?)))
}

fn replace_all(
    expressions: &[Expr],
    replace: impl Fn(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<Vec<Expr>>> {
    let mut is_changed = false;
    let mut replaced = Vec::with_capacity(expressions.len());
    for expression in expressions {
        let one = expression.clone().transform_up(&replace)?;
        is_changed |= one.transformed;
        replaced.push(one.data);
    }
    Ok(Transformed::new_transformed(replaced, is_changed))
}

/// Makes those canonical that are floating-point numbers; says whether there were any.
fn wrap_all<'a>(expressions: impl Iterator<Item = &'a mut Expr>, below: &DFSchema) -> Result<bool> {
    let mut is_changed = false;
    for expression in expressions {
        is_changed |= check_argument(Argument::Canonical, expression, below)?;
    }
    Ok(is_changed)
}

/// `min` or `max`, group by group.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OfCanonical(self.inner.accumulator(arguments)?)))
    }
}

/// Gives the numbers on with one NaN and one zero.
#[derive(Debug)]
struct OfCanonical(Box<dyn Accumulator>);

impl Accumulator for OfCanonical {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(&values.iter().map(canonical).collect::<Vec<_>>())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.evaluate()
    }

    fn size(&self) -> usize {
        self.0.size() + size_of::<Self>()
    }
}
