//! `impulse`: numbered rows at a steady event time, for tests and first steps.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, TimestampNanosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use davy_engine::connector::{Share, Table, TableRequest};
use davy_engine::log::{Payload, Sink, Source};
use davy_engine::options::Options;
use davy_engine::{Error, Result};

use super::Role;
use super::project::Projection;
use super::throttle::{Amount, MakeRows, RowSource, take_n_splits, take_rate, take_start_time};

const PIECE_ROWS_MAX: usize = 8192;

/// Event time between two rows, by default.
const INTERVAL_DEFAULT: Duration = Duration::from_millis(1);

pub(super) fn table(request: &TableRequest<'_>, options: &mut Options) -> Result<Arc<dyn Table>> {
    Role::Source.take_only(request, options)?;
    let rows_per_second = take_rate("event_rate", options)?;
    let n_rows = options.parse("message_count", "a number of rows")?;
    let interval = options.parse_duration("event_time_interval")?.unwrap_or_else(|| interval_of(rows_per_second));
    let start_ns = take_start_time(options)?;
    let amount = Amount { n_splits: take_n_splits(options)?, n_rows, rows_per_second };
    let impulse = Impulse { name: request.name.to_owned(), amount, start_ns, interval };
    impulse.projection(&Arc::new(Schema::new(request.columns.to_vec())))?;
    Ok(Arc::new(impulse))
}

fn interval_of(rows_per_second: Option<f64>) -> Duration {
    rows_per_second.and_then(|rate| Duration::try_from_secs_f64(1.0 / rate).ok()).unwrap_or(INTERVAL_DEFAULT)
}

/// The table of numbered rows.
#[derive(Debug)]
struct Impulse {
    name: String,
    amount: Amount,
    start_ns: i64,
    interval: Duration,
}

impl Impulse {
    fn projection(&self, schema: &SchemaRef) -> Result<Projection> {
        let available = Schema::new(self.default_columns());
        Projection::new(format!("table `{}`: `impulse`", self.name), &available, schema.clone())
    }
}

impl Table for Impulse {
    fn default_columns(&self) -> Vec<FieldRef> {
        let column = |name: &str, data_type| Arc::new(Field::new(name, data_type, false));
        vec![
            column("counter", DataType::UInt64),
            column("subtask_index", DataType::UInt64),
            column("timestamp", DataType::Timestamp(TimeUnit::Nanosecond, None)),
        ]
    }

    fn is_source(&self) -> bool {
        true
    }

    fn is_sink(&self) -> bool {
        false
    }

    fn is_bounded(&self) -> bool {
        self.amount.n_rows.is_some()
    }

    fn reads_bytes(&self) -> bool {
        false
    }

    fn source(&self, schema: &SchemaRef, share: Share) -> Result<Box<dyn Source>> {
        let projection = self.projection(schema)?;
        let columns = Arc::new(Schema::new(self.default_columns()));
        let interval_ns = i64::try_from(self.interval.as_nanos()).unwrap_or(i64::MAX);
        let maker = Counting { columns, projection, start_ns: self.start_ns, interval_ns };
        Ok(Box::new(RowSource::new("impulse", share, self.amount, PIECE_ROWS_MAX, maker)))
    }

    fn sink(&self, _schema: &SchemaRef) -> Result<Box<dyn Sink>> {
        Err(Error::internal("connector `impulse` cannot be written"))
    }
}

/// Row `n` of every split has counter `n` and its event time `n` intervals after the start.
struct Counting {
    columns: SchemaRef,
    projection: Projection,
    start_ns: i64,
    interval_ns: i64,
}

impl Counting {
    fn time_ns(&self, counter: u64) -> i64 {
        let since_start = self.interval_ns.saturating_mul(i64::try_from(counter).unwrap_or(i64::MAX));
        self.start_ns.saturating_add(since_start)
    }
}

impl MakeRows for Counting {
    fn make(&mut self, split: u64, from: u64, n_rows_max: usize) -> Result<(usize, Payload)> {
        let counters = from..from + n_rows_max as u64;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from_iter_values(counters.clone())),
            Arc::new(UInt64Array::from_value(split, n_rows_max)),
            Arc::new(TimestampNanosecondArray::from_iter_values(counters.map(|counter| self.time_ns(counter)))),
        ];
        let batch = RecordBatch::try_new(self.columns.clone(), columns)?;
        Ok((n_rows_max, Payload::Batch(self.projection.apply(&batch)?)))
    }
}
