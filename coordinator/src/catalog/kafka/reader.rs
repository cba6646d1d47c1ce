//! Reads the topic from its beginning: what is committed, in order.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::debug;

use super::client::{Context, failed, make, now, reason};
use super::{Halt, KafkaCatalogOptions, SLICE, codec};
use crate::catalog::CatalogError;
use crate::catalog::state::State;

/// How long it is waited for the next message before the barrier.
const PATIENCE: Duration = Duration::from_secs(30);

/// What everything before the message at offset `barrier` comes to.
pub(super) fn read_until(
    options: &KafkaCatalogOptions,
    barrier: i64,
    proceed: &dyn Fn() -> Result<(), Halt>,
) -> Result<State, Halt> {
    let topic = &options.topic;
    let consumer = from_the_beginning(options)?;
    let mut state = State::default();
    let mut n_messages = 0;
    let mut deadline = now() + PATIENCE;
    let mut asks_at = now();
    loop {
        if asks_at <= now() {
            proceed()?;
            asks_at = now() + SLICE;
        }
        match consumer.poll(SLICE) {
            Some(Ok(message)) => {
                deadline = now() + PATIENCE;
                match message.offset() {
                    offset if offset < barrier => take(options, &mut state, &message)?,
                    offset if offset == barrier => break,
                    offset => {
                        let why = format!(
                            "topic `{topic}`: the barrier at offset {barrier} has given way to one at {offset}"
                        );
                        return Err(Halt::Lost(why));
                    }
                }
                n_messages += 1;
            }
            Some(Err(error)) => debug!(%error, topic, "reads the catalog"),
            None => {}
        }
        if deadline <= now() {
            return Err(Halt::Failed(CatalogError::Unavailable(format!(
                "cannot read topic `{topic}` up to offset {barrier}: nothing came after {n_messages} messages; if nothing is wrong with \
                 the broker, look for open transactions of others on it{}",
                reason(consumer.client().context())
            ))));
        }
    }
    proceed()?;
    debug!(topic, n_messages, barrier, "read the catalog");
    Ok(state)
}

/// A consumer that belongs to no group: it is named after one because the library wants that.
fn from_the_beginning(options: &KafkaCatalogOptions) -> Result<BaseConsumer<Context>, CatalogError> {
    let what = format!("read topic `{}`", options.topic);
    let group = format!("davy.{}.reader", options.cluster);
    let more = [
        ("group.id", group.as_str()),
        ("group.protocol", "classic"),
        ("enable.auto.commit", "false"),
        ("isolation.level", "read_committed"),
        ("check.crcs", "true"),
        ("auto.offset.reset", "earliest"),
    ];
    let consumer: BaseConsumer<Context> = make(options, &what, &more)?;
    let refused = |error: KafkaError| failed(&what, options, &error);
    let mut partition = TopicPartitionList::new();
    partition.add_partition_offset(&options.topic, 0, Offset::Beginning).map_err(refused)?;
    consumer.assign(&partition).map_err(refused)?;
    Ok(consumer)
}

fn take(options: &KafkaCatalogOptions, state: &mut State, message: &BorrowedMessage<'_>) -> Result<(), CatalogError> {
    let corrupt = |why: String| {
        CatalogError::Corrupt(format!("topic `{}`, offset {}: the record {why}", options.topic, message.offset()))
    };
    let record = codec::decode(&options.cluster, message.key(), message.payload()).map_err(corrupt)?;
    let Some(record) = record else { return Ok(()) };
    state.check(std::slice::from_ref(&record)).map_err(|why| {
        corrupt(format!("was not written by a leader ({why}): find out who else writes to this topic, and stop it"))
    })?;
    state.apply(record);
    Ok(())
}
