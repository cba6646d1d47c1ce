//! Connections of clients: bounded in number, and closed when nothing arrives on them.
//!
//! A client that connects and sends nothing occupies a connection until it has been silent for too long. A running client answers
//! pings, so that it is never silent.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use prometheus::IntCounter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Sleep;
use tracing::warn;

/// Connections that were accepted and are not served yet.
const WAITING_MAX: usize = 16;

/// After an error, such as no file handle left, for so long nothing is accepted.
const BACK_OFF: Duration = Duration::from_millis(100);

/// How many connections there may be, and how long one may be silent.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub connections: usize,
    /// A connection is closed when it was silent for so long.
    pub idle: Duration,
    /// Counts those that were one too many.
    pub refused: IntCounter,
}

/// A connection; it counts until it is dropped.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Who is at the other end.
    pub peer: SocketAddr,
    idle: Duration,
    silent: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

/// Accepts connections until the receiver of `accepted` is dropped.
pub async fn accept(listener: TcpListener, bounds: Bounds, accepted: mpsc::Sender<Connection>) {
    let permits = Arc::new(Semaphore::new(bounds.connections));
    loop {
        let arrived = tokio::select! {
            () = accepted.closed() => return,
            arrived = listener.accept() => arrived,
        };
        let (stream, peer) = match arrived {
            Ok(arrived) => arrived,
            Err(error) => {
                warn!(%error, "a connection was not accepted");
                pause(BACK_OFF).await;
                continue;
            }
        };
        let Some(connection) = Connection::new(stream, peer, &permits, bounds.idle) else {
            bounds.refused.inc();
            continue;
        };
        if accepted.send(connection).await.is_err() {
            // The receiver has ended.
            return;
        }
    }
}

/// The channel between [`accept`] and the server.
pub fn channel() -> (mpsc::Sender<Connection>, mpsc::Receiver<Connection>) {
    mpsc::channel(WAITING_MAX)
}

#[expect(clippy::disallowed_methods, reason = "the edge: there is no event that says that a file handle is free again")]
async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

impl Connection {
    #[expect(clippy::disallowed_methods, reason = "the edge: a connection's silence is measured where it is read")]
    fn new(stream: TcpStream, peer: SocketAddr, permits: &Arc<Semaphore>, idle: Duration) -> Option<Self> {
        let permit = Arc::clone(permits).try_acquire_owned().ok()?;
        // Answers are small and awaited; an old kernel that refuses this only makes them slower.
        if let Err(error) = stream.set_nodelay(true) {
            warn!(%error, "a connection's packets are delayed");
        }
        Some(Self { stream, peer, idle, silent: Box::pin(tokio::time::sleep(idle)), _permit: permit })
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_read(cx, buffer) {
            #[expect(
                clippy::disallowed_methods,
                reason = "the edge: a connection's silence is measured where it is read"
            )]
            this.silent.as_mut().reset(tokio::time::Instant::now() + this.idle);
            return Poll::Ready(result);
        }
        match this.silent.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
