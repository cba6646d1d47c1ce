//! Protections removed, one at a time, around the client and the reader.

use std::collections::BTreeMap;

use super::kafka::{Damage, SimClient};
use davy_engine::Result;
use davy_engine::log::offset_metadata::{OffsetMetadata, SplitMetadata, SplitState};
use davy_engine::log::transactions::{Message, Transactions};
use davy_engine::log::wire::Record;
use davy_engine::log::{Position, SplitId};

use super::faults::{Broken, Plan};
use crate::random::Rng;

pub struct BrokenClient {
    inner: SimClient,
    broken: Broken,
    /// The committed positions as a client knows them that does not read them again.
    known: BTreeMap<SplitId, (Position, String)>,
    n_inits: usize,
    messages: Vec<Message>,
    positions: Vec<(SplitId, Position, String)>,
}

impl BrokenClient {
    pub fn new(inner: SimClient, broken: Broken) -> Self {
        let (messages, positions) = (Vec::new(), Vec::new());
        Self { inner, broken, known: BTreeMap::new(), n_inits: 0, messages, positions }
    }
}

impl Transactions for BrokenClient {
    fn init(&mut self) -> Result<()> {
        self.n_inits += 1;
        self.inner.init()
    }

    fn committed(&mut self, splits: &[SplitId]) -> Result<Vec<(SplitId, Position, String)>> {
        if self.broken == Broken::BlindRefresh && 1 < self.n_inits {
            let known = |split: &SplitId| {
                self.known.get(split).map(|(position, text)| (split.clone(), *position, text.clone()))
            };
            return Ok(splits.iter().filter_map(known).collect());
        }
        let mut found = self.inner.committed(splits)?;
        if self.n_inits == 1 {
            found.iter_mut().for_each(|(_, position, text)| *text = forget(self.broken, *position, text));
        }
        self.known.extend(found.iter().map(|(split, position, text)| (split.clone(), (*position, text.clone()))));
        Ok(found)
    }

    fn begin(&mut self) -> Result<()> {
        if self.broken == Broken::OffsetsFirst {
            return Ok(());
        }
        self.inner.begin()
    }

    fn produce(&mut self, message: Message) -> Result<()> {
        if self.broken == Broken::OffsetsFirst {
            self.messages.push(message);
            return Ok(());
        }
        self.inner.produce(message)
    }

    fn send_offsets(&mut self, positions: &[(SplitId, Position, String)]) -> Result<()> {
        self.positions = positions.to_vec();
        if self.broken == Broken::OffsetsFirst {
            return Ok(());
        }
        self.inner.send_offsets(positions)
    }

    fn commit(&mut self) -> Result<()> {
        if self.broken == Broken::OffsetsFirst {
            self.inner.begin()?;
            self.inner.send_offsets(&self.positions)?;
            self.inner.commit()?;
            self.inner.begin()?;
            std::mem::take(&mut self.messages).into_iter().try_for_each(|message| self.inner.produce(message))?;
        }
        self.inner.commit()?;
        let sent = self.positions.drain(..).map(|(split, position, text)| (split, (position, text)));
        self.known.extend(sent);
        Ok(())
    }

    fn abort(&mut self) {
        self.inner.abort();
    }

    fn had_trouble(&self) -> bool {
        self.broken != Broken::NeverTrouble && self.inner.had_trouble()
    }
}

/// The offset metadata that a starting owner reads, without a part.
fn forget(broken: Broken, position: Position, text: &str) -> String {
    let OffsetMetadata::Valid(mut metadata) = SplitMetadata::decode(text) else { return text.to_owned() };
    match (&mut metadata.state, broken) {
        (SplitState::Windows { replay_from, .. }, Broken::NoReplay) => *replay_from = position,
        (SplitState::Source { watermark }, Broken::ForgetsWatermarks) => *watermark = i64::MIN,
        _ => {}
    }
    metadata.encode()
}

/// Damages records of partials sometimes; the checksum is computed again where the damage must stay undetected.
pub fn damage(plan: &Plan, mut rng: Rng) -> Damage {
    let (percent, hides) = (plan.faults.damage, plan.broken == Broken::NoChecksum);
    Box::new(move |record: &mut Record| {
        // Records without rows are left alone, and so is what comes before the rows: damaged lengths are found in any case.
        if record.value.len() < 300 || !rng.percent(percent) {
            return;
        }
        let at = record.value.len() - 1 - rng.below(record.value.len() / 4);
        record.value[at] ^= 1 << rng.below(3);
        if hides {
            let (signed, checksum) =
                record.header.split_last_chunk_mut::<4>().expect("a header ends with its checksum");
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(signed);
            hasher.update(&record.value);
            *checksum = hasher.finalize().to_le_bytes();
        }
    })
}
