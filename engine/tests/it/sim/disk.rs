//! The disk for spilled state, which is full at times.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use davy_engine::operator::spill::{MemorySpill, Spill, SpilledParts};
use davy_engine::{Error, Result};

#[derive(Debug)]
pub struct Disk {
    /// A canary: it reports success when there is no room, and keeps nothing.
    loses_batches: bool,
    is_full: AtomicBool,
}

impl Disk {
    pub fn new(loses_batches: bool) -> Self {
        Self { loses_batches, is_full: AtomicBool::new(false) }
    }

    pub fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
    }

    pub fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }
}

impl Spill for Disk {
    fn write(&self, parts: &mut dyn Iterator<Item = Result<RecordBatch>>) -> Result<Arc<dyn SpilledParts>> {
        if !self.is_full() {
            return MemorySpill.write(parts);
        }
        if self.loses_batches {
            return MemorySpill.write(&mut parts.map(|part| Ok(part?.slice(0, 0))));
        }
        Err(Error::Unavailable("no room on the disk for spilled state".into()))
    }
}
