//! Rows to messages: keys, headers, timestamps, several rows per message; and the sink that writes them outside of transactions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type, TimestampMillisecondType};
use davy_engine::format::{BadReason, Encoder};
use davy_engine::log::transactions::{Message, RowEncoder};
use davy_engine::log::{Sink, Unwritable};
use davy_engine::plan::{ORIGIN, ORIGIN_KEY, SinkPlan};
use davy_engine::task::fit_to_sink;
use davy_engine::{Error, Result};
use davy_kafka::KafkaConnection;
use davy_kafka::producer::{IdempotentProducer, Sizes};

use super::expressions::{Expressions, milliseconds, numbers, texts};
use super::options::SinkOptions;
use super::transactions::record;
use super::{limits, of_kafka};

/// The headers of late rows and dead letters.
const ORIGIN_TOPIC: &str = "davy-topic";
const ORIGIN_PARTITION: &str = "davy-partition";
const ORIGIN_OFFSET: &str = "davy-offset";
const ORIGIN_REASON: &str = "davy-reason";
const ORIGIN_PIPELINE: &str = "davy-pipeline";
/// What a person can do about a message that is too long.
const RAISE: &str = "raise the topic's `max.message.bytes`";
/// How long it is waited for messages that were written outside of a transaction.
const FLUSH: Duration = Duration::from_secs(30);

/// Makes messages of the rows of one table.
pub(crate) struct Encode {
    pub(crate) plan: SinkPlan,
    pub(crate) topic: Arc<str>,
    pub(crate) pipeline: Arc<str>,
    pub(crate) rows_per_message: usize,
    /// The longest that key, value and headers may be together.
    pub(crate) message_bytes_max: usize,
    /// How many its topic has, where rows say which one.
    pub(crate) n_partitions: i32,
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

/// The rows of a batch as messages' parts.
struct Rows {
    lines: Vec<Vec<u8>>,
    keys: Option<ArrayRef>,
    headers: Vec<(String, ArrayRef)>,
    /// In milliseconds.
    timestamps: Option<ArrayRef>,
    partitions: Option<ArrayRef>,
    origin: Option<Origin>,
    /// Rows that had no value, and of which nothing else is written.
    are_tombstones: Option<ArrayRef>,
}

impl Rows {
    /// The message of one row.
    fn message(&mut self, row: usize, encode: &Encode) -> Message {
        let mut message = Message {
            topic: Arc::clone(&encode.topic),
            partition: self.partitions.as_ref().and_then(|numbers| number_at(numbers, row)),
            key: self.keys.as_ref().and_then(|keys| text_at(keys, row)),
            value: std::mem::take(&mut self.lines[row]),
            timestamp_ms: self.timestamps.as_ref().and_then(|values| milliseconds_at(values, row)),
            is_tombstone: self.are_tombstones.as_ref().is_some_and(|values| values.is_null(row)),
            ..Message::default()
        };
        for (name, values) in &self.headers {
            if let Some(value) = text_at(values, row) {
                message.headers.push((name.clone().into(), value));
            }
        }
        if let Some(origin) = &self.origin {
            message.headers.extend(origin.headers(row, &encode.pipeline));
        }
        message
    }
}

impl Encode {
    fn rows(&mut self, given: &RecordBatch) -> Result<Rows> {
        let batch = fit_to_sink(&self.plan, given)?;
        let lines = self.lines(&batch)?;
        let origin = Origin::of(given)?;
        let key = self.expressions.key.as_ref().map(|key| texts(key, &batch)).transpose()?;
        let keys = key.or_else(|| given.column_by_name(ORIGIN_KEY).cloned());
        let headers = self.expressions.headers.iter();
        let headers = headers.map(|(name, value)| Ok((name.clone(), texts(value, &batch)?))).collect::<Result<_>>()?;
        let timestamps = self.expressions.timestamp.as_ref().map(|at| milliseconds(at, &batch)).transpose()?;
        let partitions = self.expressions.partition.as_ref().map(|number| numbers(number, &batch)).transpose()?;
        let are_tombstones = (origin.is_some() && batch.num_columns() == 1).then(|| Arc::clone(batch.column(0)));
        Ok(Rows { lines, keys, headers, timestamps, partitions, origin, are_tombstones })
    }

    /// The rows that would go to a partition that is not there.
    fn misplaced(&self, batch: &RecordBatch) -> Result<Vec<Unwritable>> {
        let Some(number) = &self.expressions.partition else { return Ok(Vec::new()) };
        let numbers = numbers(number, batch)?;
        let numbered = numbers.as_primitive::<Int64Type>().iter().enumerate();
        let is_missing = |number: i64| !(0..i64::from(self.n_partitions)).contains(&number);
        let missing =
            numbered.filter_map(|(row, number)| number.filter(|number| is_missing(*number)).map(|n| (row, n)));
        let unwritable = |(row, number)| Unwritable {
            row,
            reason: BadReason::Expression,
            why: format!(
                "goes to partition {number}, topic `{}` has {} partitions, counted from 0",
                self.topic, self.n_partitions
            ),
            remedy: "add partitions to the topic, or change the table's option `partition`",
        };
        Ok(missing.map(unwritable).collect())
    }

    /// Rows share a message only if they share its key; headers, timestamps and partitions are of a row, so they keep it alone.
    fn message_may_be_shared(&self, origin: Option<&Origin>) -> bool {
        let Expressions { headers, timestamp, partition, .. } = &self.expressions;
        let is_plain = headers.is_empty() && timestamp.is_none() && partition.is_none();
        origin.is_none() && is_plain && 1 < self.rows_per_message
    }

    /// A dead letter whose value is shortened until its message fits.
    fn shortened(&mut self, given: &RecordBatch) -> Result<Message> {
        let mut dead_letter = given.clone();
        loop {
            let message = self.rows(&dead_letter)?.message(0, self);
            if n_bytes(&message) <= self.message_bytes_max {
                return Ok(message);
            }
            dead_letter = halved(&dead_letter)?.ok_or_else(|| {
                Error::invalid(format!(
                    "table `{}`: a dead letter without its value has {} bytes, topic `{}` takes {}",
                    self.plan.name,
                    n_bytes(&message),
                    self.topic,
                    self.message_bytes_max
                ))
                .hint(RAISE)
            })?;
        }
    }
}

fn n_bytes(message: &Message) -> usize {
    let headers = message.headers.iter().map(|(name, value)| (&**name, value.len()));
    limits::n_bytes(message.key.as_deref(), &message.value, headers)
}

/// A dead letter with half of its value, or of its details if there is no value; `None` where there is neither.
fn halved(dead_letter: &RecordBatch) -> Result<Option<RecordBatch>> {
    let mut columns = dead_letter.columns().to_vec();
    for (field, column) in dead_letter.schema().fields().iter().zip(&mut columns) {
        let half: ArrayRef = match (field.name().as_str(), column.data_type()) {
            ("value", DataType::Binary) => {
                let bytes = column.as_binary::<i32>();
                if bytes.is_null(0) || bytes.value(0).is_empty() {
                    continue;
                }
                Arc::new(BinaryArray::from_iter_values([&bytes.value(0)[..bytes.value(0).len() / 2]]))
            }
            ("detail", DataType::Utf8) if !column.as_string::<i32>().value(0).is_empty() => {
                let text = column.as_string::<i32>().value(0);
                Arc::new(StringArray::from(vec![&text[..text.floor_char_boundary(text.len() / 2)]]))
            }
            _ => continue,
        };
        *column = half;
        return Ok(Some(RecordBatch::try_new(dead_letter.schema(), columns)?));
    }
    Ok(None)
}

impl RowEncoder for Encode {
    fn encode(&mut self, given: &RecordBatch, messages: &mut Vec<Message>) -> Result<()> {
        if given.num_rows() == 0 {
            return Ok(());
        }
        let mut rows = self.rows(given)?;
        let is_shared = self.message_may_be_shared(rows.origin.as_ref());
        let is_dead_letter = given.column_by_name(ORIGIN_KEY).is_some();
        let mut open: BTreeMap<Option<Vec<u8>>, (usize, usize)> = BTreeMap::new();
        for row in 0..given.num_rows() {
            let mut message = rows.message(row, self);
            if is_shared
                && let Some((at, n_rows)) = open.get_mut(&message.key)
                && *n_rows < self.rows_per_message
                && n_bytes(&messages[*at]) + message.value.len() < self.message_bytes_max
            {
                let value: &mut Vec<u8> = &mut messages[*at].value;
                value.push(b'\n');
                value.append(&mut message.value);
                *n_rows += 1;
                continue;
            }
            if is_dead_letter && self.message_bytes_max < n_bytes(&message) {
                message = self.shortened(&given.slice(row, 1))?;
            }
            if is_shared {
                open.insert(message.key.clone(), (messages.len(), 1));
            }
            messages.push(message);
        }
        Ok(())
    }

    fn unwritable(&mut self, given: &RecordBatch) -> Result<Vec<Unwritable>> {
        // Dead letters are shortened.
        if given.num_rows() == 0 || given.column_by_name(ORIGIN_KEY).is_some() {
            return Ok(Vec::new());
        }
        let of_expressions = self.expressions.key.iter().chain(self.expressions.headers.iter().map(|(_, value)| value));
        let batch = fit_to_sink(&self.plan, given)?;
        let mut bound = limits::longest_row(&batch);
        for expression in of_expressions {
            bound += limits::longest_value(&texts(expression, &batch)?);
        }
        bound += self.expressions.headers.iter().map(|(name, _)| name.len() + limits::HEADER_OVERHEAD).sum::<usize>();
        let mut unwritable = self.misplaced(&batch)?;
        if bound <= self.message_bytes_max {
            return Ok(unwritable);
        }
        let misplaced: BTreeSet<usize> = unwritable.iter().map(|misplaced| misplaced.row).collect();
        let mut rows = self.rows(given)?;
        for row in (0..given.num_rows()).filter(|row| !misplaced.contains(row)) {
            let n_bytes = n_bytes(&rows.message(row, self));
            if self.message_bytes_max < n_bytes {
                let why = format!("has {n_bytes} bytes, topic `{}` takes {}", self.topic, self.message_bytes_max);
                unwritable.push(Unwritable { row, reason: BadReason::TooLong, why, remedy: RAISE });
            }
        }
        Ok(unwritable)
    }
}

fn number_at(numbers: &ArrayRef, row: usize) -> Option<u32> {
    let numbers = numbers.as_primitive::<Int64Type>();
    (!numbers.is_null(row)).then(|| u32::try_from(numbers.value(row)).ok())?
}

fn milliseconds_at(values: &ArrayRef, row: usize) -> Option<i64> {
    let values = values.as_primitive::<TimestampMillisecondType>();
    (!values.is_null(row)).then(|| values.value(row))
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
        let sizes = limits::with_topic(Sizes::default(), encode.message_bytes_max);
        let producer = IdempotentProducer::connect(connection, options.compression, sizes).map_err(of_kafka)?;
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

    fn unwritable(&mut self, rows: &RecordBatch) -> Result<Vec<Unwritable>> {
        self.encode.unwritable(rows)
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
