//! A TCP proxy that a test can cut, and that delays or loses single requests to Kafka.
//!
//! A process whose peers are each behind a proxy can lose one of them and keep the others, without the rights of root. In front of a
//! broker, the proxy replaces the broker's port in every answer by its own, so that clients stay behind it.

mod connection;
mod requests;

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use requests::Requests;
pub use requests::{Request, RequestFault};

/// How the proxy is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing arrives, and no connection breaks. What was under way arrives when the cut is healed.
    Silent,
    /// Connections break, and no new one is made.
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Bytes,
    Kafka,
}

/// A port of this machine that leads to another one. Dropping it breaks its connections.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    port: u16,
    protocol: Protocol,
    state: Mutex<State>,
    changed: Condvar,
    requests: Mutex<Requests>,
}

#[derive(Default)]
struct State {
    cut: Option<Cut>,
    /// None while no server is there.
    target: Option<u16>,
    bytes_per_second: Option<u32>,
    is_over: bool,
    /// Both ends of each connection.
    ends: Vec<TcpStream>,
}

impl Proxy {
    /// A proxy that passes bytes on, whatever they mean; without a target, it closes each connection at once.
    pub fn of_bytes(target: Option<u16>) -> Self {
        Self::new(Protocol::Bytes, target)
    }

    /// A proxy in front of the only broker of `servers`, given as `host:port`.
    pub fn of_kafka(servers: &str) -> Self {
        let port = servers.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("`host:port`");
        Self::new(Protocol::Kafka, Some(port))
    }

    fn new(protocol: Protocol, target: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let state = Mutex::new(State { target, ..State::default() });
        let (changed, requests) = (Condvar::new(), Mutex::default());
        let shared = Arc::new(Shared { port, protocol, state, changed, requests });
        let accepting = Arc::clone(&shared);
        spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.lock().is_over {
                    return;
                }
                let shared = Arc::clone(&accepting);
                spawn(move || connection::serve(client, &shared));
            }
        });
        Self { port, shared }
    }

    /// What clients connect to, as `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn cut(&self, cut: Cut) {
        let mut state = self.shared.lock();
        state.cut = Some(cut);
        if cut == Cut::Broken {
            state.break_connections();
        }
        self.shared.changed.notify_all();
    }

    pub fn heal(&self) {
        self.shared.lock().cut = None;
        self.shared.changed.notify_all();
    }

    /// Breaks all connections; new ones lead to `target`.
    pub fn lead_to(&self, target: Option<u16>) {
        let mut state = self.shared.lock();
        state.target = target;
        state.break_connections();
    }

    /// Passes at most this many bytes per second on to the server, on each connection.
    pub fn slow_down(&self, bytes_per_second: u32) {
        self.shared.lock().bytes_per_second = Some(bytes_per_second);
    }

    /// From now on, requests to Kafka have this fault, or none.
    pub fn set_fault(&self, fault: Option<RequestFault>) {
        self.shared.requests().fault = fault;
    }

    /// Kafka's error code in the answer to the delayed request, once that was delivered.
    pub fn late_answer(&self) -> Option<i16> {
        self.shared.requests().late_answer
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_over = true;
        state.break_connections();
        self.shared.changed.notify_all();
        drop(state);
        // Wakes the thread that accepts connections.
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

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the cut is silent; false when nothing passes any more.
    fn passes(&self) -> bool {
        let is_silent = |state: &mut State| state.cut == Some(Cut::Silent) && !state.is_over;
        let state = self.changed.wait_while(self.lock(), is_silent).unwrap_or_else(PoisonError::into_inner);
        state.cut.is_none() && !state.is_over
    }

    /// Waits for as long as so many bytes take.
    fn wait_for_room(&self, n_bytes: usize) {
        let state = self.lock();
        let Some(bytes_per_second) = state.bytes_per_second else { return };
        let takes = Duration::from_secs_f64(n_bytes as f64 / f64::from(bytes_per_second));
        let waited = self.changed.wait_timeout_while(state, takes, |state| !state.is_over);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) {
    Builder::new().name("proxy".into()).spawn(run).expect("a thread");
}

/// Does nothing to an end that is closed already.
fn close(end: &TcpStream) {
    end.shutdown(Shutdown::Both).unwrap_or_default();
}
