//! The end of a run: faults stop, delayed requests arrive, and everything runs until nothing changes any more.

use std::sync::Arc;
use std::time::Duration;

use davy_engine::task::Step;

use super::producer::Producer;
use super::rig::Rig;

/// More rounds than this, and the run hangs.
const MAX_ROUNDS: usize = 300;

impl Rig {
    /// Runs to the end and looks at what is there.
    pub fn quiet(&self) -> Result<(), String> {
        self.say("faults stop".into());
        self.state().faults = None;
        self.disk.set_full(false);
        while 0 < self.network.n_late() {
            let index = self.network.n_late() - 1;
            self.network.deliver_late(index);
        }
        self.look();
        for slot in &mut self.state().slots {
            let n_old = slot.owners.len().saturating_sub(1);
            slot.owners.drain(..n_old);
        }
        {
            let mut state = self.state();
            let mut broker = self.network.broker();
            state.producer.join(&mut broker);
            state.producer.write_all(&mut broker);
        }
        // Long enough for transactions to expire, and for senders without news to repeat their watermark.
        self.pass(Duration::from_secs(11));
        self.run_dry()?;
        let tables: Vec<String> = self.case.input.0.keys().cloned().collect();
        self.say("the sentinels come".into());
        Producer::write_sentinels(&mut self.network.broker(), &tables);
        self.run_dry()?;
        // A restarted owner waits for every sender, and senders without news repeat their watermark after a while.
        loop {
            let n_owners = self.state().n_owners;
            self.pass(Duration::from_secs(6));
            self.run_dry()?;
            if self.state().n_owners == n_owners {
                break;
            }
        }
        let mut state = self.state();
        let groups: Vec<(Arc<str>, String)> = state
            .slots
            .iter()
            .flat_map(|slot| slot.topics.iter().map(|topic| (Arc::clone(&slot.group), topic.to_string())))
            .collect();
        std::mem::take(&mut state.reader).finish(&self.case, &self.network.broker(), &groups)
    }

    fn run_dry(&self) -> Result<(), String> {
        for _ in 0..MAX_ROUNDS {
            self.network.write_markers();
            let n_slots = self.state().slots.len();
            let mut is_busy = false;
            for slot in 0..n_slots {
                is_busy |= self.run_slot_dry(slot);
            }
            if let Some(problem) = self.state().problem.take() {
                return Err(problem);
            }
            if !is_busy {
                return Ok(());
            }
        }
        Err("the run does not end".into())
    }

    /// Returns whether anything was done.
    fn run_slot_dry(&self, slot: usize) -> bool {
        let (owner, now) = {
            let state = self.state();
            (state.slots[slot].owners.last().map(|owner| owner.id), state.now)
        };
        let Some(owner) = owner else {
            self.start(slot);
            return true;
        };
        let mut is_busy = false;
        loop {
            match self.step(slot, owner, now) {
                Some(Step::Worked(_)) => is_busy = true,
                Some(Step::Idle | Step::Ended) => break,
                None => return true,
            }
        }
        self.commit(slot, owner, true).unwrap_or(true) || is_busy
    }
}
