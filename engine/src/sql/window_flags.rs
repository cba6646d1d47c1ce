//! `w.is_final` of a window `w`: whether a row is the last of its window, or an early result; and `w.is_complete`: whether no key was
//! left out of the window.
//!
//! Both are the same for all rows of one run of the query above the windows. So they are no columns: a window has them in SQL only,
//! planned as functions of the window. A run for early results has a plan in which `is_final` is false, and a run over windows that are
//! incomplete has one in which `is_complete` is false.

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Flag {
    IsFinal,
    IsComplete,
}

impl Flag {
    /// The field's name.
    fn name(self) -> &'static str {
        match self {
            Self::IsFinal => "is_final",
            Self::IsComplete => "is_complete",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        [Self::IsFinal, Self::IsComplete].into_iter().find(|flag| flag.name() == name)
    }
}

/// The function that the field is planned as.
#[derive(Debug, PartialEq, Eq, Hash)]
struct WindowFlag {
    flag: Flag,
    /// In this plan.
    value: bool,
    signature: Signature,
}

fn call_of(flag: Flag, value: bool, window: Expr) -> Expr {
    let function = WindowFlag { flag, value, signature: Signature::any(1, Volatility::Immutable) };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), vec![window]))
}

impl ScalarUDFImpl for WindowFlag {
    fn name(&self) -> &str {
        self.flag.name()
    }

    /// As DataFusion names a field.
    fn schema_name(&self, args: &[Expr]) -> DfResult<String> {
        let of: Vec<String> = args.iter().map(|window| window.schema_name().to_string()).collect();
        Ok(format!("{}[{}]", of.join(", "), self.name()))
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

/// Plans the fields, before DataFusion looks for it in the window's type.
#[derive(Debug)]
pub(super) struct WindowFields;

impl ExprPlanner for WindowFields {
    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> DfResult<PlannerResult<Vec<Expr>>> {
        let [name] = nested_names else { return Ok(PlannerResult::Original(Vec::new())) };
        match Flag::of_name(name).filter(|_| is_window(field.data_type())) {
            Some(flag) => {
                let window = Expr::Column(Column::from((qualifier, field)));
                Ok(PlannerResult::Planned(call_of(flag, true, window)))
            }
            None => Ok(PlannerResult::Original(Vec::new())),
        }
    }

    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> DfResult<PlannerResult<RawFieldAccessExpr>> {
        let GetFieldAccess::NamedStructField { name } = &access.field_access else {
            return Ok(PlannerResult::Original(access));
        };
        match name.try_as_str().flatten().and_then(Flag::of_name) {
            Some(flag) if is_window(&access.expr.get_type(schema)?) => {
                Ok(PlannerResult::Planned(call_of(flag, true, access.expr)))
            }
            _ => Ok(PlannerResult::Original(access)),
        }
    }
}

/// The call of a flag's function that an expression is.
fn call(flag: Flag, expression: &Expr) -> Option<&ScalarFunction> {
    let Expr::ScalarFunction(call) = expression else { return None };
    let function = (call.func.inner().as_ref() as &dyn Any).downcast_ref::<WindowFlag>()?;
    (function.flag == flag).then_some(call)
}

/// The same plan with the flag false.
fn without(flag: Flag, plan: &LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let lower = |expression: Expr| match call(flag, &expression) {
        Some(call) => Ok(Transformed::yes(call_of(flag, false, call.args[0].clone()))),
        None => Ok(Transformed::no(expression)),
    };
    plan.clone()
        .transform_up(|node| node.map_expressions(|expression| expression.transform_up(lower)))
        .map_err(sql_error)
}

/// The same plan for early results.
pub(super) fn of_early_results(plan: &LogicalPlan) -> Result<LogicalPlan> {
    Ok(without(Flag::IsFinal, plan)?.data)
}

/// The same plan for windows from which keys were left out; `None` where that makes no difference.
pub(super) fn of_incomplete(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let made = without(Flag::IsComplete, plan)?;
    Ok(made.transformed.then_some(made.data))
}

/// Whether a column of the plan's output depends on `is_final`.
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
        let found = expression.exists(|node| {
            Ok(call(Flag::IsFinal, node).is_some() || matches!(node, Expr::Column(column) if is_dependent(column)))
        });
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
