//! Looks for new versions of the lists of lookup tables, and publishes them while tasks run.
//!
//! A version is found by content, not by the time of the file: a list may be a link that is moved. A list that cannot be used changes
//! nothing: the version before stays, and the error is logged once for each reason and counted each time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use davy_engine::lookup::Lookup;
use davy_engine::{Error, Result};
use tracing::{error, info};

use crate::clock;

/// Looks for changes until it is dropped.
#[derive(Debug)]
pub(crate) struct Reloading {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Reloading {
    /// Starts a thread, where any list is to be looked at again.
    pub(crate) fn start(lookups: &[Arc<Lookup>]) -> Result<Self> {
        let watched: Vec<Watched> = lookups.iter().filter_map(Watched::of).collect();
        if watched.is_empty() {
            return Ok(Self { stop: None, thread: None });
        }
        let (stop, stopped) = sync_channel(0);
        let thread = std::thread::Builder::new()
            .name("lookups".into())
            .spawn(move || watch(watched, &stopped))
            .map_err(|error| Error::Unavailable(format!("cannot start a thread for lookup tables: {error}")))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Reloading {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the thread that reloads lookup tables panicked");
        }
    }
}

struct Watched {
    lookup: Arc<Lookup>,
    interval: Duration,
    /// When it is looked at next, since the start.
    due: Duration,
}

impl Watched {
    fn of(lookup: &Arc<Lookup>) -> Option<Self> {
        let interval = lookup.reload_interval()?;
        Some(Self { lookup: Arc::clone(lookup), interval, due: interval })
    }
}

fn watch(mut watched: Vec<Watched>, stopped: &Receiver<()>) {
    let begun = clock::now();
    let mut failures: HashMap<Arc<str>, String> = HashMap::new();
    loop {
        let now = clock::since(begun);
        let next = watched.iter().map(|watched| watched.due).min().unwrap_or(Duration::MAX);
        match stopped.recv_timeout(next.saturating_sub(now)) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = clock::since(begun);
        for watched in watched.iter_mut().filter(|watched| watched.due <= now) {
            watched.due = now + watched.interval;
            look(&watched.lookup, &mut failures);
        }
    }
}

/// Looks at one list. `failures` has the last error of each.
fn look(lookup: &Lookup, failures: &mut HashMap<Arc<str>, String>) {
    let table = &lookup.declaration.name;
    match lookup.reload() {
        Ok(None) => {
            failures.remove(table);
        }
        Ok(Some(snapshot)) => {
            failures.remove(table);
            info!(%table, version = %snapshot.version, entries = snapshot.n_entries(), "lookup table reloaded");
        }
        Err(error) => {
            let error = error.to_string();
            if failures.insert(Arc::clone(table), error.clone()).as_ref() != Some(&error) {
                let version = lookup.published().version;
                error!(%table, error, in_force = %version, "lookup table not reloaded; the version before stays in force");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use arrow::datatypes::{DataType, Field, Schema};
    use davy_engine::format::Format;
    use davy_engine::lookup::{Declaration, LookupFile, Match};
    use davy_engine::options::Options;

    use super::*;

    /// A file that the test writes.
    #[derive(Clone, Debug)]
    struct Written(Arc<Mutex<&'static str>>);

    impl LookupFile for Written {
        fn read(&self) -> Result<Vec<u8>> {
            Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).as_bytes().to_vec())
        }
    }

    #[test]
    fn a_list_that_cannot_be_used_leaves_the_one_before_and_is_reported_once() {
        let file = Written(Arc::new(Mutex::new("a\n")));
        let format = Format::from_options("csv", &mut Options::new("hosts")).expect("a format");
        let columns = Arc::new(Schema::new(vec![Field::new("name", DataType::Utf8, false)]));
        let declaration = Declaration { name: "hosts".into(), columns, key: 0, matching: Match::Exact, format };
        let lookup = Lookup::load(declaration, Arc::new(file.clone())).expect("a list");
        let mut failures = HashMap::new();
        // Content, then entries in force, versions published and failed looks in all, and whether the list has failed.
        let cases = [
            ("a\n", 1, 0, 0, false),
            ("a\nb\n", 2, 1, 0, false),
            ("a\na\n", 2, 1, 1, true),
            ("a\na\n", 2, 1, 2, true),
            ("a\nb\nc\n", 3, 2, 2, false),
            ("", 0, 3, 2, false),
        ];
        for (content, n_entries, reloads, errors, has_failed) in cases {
            *file.0.lock().unwrap_or_else(PoisonError::into_inner) = content;
            look(&lookup, &mut failures);
            let metrics = &lookup.metrics;
            let found = (lookup.published().n_entries(), metrics.reloads.get(), metrics.reload_errors.get());
            assert_eq!(found, (n_entries, reloads, errors), "{content:?}");
            assert_eq!(failures.contains_key("hosts"), has_failed, "{content:?}");
        }
    }
}
