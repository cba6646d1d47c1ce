//! The host of plug-ins: `CREATE FUNCTION … USING LIBRARY` loads one, a batch of rows is one call.
//!
//! A plug-in runs in this process, on threads of its own. What each of its failures costs:
//!
//! | it … | costs | how |
//! |---|---|---|
//! | reports an error; panics in `#[udf]` or anywhere it catches | these rows | [`CallError::Failed`] |
//! | returns another length or type, or an invalid column | these rows, or the pipeline | [`CallError::Misbehaved`] |
//! | lets a panic out, or a C++ exception | the pipeline, and a parked thread | [`CallError::Broken`] |
//! | does not come back in time | the pipeline, and a thread that goes on | [`CallError::Broken`] |
//! | aborts, recurses without end, writes where it should not | the process | nothing: leave it out of the list |
//!
//! A process of its own for each plug-in would survive the last line too and could be killed. It would copy each batch twice through
//! a pipe, and needs supervision (start, watch, restart) that is more code than the host itself. A plug-in is native code that the
//! operator lists by its hash, so what is guarded against is bugs. Those of safe Rust end in the first four lines, unless the plug-in
//! is built with `panic = "abort"`.
//!
//! Handing a batch to another thread and back costs 20 to 40 µs, so a forest of 100 trees is as fast as without it from 1,000 rows on.
//!
//! Paths are vetted by the caller (the list of folders, the hash); this only loads what it is given. Plug-ins are never unloaded.

mod export;
mod import;
mod info;
#[cfg(test)]
mod roundtrip;
#[cfg(test)]
mod tests;
mod thread;
mod types;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arrow::array::{ArrayRef, new_empty_array};
use arrow::compute::cast;
use arrow::datatypes::DataType;

pub use info::{AbiInfo, Argument, Model};
pub use types::abi_type;

use crate::error::{Error, Result};
use thread::{Hand, Job, LoadError, Lost, Outcome, Symbols};

/// How long a plug-in may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For loading it and hearing what it says of itself.
    pub load: Duration,
    /// For one call, so for one batch.
    pub call: Duration,
}

impl Default for Limits {
    /// Thirty seconds: a batch has thousands of rows, so this is milliseconds for each of them.
    fn default() -> Self {
        Self { load: Duration::from_secs(30), call: Duration::from_secs(30) }
    }
}

/// A loaded plug-in; shared by tasks, each of which may call at the same time.
pub struct Library {
    name: String,
    limits: Limits,
    symbols: Symbols,
    info: Option<AbiInfo>,
    /// Threads that wait for work: as many as there ever were calls at the same time.
    idle: Mutex<Vec<Hand>>,
    /// Why it is not called any more.
    broken: OnceLock<String>,
    n_stuck: AtomicUsize,
}

/// Why a call brought no rows; all messages name the function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The call cannot be made: a type that does not cross the ABI, no arguments, or columns of different lengths.
    #[error("{0}")]
    Refused(String),
    /// The plug-in says that it failed on these rows. The next call may succeed.
    #[error("{0}")]
    Failed(String),
    /// What came back is not a valid column of the declared type and length; none of it was used. The next call may succeed.
    #[error("{0}")]
    Misbehaved(String),
    /// It hangs, or unwound into the host: it is not called any more, in this process.
    #[error("{0}")]
    Broken(String),
}

impl Library {
    /// Loads the plug-in at an absolute path; `name` is the function's, for messages.
    pub fn open(path: &Path, name: &str) -> Result<Arc<Self>> {
        Self::open_with(path, name, Limits::default())
    }

    /// The same with other limits.
    pub fn open_with(path: &Path, name: &str, limits: Limits) -> Result<Arc<Self>> {
        let file = path.display();
        let refuse = |what: String, hint: &str| Err(Error::invalid(format!("function `{name}`: {what}")).hint(hint));
        if !path.is_absolute() {
            // The loader would look for it in the system's folders.
            return refuse(format!("`{file}` is not an absolute path"), "write the whole path");
        }
        let (symbols, info) = match thread::load(path.to_owned(), name, limits.load) {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(LoadError::Refused(why))) => {
                return refuse(format!("`{file}` cannot be loaded: {why}"), "build it for this machine, as a `cdylib`");
            }
            Ok(Err(LoadError::NoRun)) => {
                return refuse(
                    format!("`{file}` has no symbol `__run`"),
                    "write it with `arroyo-udf-plugin`, see udfs/README.md",
                );
            }
            Ok(Err(LoadError::Asynchronous)) => {
                return refuse(
                    format!("`{file}` is an asynchronous plug-in"),
                    "make its function a plain `fn`: rows come in batches",
                );
            }
            Err(Lost::TimedOut) => {
                return refuse(
                    format!("`{file}` took longer than {:?} to load", limits.load),
                    "look at its constructors",
                );
            }
            Err(Lost::Unwound) => {
                return refuse(format!("`{file}` panicked in `__abi_info`"), "let it return a constant");
            }
            Err(Lost::NoThread) => {
                return Err(Error::Unavailable(format!("function `{name}`: no thread can be started for it")));
            }
        };
        let info = info.map(|json| AbiInfo::parse(name, &json)).transpose()?;
        let (idle, broken, n_stuck) = (Mutex::default(), OnceLock::new(), AtomicUsize::new(0));
        Ok(Arc::new(Self { name: name.to_owned(), limits, symbols, info, idle, broken, n_stuck }))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the plug-in says of itself, where it does.
    pub fn abi_info(&self) -> Option<&AbiInfo> {
        self.info.as_ref()
    }

    /// Threads that are lost in it: they hang, or were parked after a panic.
    pub fn n_stuck_threads(&self) -> usize {
        self.n_stuck.load(Ordering::Relaxed)
    }

    /// Computes a batch. All columns have `n_rows` rows; so has the result, of type `returns`. No rows: the plug-in is not called.
    pub fn call(&self, arguments: &[ArrayRef], n_rows: usize, returns: &DataType) -> Result<ArrayRef, CallError> {
        let job = self.job(arguments, n_rows, returns)?;
        if n_rows == 0 {
            return Ok(new_empty_array(returns));
        }
        if let Some(why) = self.broken.get() {
            return Err(CallError::Broken(why.clone()));
        }
        let hand = self.idle_hands().pop().or_else(|| Hand::start(&self.name, self.symbols));
        let hand = hand.ok_or_else(|| CallError::Refused(self.says("no thread can be started for it")))?;
        let (hand, outcome) = hand.call(job, self.limits.call).map_err(|lost| self.broke(lost))?;
        self.idle_hands().push(hand);
        match outcome {
            Outcome::Column(array) => cast(&array, returns).map_err(|error| {
                CallError::Misbehaved(self.says(format_args!("its result cannot be read as `{returns}`: {error}")))
            }),
            Outcome::Failed(Some(why)) => Err(CallError::Failed(self.says(printable(&why)))),
            Outcome::Failed(None) => Err(CallError::Failed(
                self.says("it failed and gives no reason; if it panicked, its message is in the worker's output"),
            )),
            Outcome::Misbehaved(what) => Err(CallError::Misbehaved(self.says(format_args!("its library {what}")))),
        }
    }

    /// Casts the arguments to types of the ABI.
    fn job(&self, arguments: &[ArrayRef], n_rows: usize, returns: &DataType) -> Result<Job, CallError> {
        let refused = |what: fmt::Arguments<'_>| CallError::Refused(self.says(what));
        if arguments.is_empty() {
            return Err(refused(format_args!("it has no arguments; the ABI cannot say for how many rows to call it")));
        }
        let cannot =
            |data_type: &DataType| refused(format_args!("`{data_type}` cannot be passed to or from a library"));
        let pass = |argument: &ArrayRef| {
            if argument.len() != n_rows {
                return Err(refused(format_args!("an argument has {} rows, not {n_rows}", argument.len())));
            }
            let target = abi_type(argument.data_type()).ok_or_else(|| cannot(argument.data_type()))?;
            cast(argument, &target).map_err(|error| refused(format_args!("an argument cannot be passed: {error}")))
        };
        let arguments = arguments.iter().map(pass).collect::<Result<_, _>>()?;
        let returns = abi_type(returns).ok_or_else(|| cannot(returns))?;
        Ok(Job { arguments, n_rows, returns })
    }

    /// Sets it to broken; the first reason stays.
    fn broke(&self, lost: Lost) -> CallError {
        let why = match lost {
            Lost::TimedOut => format!("its library did not come back within {:?}", self.limits.call),
            Lost::Unwound => "its library let a panic out, its message is in the worker's output".to_owned(),
            Lost::NoThread => "its thread ended".to_owned(),
        };
        self.n_stuck.fetch_add(1, Ordering::Relaxed);
        let why = self.says(format_args!("{why}; it is not called any more, mend it and start the worker again"));
        CallError::Broken(self.broken.get_or_init(|| why).clone())
    }

    fn says(&self, what: impl fmt::Display) -> String {
        format!("function `{}`: {what}", self.name)
    }

    fn idle_hands(&self) -> std::sync::MutexGuard<'_, Vec<Hand>> {
        // Nothing panics while it is held; and a list of threads cannot be half changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("name", &self.name).field("broken", &self.broken).finish_non_exhaustive()
    }
}

/// A plug-in's text in one line: control characters are escaped.
fn printable(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}
