//! An expression whose failing parts are null for the rows on which they fail.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CaseExpr, CastExpr, Column, Literal};

use super::{Failure, Failures, is_of_row, reason, shown_value, text_of};
use crate::operator::checked::as_written;

/// `expression` in a form that never fails on a row; what fails is null and noted in `failures`.
pub(crate) fn guarded(expression: &Arc<dyn PhysicalExpr>, failures: &Failures) -> Result<Arc<dyn PhysicalExpr>> {
    if expression.is::<Column>() || expression.is::<Literal>() {
        return Ok(Arc::clone(expression));
    }
    let children =
        expression.children().into_iter().map(|child| guarded(child, failures)).collect::<Result<Vec<_>>>()?;
    let inner = Arc::clone(expression).with_new_children(children)?;
    Ok(Arc::new(Guarded { plain: Arc::clone(expression), inner, failures: failures.clone() }))
}

#[derive(Debug)]
struct Guarded {
    plain: Arc<dyn PhysicalExpr>,
    /// The same over guarded children.
    inner: Arc<dyn PhysicalExpr>,
    failures: Failures,
}

impl Guarded {
    fn recover(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        // A branch of CASE sees the rows that reach it only, so it is evaluated by the CASE itself.
        if self.plain.is::<CaseExpr>() {
            return match self.inner.evaluate(batch) {
                Err(error) if is_of_row(&error) => self.bisect(&self.inner, batch),
                other => other,
            };
        }
        let mut columns = Vec::new();
        let mut fields: Vec<FieldRef> = Vec::new();
        let mut children: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
        for (plain, child) in self.plain.children().into_iter().zip(self.inner.children()) {
            if plain.is::<Literal>() {
                children.push(Arc::clone(plain));
                continue;
            }
            let array = child.evaluate(batch)?.into_array(batch.num_rows())?;
            let name = shown(as_written(uncast(plain))?.as_ref());
            children.push(Arc::new(Column::new(&name, columns.len())));
            fields.push(Arc::new(Field::new(name, array.data_type().clone(), true)));
            columns.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let values = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?;
        let node = Arc::clone(&self.plain).with_new_children(children)?;
        self.bisect(&node, &values)
    }

    /// Evaluates `node`, whose children do not fail, with null for each row that it fails on.
    fn bisect(&self, node: &Arc<dyn PhysicalExpr>, values: &RecordBatch) -> Result<ColumnarValue> {
        let mut arrays = Vec::new();
        self.bisect_range(node, values, 0..values.num_rows(), &mut arrays)?;
        let arrays: Vec<&dyn arrow::array::Array> = arrays.iter().map(AsRef::as_ref).collect();
        Ok(ColumnarValue::Array(concat(&arrays)?))
    }

    fn bisect_range(
        &self,
        node: &Arc<dyn PhysicalExpr>,
        values: &RecordBatch,
        rows: Range<usize>,
        arrays: &mut Vec<ArrayRef>,
    ) -> Result<()> {
        let slice = values.slice(rows.start, rows.len());
        let error = match node.evaluate(&slice).and_then(|value| value.into_array(slice.num_rows())) {
            Ok(array) => {
                arrays.push(array);
                return Ok(());
            }
            Err(error) if is_of_row(&error) => error,
            Err(error) => return Err(error),
        };
        if rows.len() <= 1 {
            self.failures.note(self.failure(&slice, &error)?);
            arrays.push(new_null_array(&node.data_type(values.schema_ref())?, rows.len()));
            return Ok(());
        }
        let middle = rows.start + rows.len() / 2;
        self.bisect_range(node, values, rows.start..middle, arrays)?;
        self.bisect_range(node, values, middle..rows.end, arrays)
    }

    fn failure(&self, values: &RecordBatch, error: &DataFusionError) -> Result<Failure> {
        let schema = values.schema();
        let cells = schema.fields().iter().zip(values.columns());
        Ok(Failure {
            reason: reason(error),
            expression: as_written(&self.plain)?,
            values: cells.map(|(field, column)| (field.name().clone(), shown_value(column.as_ref()))).collect(),
            error: text_of(error),
            row: None,
        })
    }
}

/// Most casts come from planning, and say nothing to a person.
fn uncast(expression: &Arc<dyn PhysicalExpr>) -> &Arc<dyn PhysicalExpr> {
    expression.downcast_ref::<CastExpr>().map_or(expression, |cast| uncast(cast.expr()))
}

/// An expression for people: without the indices of its columns.
pub(crate) fn shown(expression: &dyn PhysicalExpr) -> String {
    datafusion::physical_expr_common::physical_expr::fmt_sql(expression).to_string()
}

impl PhysicalExpr for Guarded {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.plain.data_type(schema)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        Ok(Arc::new(self.plain.return_field(schema)?.as_ref().clone().with_nullable(true)))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        match self.plain.evaluate(batch) {
            Err(error) if is_of_row(&error) => self.recover(batch),
            other => other,
        }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.plain]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match children.first() {
            Some(plain) => guarded(plain, &self.failures),
            None => Ok(self),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plain.fmt_sql(f)
    }
}

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plain.fmt(f)
    }
}

impl PartialEq for Guarded {
    fn eq(&self, other: &Self) -> bool {
        self.plain.eq(&other.plain)
    }
}

impl Eq for Guarded {}

impl Hash for Guarded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.plain.hash(state);
    }
}
