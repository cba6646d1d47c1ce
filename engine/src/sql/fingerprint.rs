//! Numbers that identify plans: FNV-1a over their text, stable across builds and machines.
//!
//! There are two. The plan fingerprint covers every part: all tasks of a dataflow must run the same plan. The state fingerprint covers
//! what stored state depends on: the query below the windows, the aggregates, and how partials are spread. The query above closed
//! windows has no state, and neither has a query without windows, so these may change between two runs.

use std::hash::Hasher;

use crate::error::Result;
use crate::operator::partial::WindowedAggregate;
use crate::operator::partition;
use crate::plan::{Output, Stage};

struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Of everything: the logical plan, where it is cut, and by what partials are spread.
pub(super) fn of_plan(plan: &str, stages: &[Stage]) -> Result<u64> {
    let mut hasher = Fnv::default();
    hasher.write(plan.as_bytes());
    // Where windows are, and by what their partials are spread, decides what is stored where.
    for branch in stages.iter().flat_map(|stage| &stage.branches) {
        match &branch.output {
            Output::Sink(_) => hasher.write(b"sink"),
            Output::Local(_) => hasher.write(b"local"),
            Output::Exchange(aggregate) => {
                hasher.write(b"exchange");
                aggregate.partition_columns().iter().for_each(|column| hasher.write(&column.to_le_bytes()));
            }
        }
    }
    hasher.write(&partition::identity()?.to_le_bytes());
    Ok(hasher.finish())
}

/// Of what decides what positions and stored partials mean.
pub(super) fn of_state(stages: &[Stage]) -> Result<u64> {
    let mut hasher = Fnv::default();
    for stage in stages {
        hasher.write(b"stage");
        for branch in &stage.branches {
            match &branch.output {
                // Its only state is the position.
                Output::Sink(_) => hasher.write(b"sink"),
                Output::Local(windows) => {
                    hasher.write(b"local");
                    hasher.write(branch.plan.to_string().as_bytes());
                    of_aggregate(&windows.aggregate, &mut hasher)?;
                }
                Output::Exchange(aggregate) => {
                    hasher.write(b"exchange");
                    hasher.write(branch.plan.to_string().as_bytes());
                    of_aggregate(aggregate, &mut hasher)?;
                }
            }
        }
    }
    hasher.write(&partition::identity()?.to_le_bytes());
    Ok(hasher.finish())
}

fn of_aggregate(aggregate: &WindowedAggregate, hasher: &mut Fnv) -> Result<()> {
    hasher.write(aggregate.exchange.0.as_bytes());
    hasher.write(format!("{:?}", aggregate.spec).as_bytes());
    for call in aggregate.calls() {
        hasher.write(call.function.fun().name().as_bytes());
        let arguments = call.function.expressions();
        arguments.iter().for_each(|argument| hasher.write(format!("{argument}").as_bytes()));
        call.filter.iter().for_each(|filter| hasher.write(format!("{filter}").as_bytes()));
    }
    for field in aggregate.partial_schema()?.fields() {
        hasher.write(format!("{} {} {}", field.name(), field.data_type(), field.is_nullable()).as_bytes());
    }
    aggregate.partition_columns().iter().for_each(|column| hasher.write(&column.to_le_bytes()));
    Ok(())
}
