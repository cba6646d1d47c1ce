//! What a logical plan computes, as one number, in words of our own.
//!
//! DataFusion's printed plans change with its versions, and with names that mean nothing. So each output column is described by how it is
//! made of the columns of tables, through projections, views and aliases; beside them, which rows there are: tables, filters, joins.
//! Columns that are not used have no part in it. Every part is hashed once, however often it is used.

use std::any::Any;
use std::collections::HashMap;
use std::hash::Hasher;

use datafusion::common::Column;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, SortExpr};

use super::hasher::Parts;
use super::value::{of_type, of_value};
use crate::error::Result;
use crate::lookup;
use crate::sql::functions::WindowMarker;
use crate::sql::sql_error;
use crate::udf::model::model_sha256;

/// Describes plans; remembers what it has described of the plan it was made for.
#[derive(Default)]
pub(super) struct Description {
    columns: HashMap<(usize, usize), u64>,
    rows: HashMap<usize, u64>,
}

/// Of a plan: its rows, and each of its columns.
pub(in crate::sql) fn of_query(plan: &LogicalPlan) -> Result<u64> {
    let mut description = Description::default();
    let rows = description.rows(plan)?;
    let columns: Result<Vec<u64>> =
        (0..plan.schema().fields().len()).map(|index| description.column(plan, index)).collect();
    Ok(Parts::of("query").number(rows).all(&columns?).finish())
}

/// Of an expression over columns of one table, by their names.
pub(super) fn of_expression(expression: &Expr) -> Result<u64> {
    Description::default().expression(expression, &[])
}

impl Description {
    /// How one column of a plan's output is made.
    fn column(&mut self, plan: &LogicalPlan, index: usize) -> Result<u64> {
        let key = (std::ptr::from_ref(plan) as usize, index);
        if let Some(known) = self.columns.get(&key) {
            return Ok(*known);
        }
        let described = match plan {
            LogicalPlan::Projection(node) => self.expression(&node.expr[index], &[&node.input])?,
            LogicalPlan::Filter(node) => self.column(&node.input, index)?,
            LogicalPlan::SubqueryAlias(node) => self.column(&node.input, index)?,
            LogicalPlan::Sort(node) => self.column(&node.input, index)?,
            LogicalPlan::Limit(node) => self.column(&node.input, index)?,
            LogicalPlan::Union(node) => {
                let of_inputs: Result<Vec<u64>> = node.inputs.iter().map(|input| self.column(input, index)).collect();
                Parts::of("union").all(&of_inputs?).finish()
            }
            LogicalPlan::TableScan(node) => {
                let field = node.projected_schema.field(index);
                Parts::of("table column")
                    .text(node.table_name.table())
                    .text(field.name())
                    .number(of_type(field.data_type()))
                    .finish()
            }
            other => Parts::of("column").number(self.rows(other)?).number(index as u64).finish(),
        };
        self.columns.insert(key, described);
        Ok(described)
    }

    /// Which rows a plan has.
    fn rows(&mut self, plan: &LogicalPlan) -> Result<u64> {
        let key = std::ptr::from_ref(plan) as usize;
        if let Some(known) = self.rows.get(&key) {
            return Ok(*known);
        }
        let described = match plan {
            LogicalPlan::Projection(node) => self.rows(&node.input)?,
            LogicalPlan::SubqueryAlias(node) => self.rows(&node.input)?,
            LogicalPlan::TableScan(node) => Parts::of("table").text(node.table_name.table()).finish(),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let columns: Result<Vec<u64>> =
                    (0..input.schema().fields().len()).map(|index| self.column(input, index)).collect();
                Parts::of("distinct").number(self.rows(input)?).all(&columns?).finish()
            }
            other => self.node(other)?,
        };
        self.rows.insert(key, described);
        Ok(described)
    }

    /// A node by its kind, its expressions and its inputs.
    fn node(&mut self, plan: &LogicalPlan) -> Result<u64> {
        let inputs = plan.inputs();
        let parts = match plan {
            LogicalPlan::Filter(_) => Parts::of("filter"),
            LogicalPlan::Union(_) => Parts::of("union"),
            LogicalPlan::Aggregate(node) => Parts::of("aggregate").number(node.group_expr.len() as u64),
            LogicalPlan::Window(_) => Parts::of("window functions"),
            LogicalPlan::Limit(node) => Parts::of("limit").flag(node.skip.is_some()).flag(node.fetch.is_some()),
            LogicalPlan::Join(node) => Parts::of("join")
                .text(&format!("{:?}", node.join_type))
                .text(&format!("{:?}", node.null_equality))
                .number(node.on.len() as u64),
            LogicalPlan::Sort(node) => order(Parts::of("sort"), &node.expr),
            LogicalPlan::Unnest(node) => {
                let columns = node.exec_columns.iter().map(|column| resolve(column, &inputs));
                let indices: Vec<u64> = columns.map(|found| found.map_or(u64::MAX, |(_, at)| at as u64)).collect();
                Parts::of("unnest").all(&indices).flag(node.options.preserve_nulls())
            }
            LogicalPlan::EmptyRelation(node) => Parts::of("constant").flag(node.produce_one_row),
            other => Parts::of("other").text(&other.display().to_string()),
        };
        let mut described = Vec::new();
        for expression in plan.expressions() {
            described.push(self.expression(&expression, &inputs)?);
        }
        for input in &inputs {
            described.push(self.rows(input)?);
        }
        Ok(parts.all(&described).finish())
    }

    /// How an expression is made of the columns of `inputs`.
    fn expression(&mut self, expression: &Expr, inputs: &[&LogicalPlan]) -> Result<u64> {
        let parts = match expression {
            Expr::Alias(alias) => return self.expression(&alias.expr, inputs),
            Expr::Column(column) => {
                return match resolve(column, inputs) {
                    Some((input, index)) => self.column(input, index),
                    None => Ok(Parts::of("name").text(&column.name).finish()),
                };
            }
            Expr::Literal(value, _) => return Ok(of_value(value)),
            Expr::BinaryExpr(binary) => Parts::of("operator").text(&binary.op.to_string()),
            Expr::Like(like) | Expr::SimilarTo(like) => Parts::of("like")
                .flag(matches!(expression, Expr::SimilarTo(_)))
                .flag(like.negated)
                .flag(like.case_insensitive)
                .number(like.escape_char.map_or(0, u64::from)),
            Expr::Not(_) => Parts::of("not"),
            Expr::IsNotNull(_) => Parts::of("is not null"),
            Expr::IsNull(_) => Parts::of("is null"),
            Expr::IsTrue(_) => Parts::of("is true"),
            Expr::IsFalse(_) => Parts::of("is false"),
            Expr::IsUnknown(_) => Parts::of("is unknown"),
            Expr::IsNotTrue(_) => Parts::of("is not true"),
            Expr::IsNotFalse(_) => Parts::of("is not false"),
            Expr::IsNotUnknown(_) => Parts::of("is not unknown"),
            Expr::Negative(_) => Parts::of("negative"),
            Expr::Between(between) => Parts::of("between").flag(between.negated),
            Expr::Case(case) => Parts::of("case").flag(case.expr.is_some()).flag(case.else_expr.is_some()),
            Expr::Cast(cast) => Parts::of("cast").number(of_type(cast.field.data_type())),
            Expr::TryCast(cast) => Parts::of("try cast").number(of_type(cast.field.data_type())),
            Expr::InList(list) => Parts::of("in").flag(list.negated),
            Expr::ScalarFunction(call) => function(call.func.name(), call.func.inner().as_ref()),
            Expr::AggregateFunction(call) => aggregate(call),
            Expr::WindowFunction(call) => window_function(call),
            other => Parts::of("other").text(&other.to_string()),
        };
        let mut children = Vec::new();
        let mut problem = None;
        expression
            .apply_children(|child| match self.expression(child, inputs) {
                Ok(described) => {
                    children.push(described);
                    Ok(TreeNodeRecursion::Continue)
                }
                Err(error) => {
                    problem = Some(error);
                    Ok(TreeNodeRecursion::Stop)
                }
            })
            .map_err(sql_error)?;
        problem.map_or_else(|| Ok(parts.all(&children).finish()), Err)
    }
}

/// Which input a column is of, and its index there.
fn resolve<'a>(column: &Column, inputs: &[&'a LogicalPlan]) -> Option<(&'a LogicalPlan, usize)> {
    inputs.iter().find_map(|input| Some((*input, input.schema().maybe_index_of_column(column)?)))
}

/// A function by its name; a model also by its content, and a window by its shape.
fn function(name: &str, inner: &dyn Any) -> Parts {
    let parts = Parts::of("function").text(name);
    if let Some(max_session) = inner.downcast_ref::<WindowMarker>().and_then(WindowMarker::max_session) {
        return parts.number(max_session.unsigned_abs());
    }
    if let Some(declared) = lookup::declaration(inner) {
        return parts.text(&declared);
    }
    match model_sha256(inner) {
        Some(sha256) => parts.text(sha256),
        None => parts,
    }
}

fn aggregate(call: &AggregateFunction) -> Parts {
    let params = &call.params;
    let parts = Parts::of("aggregate function")
        .text(call.func.name())
        .number(params.args.len() as u64)
        .flag(params.distinct)
        .flag(params.filter.is_some())
        .text(&format!("{:?}", params.null_treatment));
    order(parts, &params.order_by)
}

fn window_function(call: &WindowFunction) -> Parts {
    let params = &call.params;
    let parts = Parts::of("window function")
        .text(call.fun.name())
        .number(params.args.len() as u64)
        .number(params.partition_by.len() as u64)
        .flag(params.distinct)
        .flag(params.filter.is_some())
        .text(&params.window_frame.to_string())
        .text(&format!("{:?}", params.null_treatment));
    order(parts, &params.order_by)
}

/// The directions of an order; its expressions are among the children.
fn order(parts: Parts, by: &[SortExpr]) -> Parts {
    by.iter().fold(parts.number(by.len() as u64), |parts, sort| parts.flag(sort.asc).flag(sort.nulls_first))
}
