//! Reads inputs that may block (a pipe, a terminal) on a separate thread, so that a poll never waits long.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use davy_engine::{Error, Result};

use super::splits::{Piece, SplitReader};

/// How long a poll waits for input before it returns without any.
pub(crate) const POLL_WAIT: Duration = Duration::from_millis(10);

/// One piece is decoded while the next is read; more would only hold memory.
const N_PIECES_AHEAD: usize = 2;

/// Receives the pieces that a reader on another thread reads.
///
/// After a drop, the thread ends at its next piece; the owner of a pipe closes it, so that there is a next one.
pub(crate) struct Background {
    pieces: Receiver<Result<Piece>>,
}

impl Background {
    /// Opens a reader and reads it to its end, both on a thread called `name`.
    pub(crate) fn spawn<R, F>(name: &str, open: F) -> Result<Self>
    where
        R: SplitReader,
        F: FnOnce() -> Result<R> + Send + 'static,
    {
        let (sender, pieces) = sync_channel(N_PIECES_AHEAD);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(open(), &sender))
            .map_err(|error| Error::Unavailable(format!("cannot start a thread to read `{name}`: {error}")))?;
        Ok(Self { pieces })
    }
}

fn run(opened: Result<impl SplitReader>, sender: &SyncSender<Result<Piece>>) {
    let mut opened = opened;
    loop {
        let piece = match opened.as_mut().map(SplitReader::next) {
            Ok(Ok(None)) => continue,
            Ok(Ok(Some(piece))) => Ok(piece),
            Ok(Err(error)) => Err(error),
            Err(_) => break,
        };
        let is_last = piece.as_ref().map_or(true, |piece| piece.end_of_split);
        if sender.send(piece).is_err() || is_last {
            return;
        }
    }
    if let Err(error) = opened {
        // Sending fails only after the receiver was dropped.
        sender.send(Err(error)).ok();
    }
}

impl SplitReader for Background {
    fn next(&mut self) -> Result<Option<Piece>> {
        match self.pieces.recv_timeout(POLL_WAIT) {
            Ok(piece) => piece.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Error::internal("a reader thread ended before its split")),
        }
    }
}
