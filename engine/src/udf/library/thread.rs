//! The threads on which a plug-in's code runs, and nothing else of it: what hangs or unwinds there costs that thread.
//!
//! A thread cannot be killed. One that does not answer in time is left behind, together with the memory it was given.
#![allow(unsafe_code, reason = "calls into a shared library")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};

use super::export;
use super::import::{Returned, text};
use crate::udf::abi::{ABI_INFO, ERR, LAST_ERROR, OK, RUN, Run, START, Text};

/// The functions of a loaded plug-in. They stay valid: a plug-in is never unloaded, since threads and thread-local destructors of
/// its own runtime may outlive any call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbols {
    run: Run,
    last_error: Option<Text>,
}

/// A loaded plug-in with what `__abi_info` says.
pub(super) type Loaded = Result<(Symbols, Option<String>), LoadError>;

/// Why a file is no plug-in.
#[derive(Debug)]
pub(super) enum LoadError {
    /// The system's loader refuses it.
    Refused(String),
    /// It has no `__run`.
    NoRun,
    /// It is an asynchronous plug-in.
    Asynchronous,
}

/// One batch to compute; the arguments have types of the ABI.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) arguments: Vec<ArrayRef>,
    pub(super) n_rows: usize,
    pub(super) returns: DataType,
}

/// What came of a piece of work.
#[derive(Debug)]
pub(super) enum Answer<T> {
    Done(T),
    /// It unwound out of the plug-in; its thread is lost.
    Unwound,
}

/// What a call gave back.
#[derive(Debug)]
pub(super) enum Outcome {
    Column(ArrayRef),
    /// The plug-in reports a failure, with a message where it has one.
    Failed(Option<String>),
    /// It returned another type or length than declared.
    Misbehaved(String),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    TimedOut,
    Unwound,
    /// The thread could not be started, or ended by a panic of ours.
    NoThread,
}

/// More than the default 2 MiB, for plug-ins that recurse deeply (over a model, say).
const STACK_BYTES: usize = 8 << 20;
/// Most bytes of `__abi_info`.
const MAX_INFO_BYTES: usize = 64 << 10;
/// Most bytes of `__last_error`.
const MAX_ERROR_BYTES: usize = 1 << 10;

/// A thread that waits for jobs; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Hand {
    jobs: SyncSender<Job>,
    answers: Receiver<Answer<Outcome>>,
}

impl Hand {
    pub(super) fn start(name: &str, symbols: Symbols) -> Option<Self> {
        let (jobs, to_do) = sync_channel::<Job>(1);
        let (done, answers) = sync_channel(1);
        let work = move || {
            while let Ok(job) = to_do.recv() {
                let outcome = guarded(&done, || symbols.call(job));
                if done.send(Answer::Done(outcome)).is_err() {
                    // The caller gave up on this thread.
                    return;
                }
            }
        };
        start(name, work).then_some(Self { jobs, answers })
    }

    /// Gives the thread back together with what came out, unless it is lost.
    pub(super) fn call(self, job: Job, timeout: Duration) -> Result<(Self, Outcome), Lost> {
        self.jobs.send(job).map_err(|_| Lost::NoThread)?;
        let outcome = wait(&self.answers, timeout)?;
        Ok((self, outcome))
    }
}

/// Loads a plug-in on a thread of its own, since constructors in it may hang too.
pub(super) fn load(path: PathBuf, name: &str, timeout: Duration) -> Result<Loaded, Lost> {
    let (done, answer) = sync_channel(1);
    let work = move || {
        let loaded = guarded(&done, || Symbols::load(&path));
        // After a timeout no receiver waits any more.
        drop(done.send(Answer::Done(loaded)));
    };
    if !start(name, work) {
        return Err(Lost::NoThread);
    }
    wait(&answer, timeout)
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> bool {
    // A quoted name may hold anything; a thread's must not hold NUL.
    let builder = thread::Builder::new().name(format!("udf {}", name.escape_default())).stack_size(STACK_BYTES);
    // Not joined: a plug-in may never come back, and its answer is all that is waited for.
    builder.spawn(work).is_ok()
}

fn wait<T>(answers: &Receiver<Answer<T>>, timeout: Duration) -> Result<T, Lost> {
    match answers.recv_timeout(timeout) {
        Ok(Answer::Done(value)) => Ok(value),
        Ok(Answer::Unwound) => Err(Lost::Unwound),
        Err(RecvTimeoutError::Timeout) => Err(Lost::TimedOut),
        Err(RecvTimeoutError::Disconnected) => Err(Lost::NoThread),
    }
}

/// Does `work`, which calls into a plug-in; if it unwinds from there, says so and never returns.
///
/// A panic of a plug-in's own runtime is a foreign exception to ours, as one of C++ is: `catch_unwind` does not catch it, it ends the
/// process ("Rust cannot catch foreign exceptions, aborting"). On unwinding, destructors do run. So this thread stays in one
/// for good, and the exception never comes to a `catch_unwind`.
fn guarded<T, R>(answers: &SyncSender<Answer<R>>, work: impl FnOnce() -> T) -> T {
    struct Landing<'a, R>(&'a SyncSender<Answer<R>>);
    impl<R> Drop for Landing<'_, R> {
        fn drop(&mut self) {
            if thread::panicking() {
                // A panic of our own, which ordinary unwinding takes care of.
                return;
            }
            drop(self.0.send(Answer::Unwound));
            loop {
                thread::park();
            }
        }
    }
    let landing = Landing(answers);
    let value = work();
    std::mem::forget(landing);
    value
}

impl Symbols {
    fn load(path: &PathBuf) -> Loaded {
        // SAFETY: loading runs the library's constructors. The worker loads only files that its operator listed, by their hash.
        let handle = unsafe { Handle::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
        let handle = handle.map_err(|error| LoadError::Refused(error.to_string()))?;
        // SAFETY: the symbols have these types in every plug-in of this ABI; that is what the operator vouches for.
        let (run, start, last_error, info) = unsafe {
            let run = handle.get::<Run>(RUN).map(|symbol| *symbol);
            let start = handle.get::<Text>(START).map(|symbol| *symbol);
            let last_error = handle.get::<Text>(LAST_ERROR).map(|symbol| *symbol);
            (run, start, last_error, handle.get::<Text>(ABI_INFO).map(|symbol| *symbol))
        };
        // Never unloaded, see `Symbols`.
        std::mem::forget(handle);
        match (run, start) {
            (Ok(run), _) => {
                // SAFETY: as above; the text ends with NUL.
                let info = info.ok().and_then(|info| unsafe { text(info(), MAX_INFO_BYTES) });
                Ok((Self { run, last_error: last_error.ok() }, info))
            }
            (Err(_), Ok(_)) => Err(LoadError::Asynchronous),
            (Err(_), Err(_)) => Err(LoadError::NoRun),
        }
    }

    fn call(self, job: Job) -> Outcome {
        let Job { arguments, n_rows, returns } = job;
        let Some(arrays) = export::arrays(&arguments) else {
            return Outcome::Misbehaved("was called with arguments that the ABI cannot carry".to_owned());
        };
        // The exported columns hold the memory from here on.
        drop(arguments);
        // SAFETY: the symbol is a plug-in's `__run`; it takes the arrays over.
        let result = unsafe { (self.run)(arrays) };
        match result.tag {
            OK => {
                // SAFETY: with this tag the column is set.
                let column = Returned(unsafe { result.column.assume_init() });
                // SAFETY: the plug-in's promise; what can be checked of it is.
                match unsafe { column.copy(&returns, n_rows) } {
                    Ok(array) => Outcome::Column(array),
                    Err(what) => Outcome::Misbehaved(what),
                }
            }
            ERR => Outcome::Failed(self.last_error.and_then(|last_error| {
                // SAFETY: the symbol gives null or text that ends with NUL; this is the thread that called.
                unsafe { text(last_error(), MAX_ERROR_BYTES) }
            })),
            tag => {
                Outcome::Misbehaved(format!("returned a result with tag {tag}, which is neither success nor failure"))
            }
        }
    }
}

// A function pointer list is shared by all threads of a library.
const _: fn() = || {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Arc<Symbols>>();
};
