//! Ctrl-C and SIGTERM.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::Builder;

use davy_engine::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals as Received;
use tokio_util::sync::CancellationToken;

/// What a shell expects of a program that Ctrl-C ended.
pub(crate) const INTERRUPTED: u8 = 130;
/// What a shell expects of a program that SIGTERM ended.
pub(crate) const TERMINATED: u8 = 143;

pub(crate) struct Signals {
    /// Set by either signal, for threads that read it between two steps.
    pub(crate) stop: Arc<AtomicBool>,
    /// Cancelled by either signal, for what waits.
    pub(crate) token: CancellationToken,
    /// Set by SIGTERM only, not by Ctrl-C: the exit codes differ.
    pub(crate) terminated: Arc<AtomicBool>,
}

/// Listens for Ctrl-C and SIGTERM; a second one ends the process at once.
pub(crate) fn listen() -> Result<Signals> {
    let signals = Signals { stop: Arc::default(), token: CancellationToken::new(), terminated: Arc::default() };
    register(&signals).map_err(|error| Error::Unavailable(format!("cannot listen for signals: {error}")))?;
    Ok(signals)
}

fn register(signals: &Signals) -> std::io::Result<()> {
    for (signal, code) in [(SIGINT, INTERRUPTED), (SIGTERM, TERMINATED)] {
        // In this order: the first signal finds the flag unset.
        flag::register_conditional_shutdown(signal, i32::from(code), Arc::clone(&signals.stop))?;
        flag::register(signal, Arc::clone(&signals.stop))?;
    }
    flag::register(SIGTERM, Arc::clone(&signals.terminated))?;
    let mut received = Received::new([SIGINT, SIGTERM])?;
    let token = signals.token.clone();
    Builder::new().name("signals".to_owned()).spawn(move || {
        if received.forever().next().is_some() {
            token.cancel();
        }
    })?;
    Ok(())
}
