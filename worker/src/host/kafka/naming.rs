//! What a pipeline is called on the broker. Everything begins with `davy.<pipeline>.`, so that one prefix grants it.

use std::sync::Arc;

use davy_engine::log::ExchangeId;

/// The transactional id of a task: its fence.
pub(super) fn transactional_id(pipeline: &str, dataflow: usize, stage: usize, task: u32) -> String {
    format!("davy.{pipeline}.{dataflow}.{}.{task}", stage + 1)
}

/// The group for which a stage's positions are committed.
pub(super) fn group(pipeline: &str, dataflow: usize, stage: usize) -> String {
    format!("davy.{pipeline}.{dataflow}.{}", stage + 1)
}

/// The topic of an exchange.
pub(super) fn exchange_topic(pipeline: &str, exchange: &ExchangeId) -> Arc<str> {
    format!("davy.{pipeline}.{}", exchange.0).into()
}
