//! Faults of single requests to Kafka: a network may deliver a request late, lose it, or lose its answer, and the transaction protocol
//! has to bear that.

use std::io::{Read, Write};
use std::net::TcpStream;

/// The requests that faults can hit, with Kafka's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum Request {
    Produce = 0,
    EndTxn = 26,
    TxnOffsetCommit = 28,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFault {
    /// The next request of one kind is kept and its connection broken; it is delivered before the next one of the kind `before`.
    Delay { request: Request, before: Request },
    /// No such request arrives; its connection breaks.
    Lose(Request),
    /// The broker carries each such request out; its connection breaks before the answer.
    LoseAnswer(Request),
}

#[derive(Default)]
pub(super) struct Requests {
    pub(super) fault: Option<RequestFault>,
    delayed: Option<Delayed>,
    pub(super) late_answer: Option<i16>,
}

struct Delayed {
    frame: Vec<u8>,
    before: Request,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    LoseAnswer,
    Break,
}

impl Requests {
    /// Decides on one request, and delivers the delayed one first if it is due.
    pub(super) fn judge(&mut self, frame: &[u8], target: u16) -> Verdict {
        let key = i16::from_be_bytes([frame[4], frame[5]]);
        let is = |request: Request| request as i16 == key;
        if let Some(Delayed { frame, .. }) = self.delayed.take_if(|delayed| is(delayed.before)) {
            self.late_answer = Some(deliver(&frame, target));
        }
        match self.fault {
            Some(RequestFault::Delay { request, before }) if is(request) => {
                self.fault = None;
                self.delayed = Some(Delayed { frame: frame.to_vec(), before });
                Verdict::Break
            }
            Some(RequestFault::Lose(request)) if is(request) => Verdict::Break,
            Some(RequestFault::LoseAnswer(request)) if is(request) => Verdict::LoseAnswer,
            _ => Verdict::Pass,
        }
    }
}

/// Sends a request over a connection of its own; returns the error code of the answer.
fn deliver(frame: &[u8], target: u16) -> i16 {
    let mut broker = TcpStream::connect(("127.0.0.1", target)).expect("the broker");
    broker.write_all(frame).expect("delivered");
    let answer = read_frame(&mut broker).expect("an answer");
    // Length, correlation, throttle time, error.
    i16::from_be_bytes([answer[12], answer[13]])
}

/// One request or answer, with its length before it.
pub(super) fn read_frame(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame).ok()?;
    let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
    frame.resize(4 + length, 0);
    from.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

/// Replaces the broker's port by the proxy's in every address of an answer.
pub(super) fn replace_port(frame: &mut [u8], broker: u16, proxy: u16) {
    const HOST: &[u8] = b"127.0.0.1";
    let (broker, proxy) = (u32::from(broker).to_be_bytes(), u32::from(proxy).to_be_bytes());
    let address = [HOST, &broker].concat();
    let found = frame.windows(address.len()).enumerate().filter(|(_, part)| *part == address);
    let starts: Vec<usize> = found.map(|(start, _)| start).collect();
    for start in starts {
        frame[start + HOST.len()..start + address.len()].copy_from_slice(&proxy);
    }
}
