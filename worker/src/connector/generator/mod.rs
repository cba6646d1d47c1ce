//! `netflow_generator`: made-up traffic of a network in which some hosts mine.
//!
//! Rows depend on the seed and their position only: a block of rows has its own random stream, and a miner's records are
//! where its 300-second active timeout falls. So reading can resume anywhere, and two runs are the same. Addresses are from
//! the ranges for private networks, benchmarks and documentation: no real server is labelled a pool.
//!
//! As batches it has few columns and a `label`; with `format = 'csv'` it has lines of the whole 71-column record instead.

mod block;
mod columns;
mod flow;
mod text;
mod world;

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use davy_engine::connector::{Share, Table, TableRequest};
use davy_engine::format::Format;
use davy_engine::log::{Payload, Sink, Source};
use davy_engine::options::Options;
use davy_engine::{Error, Result};

use self::block::{BLOCK_ROWS, Blocks, Timing};
use self::columns::Columns;
use self::world::World;
use super::Role;
use super::throttle::{Amount, MakeRows, RowSource, take_n_splits, take_rate, take_start_time};

/// Flows per second of event time.
const RATE_DEFAULT: f64 = 1000.0;

pub(super) fn table(request: &TableRequest<'_>, options: &mut Options) -> Result<Arc<dyn Table>> {
    Role::Source.take_only(request, options)?;
    let as_text = match request.format {
        None => false,
        Some(Format::Csv(_)) => true,
        Some(_) => {
            let message = format!("table `{}`: `netflow_generator` gives `format = 'csv'` only", request.name);
            return Err(Error::invalid(message).hint("leave `format` out to get typed columns without any parsing"));
        }
    };
    let seed = options.parse("seed", "a number from 0")?.unwrap_or(1);
    let (n_hosts, miner_share) = take_hosts(options)?;
    let rate = take_rate("rate", options)?.unwrap_or(RATE_DEFAULT);
    let realtime = options.parse_bool("realtime")?.unwrap_or(false);
    let amount = Amount {
        n_splits: take_n_splits(options)?,
        n_rows: options.parse("rows", "a number of rows")?,
        rows_per_second: realtime.then_some(rate),
    };
    let timing = Timing {
        start_ns: take_start_time(options)?,
        step_ns: step_ns(rate, amount.n_splits),
        jitter_ns: take_jitter_ns(options)?,
    };
    let world = Arc::new(World::new(seed, n_hosts, miner_share));
    let generator = Generator { name: request.name.to_owned(), as_text, amount, timing, world };
    if !as_text {
        generator.columns(&Arc::new(Schema::new(request.columns.to_vec())))?;
    }
    Ok(Arc::new(generator))
}

/// Options `hosts` and `miners` (a share of the hosts).
fn take_hosts(options: &mut Options) -> Result<(u32, f64)> {
    let n_hosts = options.parse("hosts", "a number from 1 to 1000000")?.unwrap_or(1000);
    if !(1..=1_000_000).contains(&n_hosts) {
        return Err(options.bad_value("hosts", &n_hosts.to_string(), "a number from 1 to 1000000"));
    }
    let share = options.parse("miners", "a share from 0 to 1")?.unwrap_or(0.01);
    if !(0.0..=1.0).contains(&share) {
        return Err(options.bad_value("miners", &share.to_string(), "a share from 0 to 1"));
    }
    Ok((n_hosts, share))
}

/// Option `out_of_order`: by how many seconds rows may come late.
fn take_jitter_ns(options: &mut Options) -> Result<u64> {
    const WHAT: &str = "a number of seconds from 0";
    let Some(seconds) = options.parse::<f64>("out_of_order", WHAT)? else { return Ok(0) };
    let jitter = Duration::try_from_secs_f64(seconds).ok().and_then(|jitter| u64::try_from(jitter.as_nanos()).ok());
    jitter.ok_or_else(|| options.bad_value("out_of_order", &seconds.to_string(), WHAT))
}

/// Event time between two rows of one split.
fn step_ns(rate: f64, n_splits: u64) -> u64 {
    ((n_splits as f64 * 1e9 / rate).round() as u64).max(1)
}

/// The table of made-up flows.
#[derive(Debug)]
struct Generator {
    name: String,
    as_text: bool,
    amount: Amount,
    timing: Timing,
    world: Arc<World>,
}

impl Generator {
    fn columns(&self, schema: &SchemaRef) -> Result<Columns> {
        Columns::new(format!("table `{}`: `netflow_generator`", self.name), schema)
    }
}

impl Table for Generator {
    fn default_columns(&self) -> Vec<FieldRef> {
        if self.as_text { text::fields() } else { columns::fields() }
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
        self.as_text
    }

    fn source(&self, schema: &SchemaRef, share: Share) -> Result<Box<dyn Source>> {
        let columns = if self.as_text { None } else { Some(self.columns(schema)?) };
        let blocks = Blocks::new(self.world.clone(), self.timing, self.amount.n_splits);
        let maker = Maker { world: self.world.clone(), blocks, columns };
        Ok(Box::new(RowSource::new("netflow_generator", share, self.amount, BLOCK_ROWS, maker)))
    }

    fn sink(&self, _schema: &SchemaRef) -> Result<Box<dyn Sink>> {
        Err(Error::internal("connector `netflow_generator` cannot be written"))
    }
}

/// Makes flows as batches or as text.
struct Maker {
    world: Arc<World>,
    blocks: Blocks,
    /// `None` makes text.
    columns: Option<Columns>,
}

impl MakeRows for Maker {
    fn make(&mut self, split: u64, from: u64, n_rows_max: usize) -> Result<(usize, Payload)> {
        let flows = self.blocks.flows(split, from);
        let flows = &flows[..flows.len().min(n_rows_max)];
        let payload = match &self.columns {
            Some(columns) => Payload::Batch(columns.batch(flows, &self.world)?),
            None => Payload::Bytes(text::lines(flows, &self.world)),
        };
        Ok((flows.len(), payload))
    }
}
