//! Sums in a wider type, cast back to their own: a sum that does not fit fails in that cast, like any other expression.
//!
//! BIGINT and durations are summed as DECIMAL(38, 0), and DECIMAL of more than 28 digits in 256 bits, so no number of rows overflows
//! them. Where the sum is of a window and each value counts, [`crate::operator::window`] does the same faster.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, LogicalPlan, Projection, Window, WindowFunctionDefinition, cast,
};

use super::super::window::window_of;

/// Digits of a type that holds every BIGINT and that a sum may outgrow by ten.
const BIGINT_DIGITS: u8 = DECIMAL128_MAX_PRECISION - 10;

/// The plan with sums that do not wrap.
pub(in crate::sql) fn sums(plan: LogicalPlan) -> Result<LogicalPlan> {
    let summed = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) => in_aggregate(aggregate),
        LogicalPlan::Window(window) => in_window(window),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(summed.data)
}

fn in_aggregate(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    // A window that is refused is refused where it is cut.
    let is_windowed = !matches!(window_of(&aggregate), Ok(None));
    let below = Arc::clone(aggregate.input.schema());
    let mut wide = Vec::new();
    for expression in &aggregate.aggr_expr {
        let (call, name) = unaliased(expression);
        let Expr::AggregateFunction(call) = call else { return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate))) };
        wide.push(match wide_call(call, &below)? {
            Some(wide) if !(is_windowed && has_wide_state(call, &below)?) => {
                Some(Expr::AggregateFunction(wide).alias(name))
            }
            _ => None,
        });
    }
    if wide.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let calls = aggregate.aggr_expr.iter().zip(&wide);
    let calls = calls.map(|(plain, wide)| wide.clone().unwrap_or_else(|| plain.clone())).collect();
    let narrow = aggregate.schema;
    let input = LogicalPlan::Aggregate(Aggregate::try_new(aggregate.input, aggregate.group_expr, calls)?);
    cast_back(input, &narrow)
}

fn in_window(window: Window) -> Result<Transformed<LogicalPlan>> {
    let below = Arc::clone(window.input.schema());
    let mut is_wide = false;
    let mut calls = Vec::new();
    for expression in &window.window_expr {
        let (call, name) = unaliased(expression);
        let wide = match call {
            Expr::WindowFunction(call) => wide_over(call, &below)?,
            _ => None,
        };
        is_wide |= wide.is_some();
        calls.push(wide.map_or_else(|| expression.clone(), |wide| wide.alias(name)));
    }
    if !is_wide {
        return Ok(Transformed::no(LogicalPlan::Window(window)));
    }
    let input = LogicalPlan::Window(Window::try_new(calls, window.input)?);
    cast_back(input, &window.schema)
}

fn unaliased(expression: &Expr) -> (&Expr, String) {
    let mut call = expression;
    while let Expr::Alias(alias) = call {
        call = &alias.expr;
    }
    (call, expression.schema_name().to_string())
}

/// The columns of `input` in the types of `narrow`, whose columns they are.
fn cast_back(input: LogicalPlan, narrow: &DFSchema) -> Result<Transformed<LogicalPlan>> {
    let mut columns = Vec::new();
    for ((qualifier, field), (_, wanted)) in input.schema().iter().zip(narrow.iter()) {
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        let column = match (field.data_type(), wanted.data_type()) {
            (have, want) if have == want => column,
            (DataType::Decimal128(..), DataType::Duration(_)) => {
                cast(cast(column, DataType::Int64), wanted.data_type().clone()).alias(field.name())
            }
            (_, want) => cast(column, want.clone()).alias(field.name()),
        };
        columns.push(column);
    }
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(input))?)))
}

/// Whether the operator of windows keeps this sum in a wide type itself.
fn has_wide_state(call: &AggregateFunction, below: &DFSchema) -> Result<bool> {
    let argument = argument_type(&call.params.args, below)?;
    let is_duration = matches!(argument, Some(DataType::Duration(_)));
    Ok(call.func.name() == "sum" && !call.params.distinct && !is_duration)
}

fn argument_type(arguments: &[Expr], below: &DFSchema) -> Result<Option<DataType>> {
    arguments.first().map(|argument| argument.get_type(below)).transpose()
}

/// The call over a wider type, if its sum could wrap.
fn wide_call(call: &AggregateFunction, below: &DFSchema) -> Result<Option<AggregateFunction>> {
    let Some(arguments) = wide_arguments(call.func.name(), &call.params.args, below)? else { return Ok(None) };
    let mut wide = call.clone();
    wide.params.args = arguments;
    Ok(Some(wide))
}

fn wide_over(call: &WindowFunction, below: &DFSchema) -> Result<Option<Expr>> {
    let WindowFunctionDefinition::AggregateUDF(function) = &call.fun else { return Ok(None) };
    let Some(arguments) = wide_arguments(function.name(), &call.params.args, below)? else { return Ok(None) };
    if call.params.distinct && !call.params.order_by.is_empty() {
        return plan_err!("sum(DISTINCT …) OVER (… ORDER BY …) is not supported; leave out the ORDER BY");
    }
    let mut wide = call.clone();
    wide.params.args = arguments;
    Ok(Some(Expr::WindowFunction(Box::new(wide))))
}

/// An average of decimals does not wrap, but its error would be of no row.
fn wide_arguments(function: &str, arguments: &[Expr], below: &DFSchema) -> Result<Option<Vec<Expr>>> {
    let [argument] = arguments else { return Ok(None) };
    let given = argument.get_type(below)?;
    let bigint = DataType::Decimal128(BIGINT_DIGITS, 0);
    let wide = match (function, &given) {
        ("sum" | "avg", DataType::Duration(_)) => cast(cast(argument.clone(), DataType::Int64), bigint),
        ("sum", DataType::Interval(_)) => {
            return plan_err!(
                "sum of INTERVAL is not supported, since months have no fixed length; sum differences of timestamps, or numbers"
            );
        }
        ("sum", integer) if integer.is_integer() => cast(argument.clone(), bigint),
        ("sum" | "avg", DataType::Decimal128(precision, scale)) if BIGINT_DIGITS < *precision => {
            cast(argument.clone(), DataType::Decimal256(DECIMAL256_MAX_PRECISION - 10, *scale))
        }
        _ => return Ok(None),
    };
    Ok(Some(vec![wide]))
}
