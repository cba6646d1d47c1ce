//! Arithmetic and sums in forms that fail where a result does not fit: DataFusion's wrap.
//!
//! [`arithmetic`] is applied just before a plan is optimised: after what describes it (fingerprints, windows), which knows operators
//! only, and before constants are folded. [`sums`] is applied before a plan is cut.

mod floats;
mod sums;

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

use crate::operator::checked::{Argument, Operation};
pub(super) use floats::floats;
pub(super) use sums::sums;

/// The plan with checked functions in place of operators that may wrap.
pub(super) fn arithmetic(plan: &LogicalPlan) -> Result<LogicalPlan> {
    let checked = plan.clone().transform_up_with_subqueries(|node| {
        let inputs = node.inputs();
        let schema = if inputs.is_empty() { node.schema().as_ref().clone() } else { merge_schema(&inputs) };
        let names = NamePreserver::new(&node);
        let mapped = node.map_expressions(|expression| {
            let name = names.save(&expression);
            Ok(expression_of(expression, &schema)?.update_data(|expression| name.restore(expression)))
        })?;
        mapped.transform_data(|node| node.recompute_schema().map(Transformed::yes))
    })?;
    Ok(checked.data)
}

/// An expression with checked functions in place of operators that may wrap.
pub(super) fn expression(expression: &Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(expression_of(expression.clone(), schema)?.data)
}

fn expression_of(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    // From the outermost in, so that types and names are those of operators: of functions they are found more slowly.
    expression.transform_down(|node| match node {
        Expr::ScalarFunction(call) => checked_call(call, schema),
        node => checked_operation(node, schema),
    })
}

fn checked_operation(node: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Some(operation) = Operation::of(&node) else { return Ok(Transformed::no(node)) };
    if !operation.may_not_fit(&node.get_type(schema)?) {
        return Ok(Transformed::no(node));
    }
    let function = operation.function(node.schema_name().to_string());
    let operands = match node {
        Expr::BinaryExpr(binary) => vec![*binary.left, *binary.right],
        Expr::Negative(operand) => vec![*operand],
        other => return Ok(Transformed::no(other)),
    };
    Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(function.into(), operands))))
}

fn checked_call(mut call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Some((index, check)) = Argument::of(call.name()) else {
        return Ok(Transformed::no(Expr::ScalarFunction(call)));
    };
    let Some(argument) = call.args.get_mut(index) else { return Ok(Transformed::no(Expr::ScalarFunction(call))) };
    let is_changed = check_argument(check, argument, schema)?;
    Ok(Transformed::new_transformed(Expr::ScalarFunction(call), is_changed))
}

/// Puts the function around an argument that makes it what it has to be; says whether its type needs that.
fn check_argument(check: Argument, argument: &mut Expr, schema: &DFSchema) -> Result<bool> {
    let is_needed = check.may_not_fit(&argument.get_type(schema)?);
    if is_needed {
        let function = check.function(argument.schema_name().to_string());
        let given = std::mem::take(argument);
        *argument = Expr::ScalarFunction(ScalarFunction::new_udf(function.into(), vec![given]));
    }
    Ok(is_needed)
}
