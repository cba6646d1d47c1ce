//! A proxy before the broker that reads Kafka's headers: it can hold a request back, break its connection, and deliver it later.
//!
//! That is what a network may do to a request, and what the transaction protocol has to live with. Answers that name the broker's address
//! are rewritten to name the proxy's, so that clients stay behind it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::broker::servers;

pub(crate) const TXN_OFFSET_COMMIT: i16 = 28;
pub(crate) const END_TXN: i16 = 26;

/// What is done to requests.
#[derive(Default)]
struct Plan {
    /// The next request of this key is kept, and its connection broken.
    hold: Option<i16>,
    held: Option<Vec<u8>>,
    /// When a request of this key comes, the held one is delivered before it.
    release_before: Option<i16>,
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
        let plan: Arc<Mutex<Plan>> = Arc::default();
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

    /// Keeps the next request of key `hold`, breaks its connection, and delivers it before the next one of key `before` after that.
    pub(crate) fn hold_and_release(&self, hold: i16, before: i16) {
        *self.plan.lock().expect("no test fails here") =
            Plan { hold: Some(hold), release_before: Some(before), ..Plan::default() };
    }

    /// The error code that the late request was answered with, once it was delivered.
    pub(crate) fn answered(&self) -> Option<i16> {
        self.plan.lock().expect("no test fails here").answered
    }
}

fn serve(client: TcpStream, broker: TcpStream, port: u16, plan: &Arc<Mutex<Plan>>) {
    let (mut from_client, mut to_broker) =
        (client.try_clone().expect("a socket"), broker.try_clone().expect("a socket"));
    let plan = Arc::clone(plan);
    let requests = move || {
        while let Some(frame) = read_frame(&mut from_client) {
            if !pass(&frame, &plan) || to_broker.write_all(&frame).is_err() {
                break;
            }
        }
        close(&from_client, &to_broker);
    };
    let (mut from_broker, mut to_client) = (broker, client);
    let answers = move || {
        let broker_port = servers().rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
        while let Some(mut frame) = read_frame(&mut from_broker) {
            rewrite(&mut frame, broker_port, port);
            if to_client.write_all(&frame).is_err() {
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

/// Whether a request goes on; holds it back and delivers the held one where the plan says so.
fn pass(frame: &[u8], plan: &Mutex<Plan>) -> bool {
    let key = i16::from_be_bytes([frame[4], frame[5]]);
    let mut plan = plan.lock().expect("no test fails here");
    if plan.hold == Some(key) {
        plan.hold = None;
        plan.held = Some(frame.to_vec());
        return false;
    }
    if plan.release_before == Some(key)
        && let Some(held) = plan.held.take()
    {
        let mut late = TcpStream::connect(servers()).expect("the broker");
        late.write_all(&held).expect("delivered");
        let answer = read_frame(&mut late).expect("an answer");
        // Length, correlation, throttle time, error.
        plan.answered = Some(i16::from_be_bytes([answer[12], answer[13]]));
    }
    true
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
    let mut at = 0;
    while at + HOST.len() + 4 <= frame.len() {
        let end = at + HOST.len();
        if &frame[at..end] == HOST && frame[end..end + 4] == port {
            frame[end..end + 4].copy_from_slice(&u32::from(proxy).to_be_bytes());
        }
        at += 1;
    }
}
