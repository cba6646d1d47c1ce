//! Which of two owners of a task continues.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use super::super::{Commit, CommitRecord, Position, SplitId, Transaction};
use super::{Message, TransactionalCommit, TransactionalOptions, Transactions};
use crate::error::{Error, Result};

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

/// The first of two processes has committed, the second takes the task over: whether the first is superseded.
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
fn of_two_owners_the_one_that_started_earlier_stops() {
    assert!(check(1, 2, Commit::claim), "before the newer one has read anything");
    assert!(!check(2, 1, Commit::claim), "the other one will");
    assert!(
        !check(1, 2, |_| Ok(())),
        "a caller that has only read positions owns nothing: its plan may be another one"
    );
}
