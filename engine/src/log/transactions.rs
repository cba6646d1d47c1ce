//! Commits as Kafka's transactions: the protocol, over the calls of a client.
//!
//! Everything is encoded before the transaction begins, since an open one holds back every reader of the partitions it touches:
//! begin → rows and partials → positions with their offset metadata → commit, in one burst. Any error makes the task start again from its
//! last commit. The client is a trait, so that the same protocol runs over Kafka and over the simulator.
//!
//! Taking over: fence the older owners and abort what they left open (`init`), then read the committed positions; read before,
//! they could be stale.
//!
//! **A fresh producer after trouble.** A commit whose request or answer was late leaves a request in the network that Kafka would
//! apply to the *next* transaction of the same epoch (before KIP-890, which librdkafka does not speak). So after trouble the
//! producer is replaced before the next transaction. That raises the epoch, which would also fence an owner that has come since;
//! so the positions are read again, and if they are not the ones written here, it is this owner that is too old.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::offset_metadata::{OffsetMetadata, SplitMetadata, SplitState};
use super::wire::{self, Record, Wire};
use super::{Commit, CommitRecord, ExchangeId, Found, Position, SplitId, Transaction};
use crate::error::{Error, Result};

/// A message to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub topic: Arc<str>,
    /// Which partition; `None`: by the key, else any.
    pub partition: Option<u32>,
    pub key: Option<Vec<u8>>,
    pub headers: Vec<(Cow<'static, str>, Vec<u8>)>,
    pub value: Vec<u8>,
}

/// The calls of a transactional client that belongs to one task.
///
/// Errors: [`Error::Fenced`] when a newer owner has taken over; [`Error::Unavailable`] when the transaction cannot go on and the
/// task has to start again from its last commit.
pub trait Transactions: Send {
    /// Makes a fresh producer under the task's name: fences every older one and aborts what they left open.
    fn init(&mut self) -> Result<()>;

    /// The committed positions of `splits` with their metadata, once no transaction on them is open.
    fn committed(&mut self, splits: &[SplitId]) -> Result<Vec<(SplitId, Position, String)>>;

    fn begin(&mut self) -> Result<()>;

    /// Writes a message within it.
    fn produce(&mut self, message: Message) -> Result<()>;

    /// Commits positions with it.
    fn send_offsets(&mut self, positions: &[(SplitId, Position, String)]) -> Result<()>;

    /// Waits until all of it is written, and commits it.
    fn commit(&mut self) -> Result<()>;

    /// Gives it up, as far as that is possible now.
    fn abort(&mut self);

    /// Whether a request was late or a connection broke since the last `init`.
    fn had_trouble(&self) -> bool;
}

/// Turns the rows of one sink table into messages.
pub trait RowEncoder: Send {
    /// Appends the messages of a batch.
    fn encode(&mut self, batch: &RecordBatch, messages: &mut Vec<Message>) -> Result<()>;
}

/// A sink that takes no part in the transaction: written before it, so its rows come at least once.
pub trait OutsideSink: Send {
    /// Writes the rows and waits until they are safe.
    fn write(&mut self, batches: &[RecordBatch]) -> Result<()>;
}

/// Where the rows of a table go.
pub enum Destination {
    Inside(Box<dyn RowEncoder>),
    Outside(Box<dyn OutsideSink>),
}

/// What commits of a task need to know.
pub struct TransactionalOptions {
    /// The task's name, for errors.
    pub name: Arc<str>,
    /// Which of its stage's tasks.
    pub task: u32,
    /// How many tasks its stage has.
    pub n_tasks: u32,
    /// A number that no other process has, and that is greater in processes that start later.
    pub owner: u64,
    /// The topic of each exchange that is written, and how its partials look.
    pub exchanges: HashMap<ExchangeId, (Arc<str>, Wire)>,
    pub sinks: BTreeMap<Arc<str>, Destination>,
    /// The longest value of a record with partials.
    pub record_bytes_max: usize,
}

/// Commits of one task.
pub struct TransactionalCommit<T> {
    client: T,
    options: TransactionalOptions,
    sequence: u64,
    /// The splits that were requested, and their committed positions as far as this owner knows, both in order.
    splits: Vec<SplitId>,
    last: Vec<(SplitId, Position, String)>,
}

impl<T: Transactions> TransactionalCommit<T> {
    /// Owns nothing until it takes over.
    pub fn new(client: T, options: TransactionalOptions) -> Self {
        Self { client, options, sequence: 0, splits: Vec::new(), last: Vec::new() }
    }

    fn found(&mut self, splits: &[SplitId]) -> Result<Found> {
        let committed = self.client.committed(splits)?;
        self.splits.extend_from_slice(splits);
        self.splits.sort_unstable();
        self.last.extend_from_slice(&committed);
        self.last.sort_by(|a, b| a.0.cmp(&b.0));
        let read =
            |(split, position, text): (SplitId, Position, String)| (split, position, SplitMetadata::decode(&text));
        Ok(Found::Splits(committed.into_iter().map(read).collect()))
    }

    /// Replaces a producer that has seen trouble; see the module.
    fn refresh(&mut self) -> Result<()> {
        if !self.client.had_trouble() {
            return Ok(());
        }
        self.client.init()?;
        let mut found = self.client.committed(&self.splits)?;
        found.sort_by(|a, b| a.0.cmp(&b.0));
        if found == self.last {
            return Ok(());
        }
        Err(Error::Fenced(format!("task `{}`: someone else has committed since", self.options.name)))
    }

    /// All messages of a transaction; sinks outside it get their rows.
    fn messages(&mut self, transaction: &mut Transaction) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        let mut records = Vec::new();
        for (exchange, partition, partials) in std::mem::take(&mut transaction.partials) {
            let (topic, wire) = self
                .options
                .exchanges
                .get(&exchange)
                .ok_or_else(|| Error::internal(format!("partials for the unknown exchange `{}`", exchange.0)))?;
            wire.encode(&partials, self.options.record_bytes_max, &mut records)?;
            messages.extend(records.drain(..).map(|record| of_partials(topic, partition, record)));
        }
        let mut rows_of: BTreeMap<Arc<str>, Vec<RecordBatch>> = BTreeMap::new();
        for (table, batch) in std::mem::take(&mut transaction.rows) {
            rows_of.entry(table).or_default().push(batch);
        }
        for (table, batches) in rows_of {
            let sink = self.options.sinks.get_mut(&table);
            match sink.ok_or_else(|| Error::internal(format!("rows for the unknown table `{table}`")))? {
                Destination::Inside(encoder) => {
                    batches.iter().try_for_each(|batch| encoder.encode(batch, &mut messages))?;
                }
                Destination::Outside(sink) => sink.write(&batches)?,
            }
        }
        Ok(messages)
    }

    fn positions(&self, record: &CommitRecord) -> Vec<(SplitId, Position, String)> {
        let metadata = |split: &SplitId| SplitMetadata {
            fingerprint: record.fingerprint,
            task: self.options.task,
            n_tasks: self.options.n_tasks,
            owner: self.options.owner,
            sequence: self.sequence,
            state: match record.replay_from.get(split) {
                None => SplitState::Source { watermark: record.watermarks.get(split).copied().unwrap_or(i64::MIN) },
                Some(replay_from) => SplitState::Windows {
                    replay_from: *replay_from,
                    closed_through: record.closed_through.unwrap_or(i64::MIN),
                    expected: record.watermarks.get(split).copied().or(record.expected).unwrap_or(i64::MIN),
                },
            },
        };
        record.positions.iter().map(|(split, position)| (split.clone(), *position, metadata(split).encode())).collect()
    }

    fn burst(&mut self, messages: Vec<Message>, positions: &[(SplitId, Position, String)]) -> Result<()> {
        self.client.begin()?;
        for message in messages {
            self.client.produce(message)?;
        }
        self.client.send_offsets(positions)?;
        self.client.commit()
    }
}

/// Whether what stands committed is from an owner that `owner` gives way to.
///
/// Two processes that start at once may each take some of the tasks from the other. If both gave way, nobody would be left; so the
/// one that started earlier does, and the other takes over what it has lost.
fn is_newer(metadata: &OffsetMetadata, owner: u64) -> bool {
    match metadata {
        OffsetMetadata::Valid(metadata) => owner < metadata.owner,
        OffsetMetadata::Erased | OffsetMetadata::Unreadable(_) => true,
    }
}

fn of_partials(topic: &Arc<str>, partition: u32, record: Record) -> Message {
    Message {
        topic: Arc::clone(topic),
        partition: Some(partition),
        key: None,
        headers: vec![(wire::HEADER.into(), record.header)],
        value: record.value,
    }
}

impl<T: Transactions> Commit for TransactionalCommit<T> {
    fn take_over(&mut self, splits: &[SplitId]) -> Result<Found> {
        self.client.init()?;
        self.found(splits)
    }

    fn find(&mut self, joined: &[SplitId]) -> Result<Found> {
        self.found(joined)
    }

    /// Commits the committed offset metadata again, as its own.
    fn claim(&mut self) -> Result<()> {
        let owner = self.options.owner;
        let own = |(split, position, text): &(SplitId, Position, String)| match SplitMetadata::decode(text) {
            OffsetMetadata::Valid(metadata) => {
                Some((split.clone(), *position, SplitMetadata { owner, ..metadata }.encode()))
            }
            // Recovery has decided what that means, and the first commit replaces it.
            OffsetMetadata::Erased | OffsetMetadata::Unreadable(_) => None,
        };
        let claimed: Vec<_> = self.last.iter().filter_map(own).collect();
        if claimed.is_empty() {
            return Ok(());
        }
        self.burst(Vec::new(), &claimed)?;
        self.last.retain(|(split, ..)| claimed.iter().all(|(other, ..)| other != split));
        self.last.extend(claimed);
        self.last.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(())
    }

    fn is_superseded(&mut self) -> Result<bool> {
        let found = self.client.committed(&self.splits)?;
        let changed = found.iter().filter(|entry| !self.last.contains(entry));
        Ok(changed.into_iter().any(|(_, _, text)| is_newer(&SplitMetadata::decode(text), self.options.owner)))
    }

    fn commit(&mut self, mut transaction: Transaction) -> Result<()> {
        self.refresh()?;
        let messages = self.messages(&mut transaction)?;
        self.sequence += 1;
        let positions = self.positions(&transaction.record);
        if let Err(error) = self.burst(messages, &positions) {
            if !matches!(error, Error::Fenced(_)) {
                self.client.abort();
            }
            return Err(error);
        }
        self.last = positions;
        Ok(())
    }
}

/// The record that the offset metadata of a task's splits makes together; see [`crate::recovery`] for what is checked before.
pub(crate) fn record_of(found: &[(SplitId, Position, OffsetMetadata)]) -> CommitRecord {
    let mut record = CommitRecord::default();
    for (split, position, metadata) in found {
        record.positions.insert(split.clone(), *position);
        let OffsetMetadata::Valid(metadata) = metadata else { continue };
        record.fingerprint = metadata.fingerprint;
        match metadata.state {
            SplitState::Source { watermark } => {
                record.watermarks.insert(split.clone(), watermark);
            }
            SplitState::Windows { replay_from, closed_through, expected } => {
                record.replay_from.insert(split.clone(), replay_from);
                record.closed_through = record.closed_through.max(Some(closed_through));
                record.expected = record.expected.max(Some(expected));
                record.watermarks.insert(split.clone(), expected);
            }
        }
    }
    record
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, MutexGuard};

    use super::*;

    /// A broker with one transactional id.
    #[derive(Default)]
    struct Broker {
        epoch: u64,
        committed: BTreeMap<SplitId, (Position, String)>,
    }

    /// A client of it; an open transaction's positions are its own until the commit.
    #[derive(Default)]
    struct Client {
        broker: Arc<Mutex<Broker>>,
        epoch: u64,
        positions: Vec<(SplitId, Position, String)>,
    }

    impl Client {
        fn broker(&self) -> MutexGuard<'_, Broker> {
            self.broker.lock().expect("no test panics with it")
        }
    }

    impl Transactions for Client {
        fn init(&mut self) -> Result<()> {
            let mut broker = self.broker();
            broker.epoch += 1;
            let epoch = broker.epoch;
            drop(broker);
            self.epoch = epoch;
            Ok(())
        }

        fn committed(&mut self, splits: &[SplitId]) -> Result<Vec<(SplitId, Position, String)>> {
            let broker = self.broker();
            let of = |split: &SplitId| {
                broker.committed.get(split).map(|(position, text)| (split.clone(), *position, text.clone()))
            };
            Ok(splits.iter().filter_map(of).collect())
        }

        fn begin(&mut self) -> Result<()> {
            Ok(())
        }

        fn produce(&mut self, _message: Message) -> Result<()> {
            Ok(())
        }

        fn send_offsets(&mut self, positions: &[(SplitId, Position, String)]) -> Result<()> {
            self.positions = positions.to_vec();
            Ok(())
        }

        fn commit(&mut self) -> Result<()> {
            let positions = std::mem::take(&mut self.positions);
            let mut broker = self.broker();
            if broker.epoch != self.epoch {
                return Err(Error::Fenced("an old epoch".to_owned()));
            }
            broker.committed.extend(positions.into_iter().map(|(split, position, text)| (split, (position, text))));
            Ok(())
        }

        fn abort(&mut self) {}

        fn had_trouble(&self) -> bool {
            false
        }
    }

    fn owner(number: u64, broker: &Arc<Mutex<Broker>>) -> TransactionalCommit<Client> {
        let options = TransactionalOptions {
            name: "t".into(),
            task: 0,
            n_tasks: 1,
            owner: number,
            exchanges: HashMap::new(),
            sinks: BTreeMap::new(),
            record_bytes_max: 1_000,
        };
        TransactionalCommit::new(Client { broker: Arc::clone(broker), ..Client::default() }, options)
    }

    fn read_to(position: u64) -> Transaction {
        let positions = BTreeMap::from([(SplitId::from("a/0"), Position(position))]);
        Transaction { record: CommitRecord { positions, ..CommitRecord::default() }, ..Transaction::default() }
    }

    /// The first of two processes has committed, the second takes the task over: who gives way, seen by the first.
    fn check(first: u64, second: u64, claims: impl Fn(&mut TransactionalCommit<Client>) -> Result<()>) -> bool {
        let broker = Arc::default();
        let splits = [SplitId::from("a/0")];
        let (mut old, mut new) = (owner(first, &broker), owner(second, &broker));
        old.take_over(&splits).expect("taken over");
        old.commit(read_to(1)).expect("committed");
        new.take_over(&splits).expect("taken over");
        claims(&mut new).expect("claimed");
        assert!(matches!(old.commit(read_to(2)), Err(Error::Fenced(_))));
        let at = |broker: &Mutex<Broker>| broker.lock().expect("free").committed[&splits[0]].0;
        assert_eq!(at(&broker), Position(1), "a claim moves nothing");
        old.is_superseded().expect("an answer")
    }

    #[test]
    fn of_two_owners_the_one_that_started_earlier_gives_way() {
        assert!(check(1, 2, Commit::claim), "before the newer one has read anything");
        assert!(!check(2, 1, Commit::claim), "the other one will");
        assert!(
            !check(1, 2, |_| Ok(())),
            "a caller that has only read positions owns nothing: its plan may be another one"
        );
    }
}
