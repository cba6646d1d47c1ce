//! Reads the topic from its beginning: what is committed, in order.

use std::slice;
use std::time::Duration;

use davy_kafka::reader::{Event, Message, Reader};
use davy_kafka::{Isolation, TopicPartition};
use tracing::debug;

use super::{CatalogTopic, Halt, KafkaCatalogOptions, SLICE, codec, now};
use crate::catalog::CatalogError;
use crate::catalog::state::State;

/// How long the reader waits for the next message before the barrier.
const PATIENCE: Duration = Duration::from_secs(30);

/// The state that everything before the message at offset `barrier` makes.
pub(super) fn read_until(
    CatalogTopic { options, connection }: &CatalogTopic,
    barrier: u64,
    proceed: &dyn Fn() -> Result<(), Halt>,
) -> Result<State, Halt> {
    let topic = &options.topic;
    let partition = TopicPartition::new(topic.as_str(), 0);
    let mut reader = Reader::connect(connection, Isolation::ReadCommitted)?;
    let first = reader.metadata().offsets(&partition)?.start;
    reader.assign(&partition, first)?;
    let mut state = State::default();
    let mut n_messages = 0;
    let mut deadline = now() + PATIENCE;
    let mut reached = None;
    while reached.is_none() {
        proceed()?;
        reader.poll(SLICE, |event| {
            let Event::Message(message) = event else { return };
            if reached.is_some() {
                return;
            }
            deadline = now() + PATIENCE;
            n_messages += 1;
            reached = match message.offset {
                offset if offset < barrier => take(options, &mut state, &message).err().map(|error| Err(error.into())),
                offset if offset == barrier => Some(Ok(())),
                offset => Some(Err(Halt::Lost(format!(
                    "topic `{topic}`: the barrier at offset {barrier} was replaced by one at {offset}"
                )))),
            };
        })?;
        if deadline <= now() {
            let obstacle = reader.obstacle().map(|obstacle| format!("; {obstacle}")).unwrap_or_default();
            return Err(Halt::Failed(CatalogError::Unavailable(format!(
                "cannot read topic `{topic}` up to offset {barrier}: nothing came after {n_messages} messages; if nothing is wrong with \
                 the broker, look for open transactions of others on it{obstacle}"
            ))));
        }
    }
    reached.expect("the loop ends with it")?;
    proceed()?;
    debug!(topic, n_messages, barrier, "read the catalog");
    Ok(state)
}

fn take(options: &KafkaCatalogOptions, state: &mut State, message: &Message<'_>) -> Result<(), CatalogError> {
    let corrupt = |why: String| {
        CatalogError::Corrupt(format!("topic `{}`, offset {}: the record {why}", options.topic, message.offset))
    };
    let record = codec::decode(&options.cluster, message.key, message.value).map_err(corrupt)?;
    let Some(record) = record else { return Ok(()) };
    state.check(slice::from_ref(&record)).map_err(|why| {
        corrupt(format!("was not written by a leader ({why}): find out who else writes to this topic, and stop it"))
    })?;
    state.apply(record);
    Ok(())
}
