//! What a sink's options `key`, `header.…`, `timestamp` and `partition` say: SQL expressions over the table's columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Schema, TimeUnit};
use datafusion::common::{DFSchema, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::parser::ParserError;
use davy_engine::{Error, Result};

use super::options::SinkOptions;

/// Expressions of a sink's options, over the table's columns.
#[derive(Clone, Debug)]
pub(crate) struct Expressions {
    pub(super) key: Option<Arc<dyn PhysicalExpr>>,
    pub(super) headers: Vec<(String, Arc<dyn PhysicalExpr>)>,
    /// TIMESTAMP.
    pub(super) timestamp: Option<Arc<dyn PhysicalExpr>>,
    /// An integer.
    pub(super) partition: Option<Arc<dyn PhysicalExpr>>,
}

impl Expressions {
    /// Plans them; an error names the option.
    pub(crate) fn plan(table: &str, columns: &[FieldRef], options: &SinkOptions) -> Result<Self> {
        let schema =
            DFSchema::try_from(Schema::new(columns.to_vec())).map_err(|error| Error::internal(error.to_string()))?;
        let context = SessionContext::new();
        let plan = |option: &str, text: &str| -> Result<Arc<dyn PhysicalExpr>> {
            let planned =
                context.parse_sql_expr(text, &schema).and_then(|parsed| context.create_physical_expr(parsed, &schema));
            planned.map_err(|error| {
                let why = why(&error, columns);
                Error::invalid(format!(
                    "table `{table}`: option `{option} = '{text}'` is no expression over its columns: {why}"
                ))
                .hint("name a column, or write an expression such as concat(sa, ':', da)")
            })
        };
        let key = options.key.as_deref().map(|text| plan("key", text)).transpose()?;
        let headers =
            options.headers.iter().map(|(name, text)| Ok((name.clone(), plan(&format!("header.{name}"), text)?)));
        let headers = headers.collect::<Result<_>>()?;
        let timestamp = options.timestamp.as_deref().map(|text| plan("timestamp", text)).transpose()?;
        if let (Some(timestamp), Some(text)) = (&timestamp, &options.timestamp) {
            let data_type = timestamp.data_type(schema.as_arrow())?;
            if !matches!(data_type, DataType::Timestamp(_, _)) {
                return Err(Error::invalid(format!(
                    "table `{table}`: option `timestamp = '{text}'` is {data_type}, not TIMESTAMP"
                ))
                .hint("name a column of type TIMESTAMP, or write an expression such as to_timestamp_millis(ms)"));
            }
        }
        let partition = options.partition.as_deref().map(|text| plan("partition", text)).transpose()?;
        if let (Some(partition), Some(text)) = (&partition, &options.partition) {
            let data_type = partition.data_type(schema.as_arrow())?;
            if !data_type.is_integer() {
                return Err(Error::invalid(format!(
                    "table `{table}`: option `partition = '{text}'` is {data_type}, not an integer"
                ))
                .hint("write a number such as 3, or an expression that is one"));
            }
        }
        Ok(Self { key, headers, timestamp, partition })
    }
}

/// What is wrong with an expression, in one line.
fn why(error: &DataFusionError, columns: &[FieldRef]) -> String {
    match error.find_root() {
        DataFusionError::SchemaError(why, _) => match why.as_ref() {
            SchemaError::FieldNotFound { field, .. } => {
                let names: Vec<String> = columns.iter().map(|column| format!("`{}`", column.name())).collect();
                format!("there is no column `{}`, they are {}", field.name, names.join(", "))
            }
            other => other.to_string(),
        },
        DataFusionError::SQL(why, _) => match why.as_ref() {
            ParserError::ParserError(why) | ParserError::TokenizerError(why) => why.clone(),
            ParserError::RecursionLimitExceeded => "it is nested too deep".to_owned(),
        },
        other => other.strip_backtrace().replace('\n', " "),
    }
}

/// An expression's values as bytes.
pub(super) fn texts(expression: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
    let values = expression.evaluate(batch)?.into_array(batch.num_rows())?;
    Ok(match values.data_type() {
        DataType::Binary => values,
        DataType::Utf8 => cast(&values, &DataType::Binary)?,
        _ => cast(&cast(&values, &DataType::Utf8)?, &DataType::Binary)?,
    })
}

/// A timestamp's values in milliseconds.
pub(super) fn milliseconds(expression: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
    let values = expression.evaluate(batch)?.into_array(batch.num_rows())?;
    Ok(cast(&values, &DataType::Timestamp(TimeUnit::Millisecond, None))?)
}

/// An integer's values as numbers of partitions.
pub(super) fn numbers(expression: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
    let values = expression.evaluate(batch)?.into_array(batch.num_rows())?;
    Ok(cast(&values, &DataType::Int64)?)
}
