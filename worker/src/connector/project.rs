//! From the columns that a file has to those that a query uses: by name, cast to the declared type.
//!
//! A value that does not fit the declared type is an error, not a null: rows that come as batches pass no row policy, and a
//! null would be a silent difference.

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Field, Schema, SchemaRef};
use davy_engine::{Error, Result};

#[derive(Clone, Debug)]
pub(crate) struct Projection {
    /// What the rows come from, for errors: "file `x`".
    origin: String,
    requested: SchemaRef,
}

impl Projection {
    /// Checks that every requested column is `available`.
    pub(crate) fn new(origin: String, available: &Schema, requested: SchemaRef) -> Result<Self> {
        let missing = requested.fields().iter().find(|field| available.field_with_name(field.name()).is_err());
        let Some(missing) = missing else { return Ok(Self { origin, requested }) };
        let names: Vec<String> = available.fields().iter().map(|field| format!("`{}`", field.name())).collect();
        Err(Error::invalid(format!("{origin} has no column `{}`", missing.name()))
            .hint(format!("its columns are {}", names.join(", "))))
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.requested
    }

    /// The requested columns of `batch`, which may have others, in any order.
    pub(crate) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns: Result<Vec<ArrayRef>> =
            self.requested.fields().iter().map(|field| self.column(batch, field)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(self.requested.clone(), columns?, &options)
            .map_err(|error| Error::invalid(format!("{}: {error}", self.origin)))
    }

    fn column(&self, batch: &RecordBatch, field: &Field) -> Result<ArrayRef> {
        let Some(column) = batch.column_by_name(field.name()) else {
            return Err(Error::internal(format!("{}: column `{}` went missing", self.origin, field.name())));
        };
        if column.data_type() == field.data_type() {
            return Ok(column.clone());
        }
        let options = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(column, field.data_type(), &options).map_err(|error| {
            let (name, from) = (field.name(), column.data_type());
            Error::invalid(format!(
                "{}: column `{name}` is {from}, declared as {}: {error}",
                self.origin,
                field.data_type()
            ))
            .hint("declare the column as the file has it and convert with TRY_CAST")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::DataType;

    use super::*;

    fn batch() -> RecordBatch {
        let a: ArrayRef = Arc::new(Int64Array::from(vec![1, 300]));
        let b: ArrayRef = Arc::new(StringArray::from(vec!["7", "x"]));
        RecordBatch::try_from_iter([("a", a), ("b", b)]).expect("two columns")
    }

    fn check(requested: Vec<Field>, expected: Result<&str, &str>) {
        let batch = batch();
        let projected = Projection::new("file `f`".into(), batch.schema_ref(), Arc::new(Schema::new(requested)))
            .and_then(|projection| projection.apply(&batch));
        match (projected, expected) {
            (Ok(batch), Ok(expected)) => assert_eq!(format!("{} {:?}", batch.num_rows(), batch.columns()), expected),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (got, expected) => panic!("{got:?} where {expected:?} was expected"),
        }
    }

    #[test]
    fn a_missing_column_is_named_with_those_that_exist() {
        let requested = vec![Field::new("c", DataType::Int64, true)];
        check(requested, Err("file `f` has no column `c`; its columns are `a`, `b`"));
    }

    #[test]
    fn a_value_that_does_not_fit_is_an_error() {
        check(vec![Field::new("a", DataType::Int8, true)], Err("column `a` is Int64, declared as Int8"));
        check(vec![Field::new("b", DataType::Int64, true)], Err("TRY_CAST"));
    }

    #[test]
    fn columns_are_picked_by_name_and_cast() {
        let requested = vec![Field::new("a", DataType::Utf8, true)];
        check(requested, Ok("2 [StringArray\n[\n  \"1\",\n  \"300\",\n]]"));
    }

    #[test]
    fn rows_are_counted_where_no_column_is_requested() {
        check(vec![], Ok("2 []"));
    }
}
