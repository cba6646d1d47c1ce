//! A catalog in a local file, for one coordinator on one machine.
//!
//! Every write makes a whole new file beside the old one, syncs it, and renames it: there is no half-written state to repair, and no log
//! to compact. That takes time in proportion to the contents: a thousand pipelines of 5 KB are 5 MB, about 20 ms on an SSD, for a few
//! writes a minute. A larger cluster has a broker.
//!
//! | file | contents |
//! |---|---|
//! | `<path>` | a line `davy-catalog <version> <SHA-256 of the rest>`, then JSON |
//! | `<path>.new` | the next one; a leftover of a crash was never acknowledged |
//! | `<path>.lock` | locked by the leader; never renamed, as a lock belongs to a file and not to its name |

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::debug;

use super::state::State;
use super::{Catalog, CatalogError, Record, Snapshot};
use crate::model::PipelineRecord;
use davy_proto::domain::{Epoch, Term};

const MAGIC: &str = "davy-catalog";
const VERSION: u32 = 1;
/// How often a standby tries the lock.
const AGAIN: Duration = Duration::from_millis(50);
/// Scripts and settings may hold secrets.
const MODE: u32 = 0o600;

/// One coordinator's access to a file.
#[derive(Debug)]
pub struct FileCatalog {
    path: PathBuf,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    lock: File,
    /// As the file has it; a write changes the file first.
    state: State,
}

/// The JSON in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    term: Term,
    leader: Option<String>,
    ceiling: Epoch,
    pipelines: Vec<PipelineRecord>,
}

/// Why a file was not replaced.
enum StoreError {
    /// The old file is there.
    Kept(String),
    /// After a crash of the machine, either file may be there.
    InDoubt(String),
}

impl FileCatalog {
    /// The catalog in the file at `path`, which the first write creates. Fails where no file can be created.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, CatalogError> {
        let catalog = Self { path: path.into(), held: None };
        catalog.open_lock()?;
        Ok(catalog)
    }

    fn open_lock(&self) -> Result<File, CatalogError> {
        let lock = beside(&self.path, ".lock");
        let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(MODE).open(&lock);
        opened.map_err(|error| {
            unavailable(&format!("open the lock `{}`: {error}; the folder must exist and be writable", lock.display()))
        })
    }

    /// The lock, unless another process has it.
    fn try_lock(&self) -> Result<Option<File>, CatalogError> {
        let lock = self.open_lock()?;
        match lock.try_lock() {
            Ok(()) => Ok(self.is_current(&lock).then_some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(unavailable(&format!("lock `{}.lock`: {error}; use a local disk", self.path.display())))
            }
        }
    }

    /// Whether others try the same lock. Its file may have been removed, and a second leader may have locked another.
    fn is_current(&self, lock: &File) -> bool {
        let inode = |found: io::Result<fs::Metadata>| found.ok().map(|found| (found.dev(), found.ino()));
        let ours = inode(lock.metadata());
        ours.is_some() && ours == inode(fs::metadata(beside(&self.path, ".lock")))
    }

    fn held(&self) -> Result<&Held, CatalogError> {
        let path = self.path.display();
        let fenced = |why: &str| CatalogError::Fenced(format!("catalog `{path}`: {why}"));
        let held = self.held.as_ref().ok_or_else(|| fenced("this coordinator does not lead"))?;
        if !self.is_current(&held.lock) {
            return Err(fenced("its lock was removed while this coordinator led, so another one may lead"));
        }
        Ok(held)
    }

    fn read(&self) -> Result<State, CatalogError> {
        match fs::read(&self.path) {
            Ok(bytes) => decode(&self.path, &bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(State::default()),
            Err(error) => Err(unavailable(&format!("read the catalog `{}`: {error}", self.path.display()))),
        }
    }

    fn store(&self, state: &State) -> Result<(), CatalogError> {
        store(&self.path, &encode(state)).map_err(|error| match error {
            StoreError::Kept(why) => {
                unavailable(&format!("write the catalog `{}`: {why}; the old one stays", self.path.display()))
            }
            // Which of the two states is on the disk is unknown here; the next leader reads it.
            StoreError::InDoubt(why) => CatalogError::Fenced(format!(
                "catalog `{}`: cannot know what a crash would leave: {why}",
                self.path.display()
            )),
        })
    }
}

impl Catalog for FileCatalog {
    fn lead(&mut self, is_over: &dyn Fn() -> bool) -> Result<Option<Snapshot>, CatalogError> {
        self.held = None;
        let lock = loop {
            if is_over() {
                return Ok(None);
            }
            match self.try_lock()? {
                Some(lock) => break lock,
                None => rest(AGAIN),
            }
        };
        let mut state = self.read()?;
        state.begin_term();
        self.store(&state)?;
        let snapshot = state.snapshot();
        self.held = Some(Held { lock, state });
        Ok(Some(snapshot))
    }

    fn write(&mut self, records: &[Record]) -> Result<(), CatalogError> {
        let mut state = self.held()?.state.clone();
        state.check(records).expect("a leader's numbers only grow");
        state.apply_all(records);
        let stored = self.store(&state);
        match (&stored, &mut self.held) {
            (Ok(()), Some(held)) => held.state = state,
            (Err(CatalogError::Fenced(_)), held) => *held = None,
            (_, _) => {}
        }
        stored
    }

    fn still_leads(&mut self) -> Result<(), CatalogError> {
        self.held().map(drop)
    }
}

fn unavailable(what: &str) -> CatalogError {
    CatalogError::Unavailable(format!("cannot {what}"))
}

#[expect(clippy::disallowed_methods, reason = "the system has no wait for a lock that can be cancelled")]
fn rest(duration: Duration) {
    std::thread::sleep(duration);
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn encode(state: &State) -> Vec<u8> {
    let Snapshot { pipelines, ceiling, term, leader } = state.snapshot();
    let body = serde_json::to_vec(&Body { term, leader, ceiling, pipelines }).expect("plain data can be JSON");
    let mut bytes = format!("{MAGIC} {VERSION} {}\n", checksum(&body)).into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}

fn decode(path: &Path, bytes: &[u8]) -> Result<State, CatalogError> {
    let remedy = "put a copy of it back, or move it away to start without pipelines and submit them again";
    let corrupt =
        |why: String, remedy: &str| CatalogError::Corrupt(format!("catalog `{}`: {why}; {remedy}", path.display()));
    let damaged = |why: &str| corrupt(format!("it is damaged: {why}"), remedy);
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("its first line has no end"))?;
    let (header, body) = (&bytes[..end], &bytes[end + 1..]);
    let header = std::str::from_utf8(header).map_err(|_| damaged("its first line is no text"))?;
    let parts: Vec<&str> = header.split(' ').collect();
    let &[MAGIC, version, expected] = parts.as_slice() else {
        return Err(damaged(&format!("its first line is not `{MAGIC} <version> <checksum>`")));
    };
    let version: u32 = version.parse().map_err(|_| damaged("its version is no number"))?;
    if version != VERSION {
        let why = format!("it has format {version}, and this build knows {VERSION} only");
        return Err(corrupt(why, "start the build that wrote it"));
    }
    if checksum(body) != expected {
        return Err(damaged("its checksum does not fit"));
    }
    let body: Body = serde_json::from_slice(body).map_err(|error| damaged(&format!("it cannot be read: {error}")))?;
    let Body { term, leader, ceiling, pipelines } = body;
    Ok(State::from(Snapshot { pipelines, ceiling, term, leader }))
}

fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Replaces a file, so that after any crash either the old one or the new one is there, and the new one once this has returned.
fn store(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let new = beside(path, ".new");
    let replaced = write_and_sync(&new, bytes).and_then(|()| fs::rename(&new, path));
    if let Err(error) = replaced {
        // On a full disk, others need its space.
        if let Err(error) = fs::remove_file(&new) {
            debug!(%error, "an unfinished catalog is left behind");
        }
        return Err(StoreError::Kept(error.to_string()));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| StoreError::InDoubt(format!("cannot sync the folder `{}`: {error}", folder.display())))
}

fn write_and_sync(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
