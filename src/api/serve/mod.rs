//! Connections: HTTP/1 and HTTP/2 on one port, bounded in number, time and size.
//!
//! A connection that says nothing costs a socket and a small future; one that speaks too slowly is told
//! so and closed. Whoever calls gets an answer: a head that cannot be read, one connection too many and a
//! head that does not end are refused with a problem document like everything else (`wire`, `refuse`).
//! A stop is graceful: requests in flight are answered, streams are ended (`outgoing`), new connections
//! are not taken.
//!
//! Caveats: a bad head behind a good one that was sent in the same moment may be answered by the HTTP
//! library with a bare status. Over HTTP/2 that library refuses large headers by itself, with a bare 431.

mod outgoing;
mod refuse;
mod wire;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::problem::Problem;
use outgoing::Outgoing;
use wire::{Heads, Wire};

/// The limits of the listener.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Open connections. Whoever comes beyond is told to come back.
    pub connections_max: usize,
    /// How long a connection may say nothing, before its first request and between two. Longer than common
    /// clients keep an idle connection, so that these close it first.
    pub idle_time_max: Duration,
    /// How long the head of a request may take, from its first byte. No honest client needs a second for
    /// 16 KiB; a slow one on a bad line gets ten.
    pub head_time_max: Duration,
    /// Bytes of the head of one request.
    pub head_bytes_max: usize,
    /// Requests at once on one HTTP/2 connection.
    pub streams_max: u32,
    /// How long a stop waits for requests in flight.
    pub drain_time_max: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            idle_time_max: Duration::from_secs(95),
            head_time_max: Duration::from_secs(10),
            head_bytes_max: 16 << 10,
            streams_max: 1_024,
            drain_time_max: Duration::from_secs(10),
        }
    }
}

/// Connections that are being turned away at once. Each lives for a moment; a flood beyond this is closed
/// without a word.
const TURNED_AWAY_MAX: usize = 256;
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
    let (stop, stopping) = watch::channel(false);
    let server = Arc::new(Server {
        builder: builder(&limits),
        router,
        places: Arc::new(Semaphore::new(limits.connections_max)),
        doors: Arc::new(Semaphore::new(TURNED_AWAY_MAX)),
        limits,
    });
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => server.admit(stream, &stopping, &mut connections),
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
    places: Arc<Semaphore>,
    doors: Arc<Semaphore>,
    limits: ConnectionLimits,
}

fn builder(limits: &ConnectionLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle_time_max)
        .max_buf_size(limits.head_bytes_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.streams_max)
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

impl Server {
    /// Serves a new connection, or turns it away if there are enough.
    fn admit(
        self: &Arc<Self>,
        stream: TcpStream,
        stopping: &watch::Receiver<bool>,
        connections: &mut JoinSet<()>,
    ) {
        let _ = stream.set_nodelay(true);
        let server = Arc::clone(self);
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            let stopping = stopping.clone();
            connections.spawn(async move {
                server.connection(stream, stopping).await;
                drop(place);
            });
        } else if let Ok(door) = Arc::clone(&self.doors).try_acquire_owned() {
            connections.spawn(async move {
                let problem = Problem::connections(server.limits.connections_max);
                refuse::refuse(&server.router, stream, problem).await;
                drop(door);
            });
        }
    }

    /// Serves one connection to its end. How it ends is the caller's business, not ours.
    async fn connection(&self, stream: TcpStream, mut stopping: watch::Receiver<bool>) {
        // Silent connections wait here, before a codec with its buffers exists for them.
        tokio::select! {
            spoke = tokio::time::timeout(self.limits.idle_time_max, stream.readable()) => {
                if !matches!(spoke, Ok(Ok(()))) {
                    return;
                }
            }
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        let heads = Arc::new(Heads::default());
        let (back, refused) = oneshot::channel();
        let wire = Wire::new(stream, Arc::clone(&heads), self.limits.head_time_max, back);
        let service = self.service(Arc::clone(&heads), stopping.clone());
        self.exchange(wire, service, &heads, stopping).await;
        // What was refused below the HTTP library is answered here.
        if let Ok((stream, refusal)) = refused.await {
            refuse::refuse(&self.router, stream, refusal.problem(&self.limits)).await;
        }
    }

    /// Lets the HTTP library speak until the connection ends.
    async fn exchange(
        &self,
        wire: Wire,
        service: impl Answer,
        heads: &Heads,
        mut stopping: watch::Receiver<bool>,
    ) {
        let mut connection = Box::pin(self.builder.serve_connection(TokioIo::new(wire), service));
        // An HTTP/2 connection on which nothing is asked.
        let first_word = tokio::time::sleep(self.limits.idle_time_max);
        tokio::pin!(first_word);
        let mut spoken = false;
        loop {
            tokio::select! {
                _ = connection.as_mut() => return,
                () = &mut first_word, if !spoken => {
                    if !heads.any() {
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

    fn service(&self, heads: Arc<Heads>, stopping: watch::Receiver<bool>) -> impl Answer + use<> {
        let router = self.router.clone();
        hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let at_work = heads.begin();
            let stopping = stopping.clone();
            let answered = router.clone().oneshot(request.map(axum::body::Body::new));
            async move { answered.await.map(|response| Outgoing::wrap(response, at_work, stopping)) }
        })
    }
}

/// What answers the requests of one connection.
trait Answer:
    hyper::service::Service<
        hyper::Request<Incoming>,
        Response = hyper::Response<Outgoing>,
        Error = std::convert::Infallible,
        Future: Send + 'static,
    >
{
}

impl<S> Answer for S where
    S: hyper::service::Service<
            hyper::Request<Incoming>,
            Response = hyper::Response<Outgoing>,
            Error = std::convert::Infallible,
            Future: Send + 'static,
        >
{
}
