//! What a task may hold in memory, and where state goes beyond that.
//!
//! The engine touches no disk: the worker brings one behind [`Spill`]. What is spilled can be rebuilt from the log, so losing it costs a
//! recovery and no row.

use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};

use crate::error::{Error, Result};

/// Rows that an operator takes in before it looks at the size of its state.
pub(crate) const ROWS_PER_STEP: usize = 1 << 12;

/// A place for batches that do not fit into memory.
pub trait Spill: Debug + Send + Sync {
    /// Writes one batch per part. What is written is removed when the last handle is dropped.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] when the disk is full or away.
    fn write(&self, parts: &mut dyn Iterator<Item = Result<RecordBatch>>) -> Result<Arc<dyn SpilledParts>>;
}

/// Batches that have been spilled.
pub trait SpilledParts: Debug + Send + Sync {
    /// Reads one part back.
    fn read(&self, part: usize) -> Result<RecordBatch>;
}

/// Keeps in memory what is spilled: for tests, and for benchmarks without a disk.
#[derive(Debug, Default)]
pub struct MemorySpill;

#[derive(Debug)]
struct Kept(Vec<RecordBatch>);

impl Spill for MemorySpill {
    fn write(&self, parts: &mut dyn Iterator<Item = Result<RecordBatch>>) -> Result<Arc<dyn SpilledParts>> {
        Ok(Arc::new(Kept(parts.collect::<Result<_>>()?)))
    }
}

impl SpilledParts for Kept {
    fn read(&self, part: usize) -> Result<RecordBatch> {
        self.0.get(part).cloned().ok_or_else(|| Error::internal(format!("no part {part} was spilled")))
    }
}

/// What one task may hold.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Its memory pool holds the whole budget, and its error names the largest holders.
    pub runtime: Arc<RuntimeEnv>,
    /// How much of it may be state between two steps. The rest is for what a step does with state: to give it out or to spill it
    /// takes copies, and the query above the windows has operators of its own.
    pub state_bytes: usize,
    pub spill: Arc<dyn Spill>,
}

impl Budget {
    pub fn new(memory_bytes: usize, spill: Arc<dyn Spill>) -> Result<Self> {
        const NAMED_HOLDERS: NonZeroUsize = NonZeroUsize::new(5).expect("five is not zero");
        let pool = TrackConsumersPool::new(GreedyMemoryPool::new(memory_bytes), NAMED_HOLDERS);
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build()?;
        Ok(Self { runtime: Arc::new(runtime), state_bytes: memory_bytes / 4, spill })
    }

    pub(crate) fn pool(&self) -> &Arc<dyn MemoryPool> {
        &self.runtime.memory_pool
    }

    /// For one of `n` operators with state.
    #[must_use]
    pub(crate) fn divided(&self, n: usize) -> Self {
        Self { state_bytes: self.state_bytes / n.max(1), ..self.clone() }
    }
}
