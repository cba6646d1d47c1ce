//! Sets the watermarks of a pipeline back, for `davy offsets --reset-watermark`.

use std::sync::Arc;

use davy_engine::plan::Pipeline;
use davy_engine::task::{ResetWatermark, reset_watermark};
use davy_engine::{Error, Result};

use super::attempt::parts;
use super::{Missing, cluster_of, examine, tasks_with};
use crate::host::control::Control;
use crate::host::{HostOptions, Shared, owner};

/// What was done with a task.
#[derive(Clone, Debug)]
pub struct ResetRow {
    pub task: String,
    pub watermark: ResetWatermark,
}

/// Sets back every watermark of the pipeline that lies beyond `to`, ns since 1970. Takes each task over first, so that one that still runs
/// can commit no more; in the order of the stages, since each leaves out what those before it have written.
pub fn reset_watermarks(pipeline: Pipeline, options: HostOptions, to: i64) -> Result<Vec<ResetRow>> {
    let shared = Shared::for_planning(&pipeline, options)?;
    let control = Control::new(owner(), Arc::default(), || {});
    let mut rows = Vec::new();
    for (number, dataflow) in (1..).zip(pipeline.dataflows) {
        let dataflow = Arc::new(dataflow);
        let Some(cluster) = cluster_of(&dataflow)? else { continue };
        let examined = examine(&shared, &cluster, (number, &dataflow), Missing::Leave)?;
        if !examined.has_run {
            return Err(Error::invalid(format!("pipeline `{}` has no positions on this broker", shared.name))
                .hint("check its name: --name, or SET pipeline in the script"));
        }
        for task in tasks_with(&shared, &cluster, number, &dataflow, examined) {
            let watermark = reset_watermark(parts(&shared, &control, &task)?, to)?;
            rows.push(ResetRow { task: task.name.to_string(), watermark });
        }
    }
    Ok(rows)
}
