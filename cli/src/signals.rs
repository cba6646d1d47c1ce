//! Ctrl-C and SIGTERM.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use davy_engine::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What a shell expects of a program that Ctrl-C ended.
pub(crate) const INTERRUPTED: u8 = 130;
/// What a shell expects of a program that SIGTERM ended.
pub(crate) const TERMINATED: u8 = 143;

pub(crate) struct Signals {
    /// Set by either signal.
    pub(crate) stop: Arc<AtomicBool>,
    /// Set by SIGTERM.
    pub(crate) terminated: Arc<AtomicBool>,
}

/// Listens for Ctrl-C and SIGTERM; a second one ends the process at once.
pub(crate) fn listen() -> Result<Signals> {
    let signals = Signals { stop: Arc::default(), terminated: Arc::default() };
    let registered: std::io::Result<()> = (|| {
        for (signal, code) in [(SIGINT, INTERRUPTED), (SIGTERM, TERMINATED)] {
            // In this order: the first one finds the flag still down.
            flag::register_conditional_shutdown(signal, i32::from(code), Arc::clone(&signals.stop))?;
            flag::register(signal, Arc::clone(&signals.stop))?;
        }
        flag::register(SIGTERM, Arc::clone(&signals.terminated))?;
        Ok(())
    })();
    registered.map_err(|error| Error::Unavailable(format!("cannot listen for signals: {error}")))?;
    Ok(signals)
}
