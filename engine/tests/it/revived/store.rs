//! What a task commits: positions with their offset metadata, and rows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use davy_engine::Result;
use davy_engine::log::offset_metadata::{OffsetMetadata, SplitMetadata, SplitState};
use davy_engine::log::transactions::{Message, Transactions};
use davy_engine::log::{Position, SplitId};

/// Which protection is taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Broken {
    #[default]
    Nothing,
    /// A new owner does not know how what it reads again was judged.
    ForgetsJudged,
    /// A new owner begins to read at the first record that is needed, and does not hear the senders before it.
    HearsTooLate,
}

#[derive(Debug, Default)]
pub struct Committed {
    positions: BTreeMap<SplitId, (Position, String)>,
    /// By table.
    pub rows: BTreeMap<String, Vec<String>>,
    pub n_commits: usize,
}

/// A broker with one transactional id.
#[derive(Clone, Debug, Default)]
pub struct Store {
    committed: Arc<Mutex<Committed>>,
    broken: Broken,
}

impl Store {
    /// Empty, without this protection.
    pub fn broken(broken: Broken) -> Self {
        Self { broken, ..Self::default() }
    }

    pub fn committed(&self) -> MutexGuard<'_, Committed> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All committed rows, sorted.
    pub fn rows(&self) -> Vec<String> {
        let mut rows: Vec<String> = self.committed().rows.values().flatten().cloned().collect();
        rows.sort();
        rows
    }

    pub fn position(&self, split: &SplitId) -> Position {
        self.committed().positions.get(split).map_or(Position(0), |(position, _)| *position)
    }

    /// Below this, records of a split have been deleted.
    pub fn purged_below(&self, split: &SplitId) -> Position {
        let committed = self.committed();
        let text = committed.positions.get(split).map_or("", |(_, text)| text);
        match SplitMetadata::decode(text) {
            OffsetMetadata::Valid(SplitMetadata { state: SplitState::Windows { replay_from, .. }, .. }) => replay_from,
            _ => Position(0),
        }
    }

    /// The client of a new owner.
    pub fn client(&self) -> Client {
        Client { store: self.clone(), messages: Vec::new(), positions: Vec::new() }
    }
}

pub struct Client {
    store: Store,
    messages: Vec<Message>,
    positions: Vec<(SplitId, Position, String)>,
}

impl Transactions for Client {
    fn init(&mut self) -> Result<()> {
        Ok(())
    }

    fn committed(&mut self, splits: &[SplitId]) -> Result<Vec<(SplitId, Position, String)>> {
        let committed = self.store.committed();
        let of = |split: &SplitId| {
            let (position, text) = committed.positions.get(split)?;
            Some((split.clone(), *position, forget(self.store.broken, text)))
        };
        Ok(splits.iter().filter_map(of).collect())
    }

    fn begin(&mut self) -> Result<()> {
        self.messages.clear();
        Ok(())
    }

    fn produce(&mut self, message: Message) -> Result<()> {
        self.messages.push(message);
        Ok(())
    }

    fn send_offsets(&mut self, positions: &[(SplitId, Position, String)]) -> Result<()> {
        self.positions = positions.to_vec();
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        let mut committed = self.store.committed();
        for message in self.messages.drain(..) {
            let row = String::from_utf8(message.value).expect("rows are text");
            committed.rows.entry(message.topic.to_string()).or_default().push(row);
        }
        let positions = self.positions.drain(..).map(|(split, position, text)| (split, (position, text)));
        committed.positions.extend(positions);
        committed.n_commits += 1;
        Ok(())
    }

    fn abort(&mut self) {}

    fn had_trouble(&self) -> bool {
        false
    }
}

/// The offset metadata that a new owner reads, without a part.
fn forget(broken: Broken, text: &str) -> String {
    let OffsetMetadata::Valid(mut metadata) = SplitMetadata::decode(text) else { return text.to_owned() };
    match (broken, &mut metadata.state, metadata.parts.judged) {
        (Broken::ForgetsJudged, ..) => metadata.parts.judged = None,
        (Broken::HearsTooLate, SplitState::Windows { replay_from, .. }, Some(judged)) => *replay_from = judged.from,
        _ => {}
    }
    metadata.encode()
}
