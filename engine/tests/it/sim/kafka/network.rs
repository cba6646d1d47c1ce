//! The network between clients and the broker: requests and answers get lost, or come late.
//!
//! Within a connection requests keep their order. What is late here was sent over a connection that has broken since: it arrives
//! when the test delivers it, after others that were sent later over a new one, and its answer is dropped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Refusal;
use super::broker::{Broker, Request, Response};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives, and so does its answer.
    Deliver,
    LoseRequest,
    /// The broker handles it, but the client gets no answer.
    LoseAnswer,
    /// The client stops waiting for it, and it arrives later.
    Delay,
    /// The client dies before it is sent.
    CrashBefore,
    /// The client dies after the broker has handled it.
    CrashAfter,
    /// The client pauses before it is sent, while the others go on.
    PauseBefore,
    /// The client pauses after the broker has handled it.
    PauseAfter,
}

pub trait FaultInjector: Send + Sync {
    /// What becomes of a request of this owner.
    fn fate(&self, owner: u64, request: &Request) -> Fate;

    /// Called while this owner is paused.
    fn pause(&self, owner: u64);

    /// The broker's answer to a request, for the trace.
    fn answered(&self, owner: u64, request: &Request, answer: &Result<Response, Refusal>);
}

/// What a client sees of a request.
pub(super) enum Sent {
    Answer(Result<Response, Refusal>),
    Nothing,
    Crashed,
}

/// A network and the broker behind it.
pub struct Network {
    broker: Mutex<Broker>,
    late: Mutex<Vec<(u64, Request)>>,
    faults: Arc<dyn FaultInjector>,
}

impl Network {
    pub fn new(broker: Broker, faults: Arc<dyn FaultInjector>) -> Self {
        Self { broker: Mutex::new(broker), late: Mutex::default(), faults }
    }

    /// The broker, without the network.
    pub fn broker(&self) -> MutexGuard<'_, Broker> {
        // The state is changed whole: a panic elsewhere leaves it as good as it was.
        self.broker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn late(&self) -> MutexGuard<'_, Vec<(u64, Request)>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests are late.
    pub fn n_late(&self) -> usize {
        self.late().len()
    }

    /// Lets a late request arrive.
    pub fn deliver_late(&self, index: usize) {
        let (owner, request) = self.late().remove(index);
        self.deliver(owner, &request);
    }

    /// Writes all markers that transactions wait for.
    pub fn write_markers(&self) {
        let mut broker = self.broker();
        while broker.write_marker() {}
    }

    fn deliver(&self, owner: u64, request: &Request) -> Sent {
        let answer = self.broker().handle(request);
        self.faults.answered(owner, request, &answer);
        Sent::Answer(answer)
    }

    pub(super) fn send(&self, owner: u64, request: &Request) -> Sent {
        match self.faults.fate(owner, request) {
            Fate::Deliver => self.deliver(owner, request),
            Fate::LoseRequest => Sent::Nothing,
            Fate::LoseAnswer => {
                self.deliver(owner, request);
                Sent::Nothing
            }
            Fate::Delay => {
                self.late().push((owner, request.clone()));
                Sent::Nothing
            }
            Fate::CrashBefore => Sent::Crashed,
            Fate::CrashAfter => {
                self.deliver(owner, request);
                Sent::Crashed
            }
            Fate::PauseBefore => {
                self.faults.pause(owner);
                self.deliver(owner, request)
            }
            Fate::PauseAfter => {
                let answer = self.deliver(owner, request);
                self.faults.pause(owner);
                answer
            }
        }
    }
}
