//! The event time below a window: a hidden column that every plan node passes on.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Column as DfColumn, DFSchema};
use datafusion::functions::core::expr_ext::FieldAccessor;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, TableScan, Union, Unnest, cast, lit};

use super::super::sql_error;
use super::super::window::{Follow, Part};
use super::cut::{placeholder_scan, raw_table};
use super::refuse::{clause, subject, updating};
use crate::error::{Error, Result, Subject};
use crate::operator::partial::{EVENT_TIME, ROW, WATERMARK};
use crate::task::hidden_columns;
use crate::time::TIMESTAMP;

/// Adds the event time (and, over a source, the hidden columns beside it) to a plan's output.
pub(super) fn with_event_time(plan: &LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Projection(node) => {
            let input = with_event_time(&node.input)?;
            let mut expressions = node.expr.clone();
            for hidden in [EVENT_TIME, WATERMARK, ROW] {
                expressions.extend(hidden_column(input.schema(), hidden).map(Expr::Column));
            }
            Ok(LogicalPlan::Projection(Projection::try_new(expressions, Arc::new(input)).map_err(sql_error)?))
        }
        LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
            let inputs = plan.inputs().into_iter().map(with_event_time).collect::<Result<Vec<_>>>()?;
            plan.with_new_exprs(plan.expressions(), inputs).map_err(sql_error)
        }
        LogicalPlan::Union(node) => {
            let inputs =
                node.inputs.iter().map(|input| with_event_time(input).map(Arc::new)).collect::<Result<Vec<_>>>()?;
            Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs).map_err(sql_error)?))
        }
        LogicalPlan::Unnest(node) => {
            let input = with_event_time(&node.input)?;
            let unnest = Unnest::try_new(Arc::new(input), node.exec_columns.clone(), node.options.clone());
            Ok(LogicalPlan::Unnest(unnest.map_err(sql_error)?))
        }
        LogicalPlan::TableScan(scan) => timed_scan(scan),
        LogicalPlan::Aggregate(_) | LogicalPlan::Join(_) | LogicalPlan::Window(_) | LogicalPlan::Distinct(_) => {
            window_end_time(plan)
        }
        LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => {
            Err(Error::invalid(format!("{} below a window is not supported", clause(plan)))
                .hint("put it above the window")
                .about(subject(plan)))
        }
        other => Err(Error::invalid(format!("{} cannot stand below a window", clause(other))).about(subject(other))),
    }
}

fn timed_scan(scan: &TableScan) -> Result<LogicalPlan> {
    let Some(def) = raw_table(scan) else {
        return Err(Error::internal(format!("scan of `{}` below a window", scan.table_name)));
    };
    if def.event_time.is_none() {
        return Err(Error::invalid(format!("table `{}` has no event time, which a window needs", def.name))
            .hint("add WATERMARK FOR column AS column - INTERVAL '5 seconds' to its columns")
            .about(Subject::Table(def.name.to_string())));
    }
    placeholder_scan(&def, scan, &hidden_columns())
}

/// The event time of rows that come from windows: just before their window's end, so that a longer window of the same grid
/// holds exactly the shorter windows inside it.
fn window_end_time(plan: &LogicalPlan) -> Result<LogicalPlan> {
    let placeholders = HashMap::new();
    let parts = Follow { placeholders: &placeholders }.parts(plan);
    let found = parts.iter().position(|part| matches!(part, Some(Part::Whole | Part::End)));
    let Some(index) = found else {
        return Err(match plan {
            LogicalPlan::Join(_) => {
                Error::invalid("a join below a window must be of windowed relations, on the same window")
                    .hint("aggregate both sides by a window first")
                    .about(Subject::Join)
            }
            LogicalPlan::Aggregate(_) => updating(),
            _ => Error::invalid(format!("{} below a window needs rows that carry a window", clause(plan)))
                .hint("aggregate by a window first and select it")
                .about(subject(plan)),
        });
    };
    let (qualifier, field) = plan.schema().qualified_field(index);
    let column = Expr::Column(DfColumn::new(qualifier.cloned(), field.name()));
    let end = if parts[index] == Some(Part::Whole) { column.field("end") } else { column };
    let just_before = cast(cast(end, DataType::Int64) - lit(1_i64), TIMESTAMP);
    let mut expressions: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    expressions.push(just_before.alias(EVENT_TIME));
    Ok(LogicalPlan::Projection(Projection::try_new(expressions, Arc::new(plan.clone())).map_err(sql_error)?))
}

pub(super) fn hidden_column(schema: &DFSchema, name: &str) -> Option<DfColumn> {
    schema
        .iter()
        .find(|(_, field)| field.name() == name)
        .map(|(qualifier, field)| DfColumn::new(qualifier.cloned(), field.name()))
}
