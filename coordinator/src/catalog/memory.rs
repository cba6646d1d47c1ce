//! A catalog in memory, for tests and `davy dev`: it ends with the process.
//!
//! A clone is another coordinator over the same memory. As with a broker, the second stands by until the first is dropped, or until
//! [`MemoryCatalog::depose`] ends its lead, as a broker does with a client that is silent.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::state::State;
use super::{Catalog, CatalogError, Record, Snapshot};
use davy_proto::domain::Term;

/// How often a standby checks whether its wait was cancelled.
const AGAIN: Duration = Duration::from_millis(20);

/// One coordinator's view of a shared memory.
#[derive(Debug, Default)]
pub struct MemoryCatalog {
    shared: Arc<Shared>,
    /// The last term in which this coordinator led.
    term: Option<Term>,
}

#[derive(Debug, Default)]
struct Shared {
    memory: Mutex<Memory>,
    /// Notified when the leader has ended.
    vacated: Condvar,
}

#[derive(Debug, Default)]
struct Memory {
    state: State,
    /// Term of the present leader.
    leader: Option<Term>,
    /// The error of the next write, instead of doing it.
    refusal: Option<CatalogError>,
}

impl MemoryCatalog {
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the present lead: the leader's next write is fenced, and a standby leads.
    pub fn depose(&self) {
        self.memory().leader = None;
        self.shared.vacated.notify_all();
    }

    /// The next write, of any coordinator, fails with `error` and has no effect.
    pub fn refuse_next_write(&self, error: CatalogError) {
        self.memory().refusal = Some(error);
    }

    pub fn snapshot(&self) -> Snapshot {
        self.memory().state.snapshot()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.shared.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails if this handle does not lead, or another one has led since.
    fn as_leader(&self) -> Result<MutexGuard<'_, Memory>, CatalogError> {
        let memory = self.memory();
        if self.term.is_some() && self.term == memory.leader {
            return Ok(memory);
        }
        let last = memory.state.term();
        Err(CatalogError::Fenced(match self.term {
            None => "this coordinator does not lead, and has not written anything".to_owned(),
            Some(term) => format!("this coordinator led in term {term}; the last term is {last}"),
        }))
    }

    fn resign(&mut self) {
        if self.as_leader().is_ok() {
            self.depose();
        }
        self.term = None;
    }
}

impl Clone for MemoryCatalog {
    /// Another coordinator, which does not lead.
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), term: None }
    }
}

impl Drop for MemoryCatalog {
    fn drop(&mut self) {
        self.resign();
    }
}

impl Catalog for MemoryCatalog {
    fn lead(&mut self, is_over: &dyn Fn() -> bool) -> Result<Option<Snapshot>, CatalogError> {
        self.resign();
        let shared = Arc::clone(&self.shared);
        let mut memory = shared.memory.lock().unwrap_or_else(PoisonError::into_inner);
        while memory.leader.is_some() {
            if is_over() {
                return Ok(None);
            }
            memory = shared.vacated.wait_timeout(memory, AGAIN).unwrap_or_else(PoisonError::into_inner).0;
        }
        memory.state.begin_term();
        self.term = Some(memory.state.term());
        memory.leader = self.term;
        Ok(Some(memory.state.snapshot()))
    }

    fn write(&mut self, records: &[Record]) -> Result<(), CatalogError> {
        let mut memory = self.as_leader()?;
        memory.state.check(records).expect("a leader's numbers only grow");
        if let Some(refusal) = memory.refusal.take() {
            return Err(refusal);
        }
        memory.state.apply_all(records);
        Ok(())
    }

    fn still_leads(&mut self) -> Result<(), CatalogError> {
        self.as_leader().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_proto::domain::Epoch;

    #[test]
    fn a_deposed_leader_is_fenced_and_the_clone_leads() {
        let mut first = MemoryCatalog::new();
        let mut second = first.clone();
        let began = first.lead(&|| false).expect("it is alone").expect("it is wanted");
        assert_eq!(began.term, Term(1));
        assert_eq!(second.lead(&|| true), Ok(None), "the first leads");
        second.depose();
        let took_over = second.lead(&|| false).expect("there is no leader").expect("it is wanted");
        assert_eq!(took_over.term, Term(2));
        assert!(matches!(first.write(&[]), Err(CatalogError::Fenced(_))));
        drop(first);
        assert_eq!(second.still_leads(), Ok(()), "one that led before takes nothing with it");
    }

    #[test]
    fn a_refused_write_leaves_nothing_behind() {
        let mut catalog = MemoryCatalog::new();
        let before = catalog.lead(&|| false).expect("it is alone").expect("it is wanted");
        let refusal = CatalogError::Unavailable("the disk is full".to_owned());
        catalog.refuse_next_write(refusal.clone());
        assert_eq!(catalog.write(&[Record::Epochs { ceiling: Epoch(9) }]), Err(refusal));
        assert_eq!(catalog.snapshot(), before);
        assert_eq!(catalog.write(&[Record::Epochs { ceiling: Epoch(9) }]), Ok(()));
        assert_eq!(catalog.snapshot().ceiling, Epoch(9));
    }
}
