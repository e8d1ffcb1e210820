//! Connections: HTTP/1 and HTTP/2 on one port, bounded in number, time and size.
//!
//! A connection that says nothing costs a socket and a small future; one that speaks too slowly is
//! closed. A stop is graceful: requests in flight are answered, new connections are not taken.
//!
//! Caveat: a request whose headers pass the limit is refused by the HTTP library before any of our
//! code sees it, so its answer is a bare 431, not a problem document.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

/// The limits of the listener.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Open connections. Further ones wait in the kernel's backlog.
    pub connections_max: usize,
    /// How long a connection may take to send the headers of its first or next request; so long may
    /// it idle. Longer than common clients keep an idle connection, so that these close it first.
    pub header_time_max: Duration,
    /// Bytes of the headers of one request.
    pub header_bytes_max: usize,
    /// Requests at once on one HTTP/2 connection.
    pub streams_max: u32,
    /// How long a stop waits for requests in flight.
    pub drain_time_max: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            header_time_max: Duration::from_secs(95),
            header_bytes_max: 16 << 10,
            streams_max: 1_024,
            drain_time_max: Duration::from_secs(10),
        }
    }
}

/// After a failed accept (out of descriptors, mostly): long enough not to spin, short enough not to
/// be noticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// A peer that vanished without a word is noticed after this and [`PING_TIMEOUT`].
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// See [`PING_INTERVAL`].
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// Serves `router` on `listener` until `shutdown` resolves, then answers what is in flight and
/// returns.
///
/// # Errors
/// None today: a failed accept is tried again. The result leaves room for listeners that can break.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
    limits: ConnectionLimits,
) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    let (stop, stopping) = watch::channel(false);
    let server = Arc::new(Server { builder: builder(&limits), router, limits });
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = async {
            let permit = Arc::clone(&permits).acquire_owned().await.expect("the semaphore stays open");
            (permit, listener.accept().await)
        };
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            (permit, accepted) = accepted => match accepted {
                Ok((stream, _)) => {
                    let server = Arc::clone(&server);
                    let stopping = stopping.clone();
                    connections.spawn(async move {
                        server.connection(stream, stopping).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let _ = stop.send(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(server.limits.drain_time_max, drained).await.is_err() {
        tracing::info!("some requests were still open when the listener stopped");
    }
    Ok(())
}

struct Server {
    builder: auto::Builder<TokioExecutor>,
    router: Router,
    limits: ConnectionLimits,
}

fn builder(limits: &ConnectionLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time_max)
        .max_buf_size(limits.header_bytes_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.streams_max)
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

impl Server {
    /// Serves one connection to its end. How it ends is the caller's business, not ours.
    async fn connection(&self, stream: TcpStream, mut stopping: watch::Receiver<bool>) {
        let _ = stream.set_nodelay(true);
        // Silent connections wait here, before a codec with its buffers exists for them.
        tokio::select! {
            spoke = tokio::time::timeout(self.limits.header_time_max, stream.readable()) => {
                if !matches!(spoke, Ok(Ok(()))) {
                    return;
                }
            }
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        // The codec guesses the protocol from the first bytes without a deadline, so a connection
        // that stops in the middle of its first word is ended here.
        let spoke = Arc::new(AtomicBool::new(false));
        let service = self.service(Arc::clone(&spoke));
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = Box::pin(connection);
        let first_word = tokio::time::sleep(self.limits.header_time_max);
        tokio::pin!(first_word);
        let mut spoken = false;
        loop {
            tokio::select! {
                _ = connection.as_mut() => return,
                () = &mut first_word, if !spoken => {
                    if !spoke.load(Ordering::Relaxed) {
                        return;
                    }
                    spoken = true;
                }
                _ = stopping.wait_for(|stop| *stop) => break,
            }
        }
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }

    fn service(
        &self,
        spoke: Arc<AtomicBool>,
    ) -> impl hyper::service::Service<
        hyper::Request<Incoming>,
        Response = axum::response::Response,
        Error = std::convert::Infallible,
        Future: Send,
    > + use<> {
        let router = self.router.clone();
        hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            spoke.store(true, Ordering::Relaxed);
            router.clone().oneshot(request.map(axum::body::Body::new))
        })
    }
}
