//! Rows to messages: keys, headers, several rows per message; and the sink that writes them outside of transactions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type, Schema};
use datafusion::common::{DFSchema, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::parser::ParserError;
use davy_engine::format::Encoder;
use davy_engine::log::Sink;
use davy_engine::log::transactions::{Message, RowEncoder};
use davy_engine::plan::{ORIGIN, ORIGIN_KEY, SinkPlan};
use davy_engine::task::fit_to_sink;
use davy_engine::{Error, Result};
use davy_kafka::KafkaConnection;
use davy_kafka::producer::IdempotentProducer;

use super::of_kafka;
use super::options::SinkOptions;
use super::transactions::record;

/// The headers of late rows and dead letters.
const ORIGIN_TOPIC: &str = "davy-topic";
const ORIGIN_PARTITION: &str = "davy-partition";
const ORIGIN_OFFSET: &str = "davy-offset";
const ORIGIN_REASON: &str = "davy-reason";
const ORIGIN_PIPELINE: &str = "davy-pipeline";
/// How long it is waited for messages that were written outside of a transaction.
const FLUSH: Duration = Duration::from_secs(30);

/// Expressions of a sink's options, over the table's columns.
#[derive(Clone, Debug)]
pub(crate) struct Expressions {
    key: Option<Arc<dyn PhysicalExpr>>,
    headers: Vec<(String, Arc<dyn PhysicalExpr>)>,
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
        Ok(Self { key, headers: headers.collect::<Result<_>>()? })
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

/// Makes messages of the rows of one table.
pub(crate) struct Encode {
    pub(crate) plan: SinkPlan,
    pub(crate) topic: Arc<str>,
    pub(crate) pipeline: Arc<str>,
    pub(crate) rows_per_message: usize,
    pub(crate) expressions: Expressions,
    pub(crate) encoder: Box<dyn Encoder>,
}

impl Encode {
    /// Each row as bytes, without its line end.
    fn lines(&mut self, batch: &RecordBatch) -> Result<Vec<Vec<u8>>> {
        let mut bytes = Vec::new();
        self.encoder.encode(batch, &mut bytes)?;
        let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let lines: Vec<Vec<u8>> = text.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
        if lines.len() == batch.num_rows() {
            return Ok(lines);
        }
        // A value has a line end in it: row by row, then.
        let one = |row: usize| {
            let mut bytes = Vec::new();
            self.encoder.encode(&batch.slice(row, 1), &mut bytes)?;
            if bytes.ends_with(b"\n") {
                bytes.pop();
            }
            Ok(bytes)
        };
        (0..batch.num_rows()).map(one).collect()
    }
}

impl RowEncoder for Encode {
    fn encode(&mut self, given: &RecordBatch, messages: &mut Vec<Message>) -> Result<()> {
        if given.num_rows() == 0 {
            return Ok(());
        }
        let batch = fit_to_sink(&self.plan, given)?;
        let lines = self.lines(&batch)?;
        let origin = Origin::of(given)?;
        let origin_keys = given.column_by_name(ORIGIN_KEY);
        let keys = self.expressions.key.as_ref().map(|key| texts(key, &batch)).transpose()?;
        // What had no value keeps none, where nothing else is written of it.
        let has_no_value = |row: usize| origin.is_some() && batch.num_columns() == 1 && batch.column(0).is_null(row);
        let headers = self.expressions.headers.iter();
        let headers =
            headers.map(|(name, value)| Ok((name.clone(), texts(value, &batch)?))).collect::<Result<Vec<_>>>()?;
        // Rows share a message only if they share its key; headers are of a row, so they keep it alone.
        let is_alone = origin.is_some() || !headers.is_empty() || self.rows_per_message == 1;
        let mut open: BTreeMap<Option<Vec<u8>>, (usize, usize)> = BTreeMap::new();
        for (row, line) in lines.into_iter().enumerate() {
            let key = keys.as_ref().or(origin_keys).and_then(|keys| text_at(keys, row));
            if !is_alone
                && let Some((at, n_rows)) = open.get_mut(&key)
                && *n_rows < self.rows_per_message
            {
                let value: &mut Vec<u8> = &mut messages[*at].value;
                value.push(b'\n');
                value.extend_from_slice(&line);
                *n_rows += 1;
                continue;
            }
            let mut message =
                Message { topic: Arc::clone(&self.topic), key: key.clone(), value: line, ..Message::default() };
            message.is_tombstone = has_no_value(row);
            for (name, values) in &headers {
                if let Some(value) = text_at(values, row) {
                    message.headers.push((name.clone().into(), value));
                }
            }
            if let Some(origin) = &origin {
                message.headers.extend(origin.headers(row, &self.pipeline));
            }
            open.insert(key, (messages.len(), 1));
            messages.push(message);
        }
        Ok(())
    }
}

/// An expression's values as bytes.
fn texts(expression: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
    let values = expression.evaluate(batch)?.into_array(batch.num_rows())?;
    Ok(match values.data_type() {
        DataType::Binary => values,
        DataType::Utf8 => cast(&values, &DataType::Binary)?,
        _ => cast(&cast(&values, &DataType::Utf8)?, &DataType::Binary)?,
    })
}

fn text_at(values: &ArrayRef, row: usize) -> Option<Vec<u8>> {
    let values = values.as_binary::<i32>();
    (!values.is_null(row)).then(|| values.value(row).to_vec())
}

/// Where late rows and dead letters are from.
struct Origin {
    splits: ArrayRef,
    positions: ArrayRef,
    reasons: ArrayRef,
}

impl Origin {
    fn of(batch: &RecordBatch) -> Result<Option<Self>> {
        let column = |index: usize| batch.column_by_name(ORIGIN[index].0).cloned();
        match (column(0), column(1), column(2)) {
            (Some(splits), Some(positions), Some(reasons)) => Ok(Some(Self { splits, positions, reasons })),
            (None, None, None) => Ok(None),
            _ => Err(Error::internal("rows with half an origin")),
        }
    }

    fn headers(&self, row: usize, pipeline: &str) -> Vec<(std::borrow::Cow<'static, str>, Vec<u8>)> {
        let split = self.splits.as_string::<i32>().value(row);
        let (topic, partition) = split.rsplit_once('/').unwrap_or((split, ""));
        let position = self.positions.as_primitive::<Int64Type>().value(row);
        vec![
            (ORIGIN_TOPIC.into(), topic.into()),
            (ORIGIN_PARTITION.into(), partition.into()),
            (ORIGIN_OFFSET.into(), position.to_string().into()),
            (ORIGIN_REASON.into(), self.reasons.as_string::<i32>().value(row).into()),
            (ORIGIN_PIPELINE.into(), pipeline.into()),
        ]
    }
}

/// Writes outside of transactions, with an idempotent producer: at least once.
pub(crate) struct PlainSink {
    producer: IdempotentProducer,
    encode: Encode,
    staged: Vec<Message>,
}

impl PlainSink {
    pub(crate) fn open(connection: &KafkaConnection, options: &SinkOptions, encode: Encode) -> Result<Self> {
        let producer = IdempotentProducer::connect(connection, options.compression).map_err(of_kafka)?;
        Ok(Self { producer, encode, staged: Vec::new() })
    }

    fn send_all(&mut self) -> Result<()> {
        for message in std::mem::take(&mut self.staged) {
            self.producer.send(&record(&message)).map_err(of_kafka)?;
        }
        self.producer.flush(FLUSH).map_err(of_kafka)
    }
}

impl Sink for PlainSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.encode.encode(batch, &mut self.staged)
    }

    fn commit(&mut self) -> Result<()> {
        self.send_all()
    }

    fn abort(&mut self) -> Result<()> {
        self.staged.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.send_all()
    }
}
