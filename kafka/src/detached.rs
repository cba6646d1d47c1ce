//! Calls of librdkafka that may never return.
//!
//! `rd_kafka_send_offsets_to_transaction` waits without a limit of its own for a connection to the group's coordinator. When a broker
//! loses its partitions for a moment, librdkafka may wait for an event that has already been, and the caller with it, for ever. So such a
//! call is made in a thread of its own. One that does not return is left behind with what it owns, until librdkafka lets it go.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread::Builder;
use std::time::Duration;

use crate::clock;

/// A call has one answer.
const ANSWERS: usize = 1;
/// How often the limit is looked at.
const SLICE: Duration = Duration::from_millis(100);

/// What `call` returns; `None` after `limit`, which may change meanwhile.
pub(crate) fn call<T: Send + 'static>(
    limit: impl Fn() -> Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Option<T>> {
    let (answer, answers) = sync_channel(ANSWERS);
    let begun = clock::now();
    Builder::new().name("positions".to_owned()).spawn(move || answer.send(call()))?;
    loop {
        match answers.recv_timeout(SLICE) {
            Ok(answer) => return Ok(Some(answer)),
            Err(RecvTimeoutError::Timeout) if clock::since(begun) < limit() => {}
            Err(_) => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_call_that_returns_is_waited_for() {
        assert_eq!(call(|| Duration::MAX, || 7).expect("a thread"), Some(7));
    }

    #[test]
    fn a_call_that_does_not_return_is_left_behind_with_what_it_owns() {
        let owned = Arc::new(());
        let (go, wait) = sync_channel::<()>(ANSWERS);
        let (inside, looks) = (Arc::clone(&owned), AtomicUsize::new(0));
        // Patience ends while the call is waited for.
        let limit = || if looks.fetch_add(1, Ordering::Relaxed) == 0 { Duration::MAX } else { Duration::ZERO };
        let answer = call(limit, move || {
            let _inside = inside;
            wait.recv().is_ok()
        });
        assert_eq!(answer.expect("a thread"), None);
        assert_eq!(Arc::strong_count(&owned), 2, "the call still uses it");
        drop(go);
    }

    #[test]
    fn a_call_that_panics_has_no_answer() {
        let answer = call(|| Duration::MAX, || -> u8 { panic!("on purpose") });
        assert_eq!(answer.expect("a thread"), None);
    }
}
