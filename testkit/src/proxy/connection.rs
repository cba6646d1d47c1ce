//! One connection through the proxy: two threads, one for each direction.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::requests::{Verdict, read_frame, replace_port};
use super::{Protocol, Shared, close, spawn};

pub(super) fn serve(client: TcpStream, shared: &Arc<Shared>) {
    if !shared.passes() {
        return;
    }
    let Some(target) = shared.lock().target else { return };
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { return };
    let ends = [&client, &server].map(|end| end.try_clone().expect("a socket"));
    // Without this, small answers wait for acknowledgements.
    ends.iter().for_each(|end| end.set_nodelay(true).expect("a socket"));
    shared.lock().ends.extend(ends);
    let [from_client, from_server] = [&client, &server].map(|end| end.try_clone().expect("a socket"));
    let answers = Arc::clone(shared);
    match shared.protocol {
        Protocol::Bytes => {
            spawn(move || carry(from_server, client, &answers, read_some));
            carry(from_client, server, shared, read_some);
        }
        Protocol::Kafka => {
            let loses_answers = Arc::new(AtomicBool::new(false));
            let loses = Arc::clone(&loses_answers);
            let read_answer = move |from: &mut TcpStream| {
                let mut frame = read_frame(from)?;
                replace_port(&mut frame, target, answers.port);
                (!loses.load(Ordering::SeqCst)).then_some(frame)
            };
            let passing = Arc::clone(shared);
            spawn(move || carry(from_server, client, &passing, read_answer));
            carry(from_client, server, shared, |from| read_request(from, target, shared, &loses_answers));
        }
    }
}

/// The next request that goes on; `None` breaks the connection.
fn read_request(from: &mut TcpStream, target: u16, shared: &Shared, loses_answers: &AtomicBool) -> Option<Vec<u8>> {
    let frame = read_frame(from)?;
    shared.wait_for_room(frame.len());
    match shared.requests().judge(&frame, target) {
        Verdict::Pass => Some(frame),
        Verdict::LoseAnswer => {
            loses_answers.store(true, Ordering::SeqCst);
            Some(frame)
        }
        Verdict::Break => None,
    }
}

/// Passes on what `read` finds, until one end closes or the proxy is cut.
fn carry(
    mut from: TcpStream,
    mut to: TcpStream,
    shared: &Shared,
    mut read: impl FnMut(&mut TcpStream) -> Option<Vec<u8>>,
) {
    while let Some(bytes) = read(&mut from) {
        if !shared.passes() || to.write_all(&bytes).is_err() {
            break;
        }
    }
    close(&from);
    close(&to);
}

fn read_some(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 64 << 10];
    let n = from.read(&mut bytes).ok().filter(|&n| 0 < n)?;
    bytes.truncate(n);
    Some(bytes)
}
