//! What has to be read of a source table for a dataflow: the columns to decode, and its event time.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use super::catalog::Catalog;
use super::{checked, row_policy, sql_error};
use crate::error::Result;
use crate::format::{DecodeField, DecodeSpec, FieldFrom};
use crate::plan::{Branch, ColumnSource, EventTime, Output, SourcePlan, TableDef, WatermarkRule};

/// What has to be decoded of a table for these branches, whose windows reach `reach_ns` around a row.
pub(super) fn source_plan(
    catalog: &Catalog,
    def: Arc<TableDef>,
    branches: &[Branch],
    reach_ns: i64,
) -> Result<SourcePlan> {
    let needs_time = branches.iter().any(|branch| matches!(branch.output, Output::Exchange(_) | Output::Local(_)));
    let mut needed: BTreeMap<String, ()> = BTreeMap::new();
    for branch in branches {
        for column in branch.plan.placeholders.get(&def.name).into_iter().flatten() {
            needed.insert(column.clone(), ());
        }
    }
    let mut required = Vec::new();
    if needs_time && let Some((time, watermark)) = &def.event_time {
        for column in time.column_refs() {
            required.push(column.name.clone());
        }
        for column in time.column_refs().into_iter().chain(watermark.column_refs()) {
            needed.insert(column.name.clone(), ());
        }
    }
    if needs_time && let Some(late) = def.late_table.as_ref().and_then(|name| catalog.table(name)) {
        for column in &late.columns {
            needed.insert(column.field.name().clone(), ());
        }
    }
    let declared = def.record_columns();
    let mut fields = Vec::new();
    let mut decode = Vec::new();
    for column in def.columns.iter().filter(|column| needed.contains_key(column.field.name())) {
        let from = match &column.from {
            ColumnSource::Record(index) => Some(FieldFrom::Column(*index)),
            ColumnSource::Value => Some(FieldFrom::Value),
            ColumnSource::Split | ColumnSource::Metadata(_) => None,
            ColumnSource::Generated(_) => continue,
        };
        fields.push(Arc::clone(&column.field));
        if let Some(from) = from {
            let field = &column.field;
            let nullable = field.is_nullable() && !required.contains(field.name());
            decode.push(DecodeField {
                name: field.name().clone(),
                data_type: field.data_type().clone(),
                nullable,
                from,
            });
        }
    }
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let event_time = match (&def.event_time, needs_time) {
        (Some((time, watermark)), true) => {
            let over = DFSchema::try_from(schema.as_ref().clone()).map_err(sql_error)?;
            let physical =
                |expression: &Expr| catalog.state.create_physical_expr(checked::expression(expression, &over)?, &over);
            Some(EventTime {
                time: physical(time).map_err(sql_error)?,
                watermark: match behind(time, watermark) {
                    Some(ns) => WatermarkRule::Behind(ns),
                    None => WatermarkRule::Expression(physical(watermark).map_err(sql_error)?),
                },
                reach_ns,
            })
        }
        _ => None,
    };
    let decode = DecodeSpec { declared: declared.into(), fields: decode };
    if let Some(format) = def.format.as_ref().filter(|_| def.table.reads_bytes()) {
        // What a run would refuse when it begins to read is refused here.
        format.decoder(decode.clone()).map_err(|error| error.context(&format!("table `{}`", def.name)))?;
    }
    let on_error = row_policy::of_source(&def);
    Ok(SourcePlan { table: def, decode, schema, event_time, on_error })
}

/// The lag of a watermark that is the event time less a fixed interval.
fn behind(time: &Expr, watermark: &Expr) -> Option<i64> {
    if watermark == time {
        return Some(0);
    }
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) = watermark else { return None };
    let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) = right.as_ref() else { return None };
    let is_fixed = left.as_ref() == time && interval.months == 0 && interval.days == 0;
    is_fixed.then_some(interval.nanoseconds)
}
