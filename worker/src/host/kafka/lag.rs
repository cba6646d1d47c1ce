//! How far a pipeline has come in every partition that it reads.

use std::sync::Arc;

use davy_engine::log::offset_metadata::{OffsetMetadata, SplitState};
use davy_engine::plan::{Pipeline, StageInput};
use davy_engine::{Error, Result};
use davy_kafka::KafkaConnection;

use super::naming::{exchange_topic, group};
use crate::connector::kafka::KafkaTable;
use crate::connector::kafka::lag::{PartitionLag, of_topic};
use crate::host::HostOptions;

/// What is known of one partition.
#[derive(Clone, Debug)]
pub struct LagRow {
    /// Which INSERT, from 1.
    pub dataflow: usize,
    /// Which stage of it, from 1; 0 for what is only written.
    pub stage: usize,
    pub topic: String,
    pub partition: i32,
    /// The first offset that is there.
    pub first: u64,
    /// The offset after the last that can be read: behind it begins the oldest open transaction (Kafka's last stable offset).
    pub end: u64,
    /// Messages from there to the high watermark.
    pub open_messages: u64,
    pub position: Option<u64>,
    /// Messages not yet read; all of them where nothing is committed.
    pub lag: u64,
    /// The watermark, ns since 1970, where one is known.
    pub watermark: Option<i64>,
    /// Which task has it, and of how many.
    pub task: Option<(u32, u32)>,
}

/// Every partition that the pipeline reads, in the order of its stages.
pub fn lag(pipeline: &Pipeline, options: &HostOptions) -> Result<Vec<LagRow>> {
    let name = pipeline.name.as_deref().unwrap_or(&options.name);
    let mut rows = Vec::new();
    for (index, dataflow) in pipeline.dataflows.iter().enumerate() {
        let Some(cluster) = super::cluster_of(dataflow)? else { continue };
        for (stage, planned) in dataflow.stages.iter().enumerate() {
            let group = group(name, index + 1, stage);
            let is_exchange = matches!(planned.input, StageInput::Exchanges(_));
            let table = match &planned.input {
                StageInput::Table(plan) => KafkaTable::of(plan.table.table.as_ref()),
                StageInput::Exchanges(_) => None,
            };
            let topics: Vec<Arc<str>> = match &planned.input {
                StageInput::Table(_) => table.map(|table| Arc::clone(&table.topic)).into_iter().collect(),
                StageInput::Exchanges(inputs) => {
                    inputs.iter().map(|input| exchange_topic(name, &input.aggregate.exchange)).collect()
                }
            };
            for topic in topics {
                let found = match of_topic(&cluster, &topic, Some(&group)) {
                    // The first run makes it.
                    Err(Error::Invalid(_)) if is_exchange => continue,
                    found => found?,
                };
                let is_read = |found: &PartitionLag| table.is_none_or(|table| table.reads(found.partition));
                rows.extend(found.into_iter().filter(is_read).map(|found| LagRow {
                    dataflow: index + 1,
                    stage: stage + 1,
                    ..row(&topic, found)
                }));
            }
        }
    }
    Ok(rows)
}

/// Every partition of the topics that the pipeline writes to.
pub fn topics(pipeline: &Pipeline) -> Result<Vec<LagRow>> {
    let mut rows = Vec::new();
    let mut seen: Vec<(KafkaConnection, Arc<str>)> = Vec::new();
    for plan in &pipeline.sinks {
        let Some(table) = plan.table.as_deref().and_then(KafkaTable::of) else { continue };
        let topic = (table.cluster.clone(), Arc::clone(&table.topic));
        if seen.contains(&topic) {
            continue;
        }
        rows.extend(of_topic(&table.cluster, &table.topic, None)?.into_iter().map(|found| row(&table.topic, found)));
        seen.push(topic);
    }
    Ok(rows)
}

/// Of no stage: topics that are only written.
fn row(topic: &str, found: PartitionLag) -> LagRow {
    let PartitionLag { partition, offsets, high_watermark, committed } = found;
    let position = committed.as_ref().map(|(position, _)| position.0);
    let metadata = committed.and_then(|(_, metadata)| match metadata {
        OffsetMetadata::Valid(metadata) => Some(metadata),
        OffsetMetadata::Erased | OffsetMetadata::Unreadable(_) => None,
    });
    let watermark = metadata.as_ref().map(|metadata| match metadata.state {
        SplitState::Source { watermark } => watermark,
        SplitState::Windows { expected, .. } => expected,
    });
    LagRow {
        dataflow: 0,
        stage: 0,
        topic: topic.to_owned(),
        partition,
        first: offsets.start,
        end: offsets.end,
        open_messages: high_watermark.saturating_sub(offsets.end),
        position,
        lag: offsets.end.saturating_sub(position.unwrap_or(offsets.start)),
        watermark: watermark.filter(|watermark| *watermark != i64::MIN),
        task: metadata.map(|metadata| (metadata.task, metadata.n_tasks)),
    }
}
