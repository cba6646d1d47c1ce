//! `w.is_final` of a window `w`: whether a row is the last of its window, or an early result.
//!
//! It is the same for all rows of one run of the query above the windows. So it is no column: a window has it in SQL only, planned as a
//! function of the window, and a run for early results has a plan in which that function is false.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result as DfResult, TableReference};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawFieldAccessExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, GetFieldAccess, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::sql_error;
use crate::error::Result;
use crate::operator::window::is_window;

/// The field's name.
const IS_FINAL: &str = "is_final";

/// The function that the field is planned as.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IsFinal {
    /// In this plan.
    value: bool,
    signature: Signature,
}

fn is_final(value: bool, window: Expr) -> Expr {
    let function = IsFinal { value, signature: Signature::any(1, Volatility::Immutable) };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), vec![window]))
}

impl ScalarUDFImpl for IsFinal {
    fn name(&self) -> &str {
        IS_FINAL
    }

    /// As DataFusion names a field.
    fn schema_name(&self, args: &[Expr]) -> DfResult<String> {
        let of: Vec<String> = args.iter().map(|window| window.schema_name().to_string()).collect();
        Ok(format!("{}[{IS_FINAL}]", of.join(", ")))
    }

    fn display_name(&self, args: &[Expr]) -> DfResult<String> {
        self.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Boolean)
    }

    /// Null for a window that an outer join has not found.
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let windows = args.args[0].to_array(args.number_rows)?;
        let values = if self.value {
            BooleanBuffer::new_set(args.number_rows)
        } else {
            BooleanBuffer::new_unset(args.number_rows)
        };
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::new(values, windows.logical_nulls()))))
    }
}

/// Plans the field, before DataFusion looks for it in the window's type.
#[derive(Debug)]
pub(super) struct WindowFields;

impl ExprPlanner for WindowFields {
    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> DfResult<PlannerResult<Vec<Expr>>> {
        if nested_names != [IS_FINAL] || !is_window(field.data_type()) {
            return Ok(PlannerResult::Original(Vec::new()));
        }
        Ok(PlannerResult::Planned(is_final(true, Expr::Column(Column::from((qualifier, field))))))
    }

    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> DfResult<PlannerResult<RawFieldAccessExpr>> {
        let GetFieldAccess::NamedStructField { name } = &access.field_access else {
            return Ok(PlannerResult::Original(access));
        };
        let is_it = name.try_as_str().flatten() == Some(IS_FINAL) && is_window(&access.expr.get_type(schema)?);
        if !is_it {
            return Ok(PlannerResult::Original(access));
        }
        Ok(PlannerResult::Planned(is_final(true, access.expr)))
    }
}

fn call(expression: &Expr) -> Option<&ScalarFunction> {
    let Expr::ScalarFunction(call) = expression else { return None };
    (call.func.inner().as_ref() as &dyn Any).is::<IsFinal>().then_some(call)
}

/// The same plan for early results.
pub(super) fn of_early_results(plan: &LogicalPlan) -> Result<LogicalPlan> {
    let early = |expression: Expr| match call(&expression) {
        Some(call) => Ok(Transformed::yes(is_final(false, call.args[0].clone()))),
        None => Ok(Transformed::no(expression)),
    };
    let made = plan.clone().transform_up(|node| node.map_expressions(|expression| expression.transform_up(early)));
    Ok(made.map_err(sql_error)?.data)
}

/// Whether a column of the plan's output depends on the field.
pub(super) fn selects_is_final(plan: &LogicalPlan) -> Result<bool> {
    Ok(dependent_columns(plan)?.contains(&true))
}

fn dependent_columns(plan: &LogicalPlan) -> Result<Vec<bool>> {
    let inputs = plan.inputs();
    let below = inputs.iter().map(|input| dependent_columns(input)).collect::<Result<Vec<_>>>()?;
    let is_dependent = |column: &Column| {
        inputs
            .iter()
            .zip(&below)
            .any(|(input, below)| input.schema().maybe_index_of_column(column).is_some_and(|index| below[index]))
    };
    let depends = |expression: &Expr| -> Result<bool> {
        let found = expression
            .exists(|node| Ok(call(node).is_some() || matches!(node, Expr::Column(column) if is_dependent(column))));
        found.map_err(sql_error)
    };
    match plan {
        LogicalPlan::Projection(node) => node.expr.iter().map(depends).collect(),
        LogicalPlan::Aggregate(node) => node.group_expr.iter().chain(&node.aggr_expr).map(depends).collect(),
        LogicalPlan::Union(node) => {
            Ok((0..node.schema.fields().len()).map(|index| below.iter().any(|input| input[index])).collect())
        }
        // The names of an alias are its own, its columns are in the same order.
        LogicalPlan::SubqueryAlias(_) => Ok(below.concat()),
        other => Ok(other.schema().columns().iter().map(is_dependent).collect()),
    }
}
