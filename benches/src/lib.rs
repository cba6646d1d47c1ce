//! What the benches share: tables of ready-made batches, a single-threaded run of a pipeline, and seeded flows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use davy_engine::connector::{Connectors, Share, Table, TableRequest};
use davy_engine::log::memory::MemoryLog;
use davy_engine::log::{ExchangeId, Fetched, Payload, Polled, Position, Sink, Source, SplitId};
use davy_engine::metrics::Metrics;
use davy_engine::operator::spill::{Budget, MemorySpill};
use davy_engine::options::Options;
use davy_engine::plan::{Pipeline, RESULTS, StageInput};
use davy_engine::task::{ROWS_PER_ADVANCE, Step, Task, TaskParts};
use davy_engine::{Error, Result};

/// Connector `batches`: every table of it gives these, as one split.
#[derive(Clone, Debug)]
pub struct Batches(pub Arc<Vec<RecordBatch>>);

impl Connectors for Batches {
    fn names(&self) -> Vec<&'static str> {
        vec!["batches"]
    }

    fn table(&self, _: TableRequest<'_>, _: &mut Options) -> Result<Arc<dyn Table>> {
        Ok(Arc::new(self.clone()))
    }
}

impl Table for Batches {
    fn is_source(&self) -> bool {
        true
    }

    fn is_sink(&self) -> bool {
        false
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn reads_bytes(&self) -> bool {
        false
    }

    fn source(&self, schema: &SchemaRef, _: Share) -> Result<Box<dyn Source>> {
        let columns: Vec<usize> = match self.0.first() {
            Some(batch) => {
                schema.fields().iter().map(|field| batch.schema().index_of(field.name())).collect::<Result<_, _>>()?
            }
            None => Vec::new(),
        };
        Ok(Box::new(BatchSource { batches: Arc::clone(&self.0), columns, next: 0 }))
    }

    fn sink(&self, _: &SchemaRef) -> Result<Box<dyn Sink>> {
        Err(Error::internal("batches are read only"))
    }
}

struct BatchSource {
    batches: Arc<Vec<RecordBatch>>,
    columns: Vec<usize>,
    next: usize,
}

impl Source for BatchSource {
    fn splits(&mut self) -> Result<Vec<SplitId>> {
        Ok(vec![SplitId::from("batches")])
    }

    fn assign(&mut self, _: &SplitId, from: Position) -> Result<()> {
        self.next = from.0 as usize;
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled> {
        let Some(batch) = self.batches.get(self.next) else { return Ok(Polled::End) };
        let start = Position(self.next as u64);
        self.next += 1;
        Ok(Polled::Data(Fetched {
            split: SplitId::from("batches"),
            start,
            next: Position(self.next as u64),
            preamble: None,
            messages: None,
            payload: Payload::Batch(batch.project(&self.columns)?),
            end_of_split: false,
        }))
    }
}

/// Runs a pipeline with one INSERT to its end in this thread, all stages in turn, with a commit every `rows_per_commit` rows.
/// Gives the rows of its SELECT.
pub fn run_here(pipeline: Pipeline, rows_per_commit: usize) -> Result<Vec<RecordBatch>> {
    let log = MemoryLog::keeping_rows();
    let budget = Budget::new(usize::MAX, Arc::new(MemorySpill))?;
    let metrics = Arc::new(Metrics::default());
    for dataflow in pipeline.dataflows {
        let dataflow = Arc::new(dataflow);
        let n_tasks: Arc<[u32]> = vec![1; dataflow.stages.len()].into();
        let mut tasks = Vec::new();
        for (stage, planned) in dataflow.stages.iter().enumerate() {
            let source: Box<dyn Source> = match &planned.input {
                StageInput::Table(plan) => plan.table.table.source(&plan.schema, Share { index: 0, count: 1 })?,
                StageInput::Exchanges(inputs) => {
                    let exchanges: Vec<ExchangeId> =
                        inputs.iter().map(|input| input.aggregate.exchange.clone()).collect();
                    Box::new(log.source_of(&exchanges, 0))
                }
            };
            let name: Arc<str> = format!("bench/{stage}").into();
            let parts = TaskParts {
                commit: Box::new(log.commit_for(&name)),
                name,
                dataflow: Arc::clone(&dataflow),
                stage,
                n_tasks: Arc::clone(&n_tasks),
                index: 0,
                n_partitions: 1,
                source,
                budget: budget.clone(),
                metrics: Arc::clone(&metrics),
                board: Arc::default(),
                run_start: 0,
                rows_per_advance: ROWS_PER_ADVANCE,
                probe: |_| (),
            };
            tasks.push(Task::recover(parts, std::time::Duration::ZERO)?);
        }
        for mut task in tasks {
            loop {
                let step = task.step(std::time::Duration::ZERO)?;
                if step == Step::Ended {
                    task.commit()?;
                    break;
                }
                if rows_per_commit <= task.uncommitted() {
                    task.commit()?;
                }
            }
        }
    }
    Ok(log.rows(RESULTS))
}

/// A script that reads table `flows` from [`Batches`].
pub fn script(query: &str) -> String {
    format!(
        "CREATE TABLE flows (te TIMESTAMP, sa TEXT, da TEXT, dp INT, packets BIGINT, bytes BIGINT, WATERMARK FOR te)
         WITH (connector = 'batches'); {query}"
    )
}

/// Plans a script over batches.
pub fn plan(batches: &Batches, text: &str) -> Result<Pipeline> {
    let settings = BTreeMap::new();
    davy_engine::sql::plan(&davy_engine::sql::PlanRequest { text, connectors: batches, settings: &settings })
}

/// `n_rows` flows of `n_groups` different (sa, da, dp), in order of time, `rows_per_second` to the second; seeded.
pub fn flows(n_rows: usize, n_groups: u64, rows_per_second: i64) -> Batches {
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("te", DataType::Timestamp(TimeUnit::Nanosecond, None), true),
        Field::new("sa", DataType::Utf8, true),
        Field::new("da", DataType::Utf8, true),
        Field::new("dp", DataType::Int32, true),
        Field::new("packets", DataType::Int64, true),
        Field::new("bytes", DataType::Int64, true),
    ]));
    const BATCH: usize = 16_384;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut batches = Vec::new();
    for first in (0..n_rows).step_by(BATCH) {
        let rows = BATCH.min(n_rows - first);
        let groups: Vec<u64> = (0..rows).map(|_| random() % n_groups).collect();
        let time = |row: usize| (first + row) as i64 * 1_000_000_000 / rows_per_second;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampNanosecondArray::from_iter_values((0..rows).map(time))),
            Arc::new(StringArray::from_iter_values(
                groups.iter().map(|g| format!("10.{}.{}.{}", g >> 16, g >> 8 & 255, g & 255)),
            )),
            Arc::new(StringArray::from_iter_values(groups.iter().map(|g| format!("192.168.{}.{}", g % 7, g % 251)))),
            Arc::new(Int32Array::from_iter_values(groups.iter().map(|g| (g % 1024) as i32))),
            Arc::new(Int64Array::from_iter_values((0..rows).map(|_| (random() % 100) as i64))),
            Arc::new(Int64Array::from_iter_values((0..rows).map(|_| (random() % 100_000) as i64))),
        ];
        // The schema and the columns are built from the same list, three lines apart.
        batches.push(RecordBatch::try_new(Arc::clone(&schema), columns).expect("columns fit their schema"));
    }
    Batches(Arc::new(batches))
}

/// CPU seconds that this process has used, of all threads; from `/proc/self/stat`, in steps of 10 ms. `None` elsewhere.
pub fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}
