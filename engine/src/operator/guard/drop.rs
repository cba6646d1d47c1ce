//! Finds the rows on which an expression fails, to leave them out.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

use super::{Failure, Failures, guarded, is_of_row};

/// The rows of `batch` on which one of `expressions` fails, ascending, each with what failed first.
pub(crate) fn failing_rows(
    expressions: &[Arc<dyn PhysicalExpr>],
    batch: &RecordBatch,
) -> Result<Vec<(usize, Failure)>> {
    let mut found = Vec::new();
    bisect(expressions, batch, 0..batch.num_rows(), &mut found)?;
    Ok(found)
}

fn bisect(
    expressions: &[Arc<dyn PhysicalExpr>],
    batch: &RecordBatch,
    rows: Range<usize>,
    found: &mut Vec<(usize, Failure)>,
) -> Result<()> {
    let slice = batch.slice(rows.start, rows.len());
    let evaluated = expressions.iter().try_for_each(|expression| expression.evaluate(&slice).map(|_| ()));
    match evaluated {
        Ok(()) => return Ok(()),
        Err(error) if is_of_row(&error) => {}
        Err(error) => return Err(error),
    }
    if 1 < rows.len() {
        let middle = rows.start + rows.len() / 2;
        bisect(expressions, batch, rows.start..middle, found)?;
        return bisect(expressions, batch, middle..rows.end, found);
    }
    let failures = Failures::default();
    for expression in expressions {
        guarded(expression, &failures)?.evaluate(&slice)?;
    }
    match failures.take().into_iter().next() {
        Some(failure) => found.push((rows.start, Failure { row: Some(slice), ..failure })),
        None => return internal_err!("a row fails and none of its expressions does"),
    }
    Ok(())
}

/// A condition that holds for the rows on which `expressions` do not fail; it notes the others in `failures`.
#[derive(Debug)]
pub(super) struct DoesNotFail {
    pub(super) expressions: Arc<[Arc<dyn PhysicalExpr>]>,
    pub(super) failures: Failures,
}

impl PhysicalExpr for DoesNotFail {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn return_field(&self, _: &Schema) -> Result<FieldRef> {
        Ok(Arc::new(Field::new("does_not_fail", DataType::Boolean, false)))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let mut is_kept = vec![true; batch.num_rows()];
        for (row, failure) in failing_rows(&self.expressions, batch)? {
            is_kept[row] = false;
            self.failures.note(failure);
        }
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::from(is_kept))))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.expressions.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self { expressions: children.into(), failures: self.failures.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for DoesNotFail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "does_not_fail({} expressions)", self.expressions.len())
    }
}

impl PartialEq for DoesNotFail {
    fn eq(&self, other: &Self) -> bool {
        self.expressions == other.expressions
    }
}

impl Eq for DoesNotFail {}

impl Hash for DoesNotFail {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expressions.hash(state);
    }
}
