//! A proxy before the broker that reads Kafka's headers, for the ends of transactions: it keeps one back and delivers it later, or loses
//! all of them, or their answers.
//!
//! That is what a network may do to a request, and what the transaction protocol has to live with. Answers that name the broker's address
//! are rewritten to name the proxy's, so that clients stay behind it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::broker::servers;

const PRODUCE: i16 = 0;
const END_TXN: i16 = 26;

/// What is done to requests that end a transaction. Connections break with each that is not passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    Pass,
    /// The next one is kept until the next record is written, and delivered before it.
    KeepOne,
    Lose,
    /// The broker gets them, and its answers are dropped.
    LoseAnswers,
}

struct Plan {
    ends: Ends,
    kept: Option<Vec<u8>>,
    /// The error code that the late request was answered with.
    answered: Option<i16>,
}

/// The proxy; ends with the process.
pub(crate) struct Proxy {
    port: u16,
    plan: Arc<Mutex<Plan>>,
}

impl Proxy {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let plan = Arc::new(Mutex::new(Plan { ends: Ends::Pass, kept: None, answered: None }));
        let shared = Arc::clone(&plan);
        let accept = move || {
            for client in listener.incoming() {
                let broker = TcpStream::connect(servers()).expect("the broker");
                serve(client.expect("a connection"), broker, port, &shared);
            }
        };
        std::thread::Builder::new().name("proxy".into()).spawn(accept).expect("a thread");
        Self { port, plan }
    }

    pub(crate) fn servers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn set(&self, ends: Ends) {
        self.plan.lock().expect("no test fails here").ends = ends;
    }

    /// The error code that the late request was answered with, once it was delivered.
    pub(crate) fn answered(&self) -> Option<i16> {
        self.plan.lock().expect("no test fails here").answered
    }
}

fn serve(client: TcpStream, broker: TcpStream, port: u16, plan: &Arc<Mutex<Plan>>) {
    let (mut from_client, mut to_broker) =
        (client.try_clone().expect("a socket"), broker.try_clone().expect("a socket"));
    let (mut from_broker, mut to_client) = (broker, client);
    let plan = Arc::clone(plan);
    let loses_answer = Arc::new(AtomicBool::new(false));
    let loses = Arc::clone(&loses_answer);
    let requests = move || {
        while let Some(frame) = read_frame(&mut from_client) {
            if !pass(&frame, &plan, &loses_answer) || to_broker.write_all(&frame).is_err() {
                break;
            }
        }
        close(&from_client, &to_broker);
    };
    let answers = move || {
        let broker_port = servers().rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
        while let Some(mut frame) = read_frame(&mut from_broker) {
            rewrite(&mut frame, broker_port, port);
            if loses.load(Ordering::SeqCst) || to_client.write_all(&frame).is_err() {
                break;
            }
        }
        close(&from_broker, &to_client);
    };
    std::thread::Builder::new().name("requests".into()).spawn(requests).expect("a thread");
    std::thread::Builder::new().name("answers".into()).spawn(answers).expect("a thread");
}

/// Both sides; one that is closed already is closed.
fn close(one: &TcpStream, other: &TcpStream) {
    for side in [one, other] {
        side.shutdown(Shutdown::Both).unwrap_or_default();
    }
}

/// Whether a request goes on.
fn pass(frame: &[u8], plan: &Mutex<Plan>, loses_answer: &AtomicBool) -> bool {
    let key = i16::from_be_bytes([frame[4], frame[5]]);
    let mut plan = plan.lock().expect("no test fails here");
    if key == PRODUCE
        && let Some(kept) = plan.kept.take()
    {
        plan.answered = Some(deliver(&kept));
    }
    match plan.ends {
        _ if key != END_TXN => true,
        Ends::Pass => true,
        Ends::KeepOne => {
            plan.kept = Some(frame.to_vec());
            plan.ends = Ends::Pass;
            false
        }
        Ends::Lose => false,
        Ends::LoseAnswers => {
            loses_answer.store(true, Ordering::SeqCst);
            true
        }
    }
}

/// The error code of the answer.
fn deliver(frame: &[u8]) -> i16 {
    let mut broker = TcpStream::connect(servers()).expect("the broker");
    broker.write_all(frame).expect("delivered");
    let answer = read_frame(&mut broker).expect("an answer");
    // Length, correlation, throttle time, error.
    i16::from_be_bytes([answer[12], answer[13]])
}

fn read_frame(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame).ok()?;
    let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
    frame.resize(4 + length, 0);
    from.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

/// Puts the proxy's port in the place of the broker's, wherever its address stands.
fn rewrite(frame: &mut [u8], broker: u16, proxy: u16) {
    const HOST: &[u8] = b"127.0.0.1";
    let port = u32::from(broker).to_be_bytes();
    for at in 0..frame.len().saturating_sub(HOST.len() + 3) {
        let end = at + HOST.len();
        if &frame[at..end] == HOST && frame[end..end + 4] == port {
            frame[end..end + 4].copy_from_slice(&u32::from(proxy).to_be_bytes());
        }
    }
}
