//! Where in the SQL a failing expression is written.

use std::sync::Arc;

use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column, Literal, NegativeExpr, TryCastExpr};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::expression::shown;
use crate::error::Location;

/// The shape of every literal: constants are folded and cast while planning.
pub(crate) const LITERAL: &str = "?";

/// An expression of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlExpression {
    /// Without types, literals and qualifiers, so that it can be compared with a plan's.
    pub(crate) shape: String,
    /// The same with columns of inner queries replaced by what they stand for.
    pub(crate) inlined: String,
    pub(crate) is_cast: bool,
    pub(crate) text: String,
    pub(crate) location: Location,
}

/// What a failing expression is called in messages, and its place in the script where that is known.
pub(crate) fn find(expressions: &[SqlExpression], failing: &Arc<dyn PhysicalExpr>) -> (String, Option<Location>) {
    let shape = shape(failing);
    let is_cast = failing.is::<CastExpr>();
    let plain = expressions.iter().filter(|expression| expression.shape == shape);
    let same: Vec<&SqlExpression> = plain.chain(expressions.iter().filter(|other| other.inlined == shape)).collect();
    let found = same.iter().find(|expression| expression.is_cast == is_cast).or_else(|| same.first());
    match found {
        // A cast that the script does not have: a column becomes what the table holds.
        Some(found) if is_cast && !found.is_cast => (shown(failing.as_ref()), Some(found.location)),
        Some(found) => (found.text.clone(), Some(found.location)),
        None => (shown(failing.as_ref()), None),
    }
}

fn shape(expression: &Arc<dyn PhysicalExpr>) -> String {
    if let Some(column) = expression.downcast_ref::<Column>() {
        return column.name().to_owned();
    }
    if expression.is::<Literal>() {
        return LITERAL.to_owned();
    }
    if let Some(cast) = expression.downcast_ref::<CastExpr>() {
        return shape(cast.expr());
    }
    if let Some(cast) = expression.downcast_ref::<TryCastExpr>() {
        return shape(cast.expr());
    }
    if let Some(negative) = expression.downcast_ref::<NegativeExpr>() {
        return format!("-{}", shape(negative.arg()));
    }
    if let Some(operation) = expression.downcast_ref::<BinaryExpr>() {
        return binary(&shape(operation.left()), &operation.op().to_string(), &shape(operation.right()));
    }
    if let Some(function) = expression.downcast_ref::<ScalarFunctionExpr>() {
        return call(function.name(), &function.args().iter().map(shape).collect::<Vec<_>>());
    }
    shown(expression.as_ref())
}

pub(crate) fn binary(left: &str, operator: &str, right: &str) -> String {
    if left == LITERAL && right == LITERAL { LITERAL.to_owned() } else { format!("({left} {operator} {right})") }
}

pub(crate) fn call(name: &str, arguments: &[String]) -> String {
    format!("{name}({})", arguments.join(", "))
}
