//! A proxy that can be cut: in front of a coordinator it passes bytes on, in front of a broker it also puts its own port in the place of
//! the broker's, so that clients stay behind it.
//!
//! A worker that has two of these can lose either of its peers and keep the other one, without rights that only root has.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

/// How it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Nothing arrives any more, and no connection breaks. What was on its way arrives when the cut is healed.
    Silent,
    /// Connections break, and no new one comes about.
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    Bytes,
    /// Answers name the port of the broker, which is replaced.
    Kafka,
}

/// A port of this machine behind which is another one.
pub(super) struct Link {
    pub(super) port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    cut: Option<Cut>,
    /// The port behind; none while nobody is there.
    target: Option<u16>,
    is_over: bool,
    /// Both ends of each connection.
    ends: Vec<TcpStream>,
}

impl Link {
    pub(super) fn new(speech: Speech, target: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let shared = Arc::new(Shared::default());
        shared.lock().target = target;
        let accepting = Arc::clone(&shared);
        let accept = move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.lock().is_over {
                    return;
                }
                let shared = Arc::clone(&accepting);
                spawn(move || connect(client, port, speech, &shared));
            }
        };
        spawn(accept);
        Self { port, shared }
    }

    pub(super) fn cut(&self, cut: Cut) {
        let mut state = self.shared.lock();
        state.cut = Some(cut);
        if cut == Cut::Broken {
            state.break_connections();
        }
        self.shared.changed.notify_all();
    }

    pub(super) fn heal(&self) {
        self.shared.lock().cut = None;
        self.shared.changed.notify_all();
    }

    /// Breaks what is connected; new connections lead to `target`.
    pub(super) fn lead_to(&self, target: Option<u16>) {
        let mut state = self.shared.lock();
        state.target = target;
        state.break_connections();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_over = true;
        state.break_connections();
        self.shared.changed.notify_all();
        drop(state);
        // Wakes who accepts.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl State {
    fn break_connections(&mut self) {
        self.ends.drain(..).for_each(|end| close(&end));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while nothing passes; false when nothing ever will.
    fn passes(&self) -> bool {
        let is_silent = |state: &mut State| state.cut == Some(Cut::Silent) && !state.is_over;
        let state = self.changed.wait_while(self.lock(), is_silent).unwrap_or_else(PoisonError::into_inner);
        state.cut.is_none() && !state.is_over
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) {
    Builder::new().name("link".into()).spawn(run).expect("a thread");
}

/// One that is closed already is closed.
fn close(end: &TcpStream) {
    end.shutdown(Shutdown::Both).unwrap_or_default();
}

fn connect(client: TcpStream, port: u16, speech: Speech, shared: &Arc<Shared>) {
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
    match speech {
        Speech::Bytes => {
            spawn(move || carry(from_server, client, &answers, read_some));
        }
        Speech::Kafka => {
            let read = move |from: &mut TcpStream| {
                let mut frame = read_frame(from)?;
                rewrite(&mut frame, target, port);
                Some(frame)
            };
            spawn(move || carry(from_server, client, &answers, read));
        }
    }
    carry(from_client, server, shared, read_some);
}

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
    let (broker, proxy) = (u32::from(broker).to_be_bytes(), u32::from(proxy).to_be_bytes());
    let address = [HOST, &broker].concat();
    let places: Vec<usize> =
        frame.windows(address.len()).enumerate().filter(|(_, part)| *part == address).map(|(at, _)| at).collect();
    for at in places {
        frame[at + HOST.len()..at + address.len()].copy_from_slice(&proxy);
    }
}
