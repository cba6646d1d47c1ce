//! The tables that a task writes: in the transaction, before it, or in two phases around it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::super::Unwritable;
use super::super::sink_state::SinkState;
use super::{Closing, Destination, Message};
use crate::error::{Error, Result};

/// The destinations of one task, and the files that its last commit, or the one being made, remembers.
pub(super) struct TaskSinks {
    destinations: BTreeMap<Arc<str>, Destination>,
    states: Vec<SinkState>,
    /// Whether the files have been taken over. An owner that only changes positions leaves them, and their states, as they are.
    has_files: bool,
}

impl TaskSinks {
    pub(super) fn new(destinations: BTreeMap<Arc<str>, Destination>) -> Self {
        Self { destinations, states: Vec::new(), has_files: false }
    }

    pub(super) fn states(&self) -> &[SinkState] {
        &self.states
    }

    pub(super) fn has_open_files(&self) -> bool {
        self.destinations.values().any(|destination| match destination {
            Destination::Files(sink) => sink.has_open_file(),
            Destination::Inside(_) | Destination::Outside(_) => false,
        })
    }

    pub(super) fn unwritable(&mut self, table: &str, rows: &RecordBatch) -> Result<Vec<Unwritable>> {
        match self.destinations.get_mut(table) {
            Some(Destination::Inside(encoder)) => encoder.unwritable(rows),
            Some(Destination::Outside(sink)) => sink.unwritable(rows),
            Some(Destination::Files(_)) | None => Ok(Vec::new()),
        }
    }

    pub(super) fn deliver(&mut self, table: &str, rows: &RecordBatch) -> Result<Option<Vec<Unwritable>>> {
        match self.destinations.get_mut(table) {
            Some(Destination::Outside(sink)) => sink.deliver(rows),
            Some(Destination::Inside(_) | Destination::Files(_)) | None => Ok(None),
        }
    }

    /// Notes what is committed of files. A later state of the same files replaces an earlier one: of splits that were committed
    /// together, all have the same.
    pub(super) fn find(&mut self, committed: impl Iterator<Item = SinkState>) {
        let mut latest: BTreeMap<u32, SinkState> = BTreeMap::new();
        for state in committed {
            let entry = latest.entry(state.target).or_insert(state);
            *entry = (*entry).max(state);
        }
        self.states = latest.into_values().collect();
        self.has_files = false;
    }

    /// Takes over the files that were found.
    pub(super) fn recover(&mut self) -> Result<()> {
        let mut found = self.states.clone();
        let mut recovered = Vec::new();
        for destination in self.destinations.values_mut() {
            if let Destination::Files(sink) = destination {
                let target = sink.target();
                let committed = found.iter().position(|state| state.target == target).map(|index| found.remove(index));
                recovered.push(sink.recover(committed)?);
            }
        }
        if let Some(state) = found.iter().find(|state| state.is_unfinished()) {
            return Err(Error::invalid(format!(
                "the last commit has an unfinished file (`…{:016x}-{:06}…`) of another table, folder or format",
                state.id, state.sequence
            ))
            .hint("run the pipeline as it was and stop it, which finishes its files; then change it"));
        }
        (self.states, self.has_files) = (recovered, true);
        Ok(())
    }

    /// Encodes what goes into the transaction, writes what goes before it, and brings rows for files to the disk, last of all.
    pub(super) fn write(
        &mut self,
        rows: Vec<(Arc<str>, RecordBatch)>,
        closing: Closing,
        messages: &mut Vec<Message>,
    ) -> Result<()> {
        let mut rows_of: BTreeMap<Arc<str>, Vec<RecordBatch>> = BTreeMap::new();
        for (table, batch) in rows {
            rows_of.entry(table).or_default().push(batch);
        }
        if let Some(table) = rows_of.keys().find(|table| !self.destinations.contains_key(*table)) {
            return Err(Error::internal(format!("rows for the unknown table `{table}`")));
        }
        for (table, batches) in &rows_of {
            match self.destinations.get_mut(table) {
                Some(Destination::Inside(encoder)) => {
                    batches.iter().try_for_each(|batch| encoder.encode(batch, messages))?;
                }
                Some(Destination::Outside(sink)) => sink.write(batches)?,
                Some(Destination::Files(_)) if !self.has_files && batches.iter().any(|batch| 0 < batch.num_rows()) => {
                    return Err(Error::internal(format!(
                        "rows for files of table `{table}`, which were not taken over"
                    )));
                }
                Some(Destination::Files(_)) | None => {}
            }
        }
        if !self.has_files {
            return Ok(());
        }
        self.states.clear();
        for (table, destination) in &mut self.destinations {
            if let Destination::Files(sink) = destination {
                let batches = rows_of.get(table).map_or(&[][..], Vec::as_slice);
                self.states.push(sink.prepare(batches, closing)?);
            }
        }
        Ok(())
    }

    /// Publishes what the transaction has closed; says whether that was anything.
    pub(super) fn publish(&mut self) -> Result<bool> {
        if !self.has_files {
            return Ok(false);
        }
        for destination in self.destinations.values_mut() {
            if let Destination::Files(sink) = destination {
                sink.publish()?;
            }
        }
        Ok(self.states.iter().any(|state| state.file.is_some_and(|file| file.is_closed)))
    }
}
