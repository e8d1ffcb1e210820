//! The asking end of one connection.
//!
//! While something is asked and nothing is heard, the other end is pinged: an answer may take long, but whoever is
//! there says so at once. A connection on which nobody says so is given up, and who waits on it can ask elsewhere.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, BufWriter, ReadBuf, ReadHalf, WriteHalf};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::Unanswered;
use super::frame::{Frame, Kind};

/// Messages that may wait to be written. Beyond them callers wait, each until its deadline.
pub(super) const WRITE_QUEUE_LEN: usize = 1_024;

/// Messages written between two looks whether more wait.
const WRITE_BATCH_LEN: usize = 64;

/// Bytes gathered before they go to the kernel.
const BUFFER_BYTES: usize = 64 << 10;

/// Requests of one connection that wait for an answer at the same time. Beyond them callers wait, each until its deadline.
pub(super) const ASKED_AT_ONCE_MAX: usize = 512;

/// Between two looks whether something was heard.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// So many bytes taken at once are a sign of life: half of what is gathered.
const MUCH_BYTES: usize = BUFFER_BYTES / 2;

/// Looks in a row that find something asked and nothing heard, after which nobody is there: a second, the time of an
/// election and a half. Looks are counted, not time, so that a process that was stopped itself blames nobody.
const SILENT_LOOKS_MAX: u32 = 4;

/// When something came last on a connection, which counts as coming itself.
#[derive(Debug)]
pub(super) struct LastHeard {
    since: Instant,
    after_ms: AtomicU64,
}

impl Default for LastHeard {
    fn default() -> Self {
        Self { since: Instant::now(), after_ms: AtomicU64::new(0) }
    }
}

impl LastHeard {
    pub(super) fn note(&self) {
        self.after_ms.store(self.since.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    pub(super) fn is_within(&self, time: Duration) -> bool {
        let after = Duration::from_millis(self.after_ms.load(Ordering::Relaxed));
        self.since.elapsed().saturating_sub(after) < time
    }
}

/// One connection.
pub(super) struct Link {
    frames: mpsc::Sender<Frame>,
    shared: Arc<Shared>,
    /// Ended with the link.
    _tasks: JoinSet<()>,
}

struct Shared {
    places: Semaphore,
    /// By id, so that those who wait are told in order when the connection ends.
    pending: Mutex<BTreeMap<u64, oneshot::Sender<Frame>>>,
    next: AtomicU64,
    open: AtomicBool,
    /// The other end has shown that it is there since somebody last looked.
    heard: AtomicBool,
    came: LastHeard,
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Frame>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing comes any more: whoever waits hears of it.
    fn close(&self) {
        self.open.store(false, Ordering::SeqCst);
        std::mem::take(&mut *self.pending()).clear();
    }
}

/// Forgets a request nobody waits for.
struct Asked<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.shared.pending().remove(&self.id);
    }
}

impl Link {
    /// Takes a connection over, after its hello.
    pub(super) fn start<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(stream: S) -> Self {
        let (frames, queue) = mpsc::channel(WRITE_QUEUE_LEN);
        let shared = Arc::new(Shared {
            places: Semaphore::new(ASKED_AT_ONCE_MAX),
            pending: Mutex::default(),
            next: AtomicU64::new(1),
            open: AtomicBool::new(true),
            heard: AtomicBool::new(false),
            came: LastHeard::default(),
        });
        let (reader, writer) = tokio::io::split(Watched { stream, shared: shared.clone() });
        let mut tasks = JoinSet::new();
        let (reading, writing) = (shared.clone(), shared.clone());
        tasks.spawn(async move {
            listen(reader, &reading).await;
            reading.close();
        });
        tasks.spawn(async move {
            write_all(queue, writer).await;
            writing.close();
        });
        tasks.spawn(attend(frames.clone(), shared.clone()));
        Self { frames, shared, _tasks: tasks }
    }

    /// Whether anything can be asked.
    pub(super) fn is_open(&self) -> bool {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Whether anything came within this time. A connection on which nothing is asked may be open long after the other
    /// end has died.
    pub(super) fn has_heard_within(&self, time: Duration) -> bool {
        self.shared.came.is_within(time)
    }

    /// Asks, and waits for the answer until the deadline.
    pub(super) async fn ask(&self, body: Bytes, deadline: Duration) -> Result<Bytes, Unanswered> {
        let ends = Instant::now() + deadline;
        let busy = |_| Unanswered::Unreachable("too much is asked of that node at once".to_owned());
        let place = tokio::time::timeout_at(ends, self.shared.places.acquire()).await.map_err(busy)?;
        let _place = place.expect("the semaphore stays open");
        let late = |_| Unanswered::Lost(format!("no answer within {} ms", deadline.as_millis()));
        let answer = tokio::time::timeout_at(ends, self.exchange(body)).await.map_err(late)??;
        match answer.kind {
            Kind::Answer => Ok(answer.body),
            Kind::Failure => Err(failure(&answer.body)),
            Kind::Hello
            | Kind::Welcome
            | Kind::Refused
            | Kind::Dismissed
            | Kind::Request
            | Kind::Ping
            | Kind::Pong => Err(Unanswered::Lost("an answer that is none".to_owned())),
        }
    }

    async fn exchange(&self, body: Bytes) -> Result<Frame, Unanswered> {
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.shared.pending().insert(id, answer);
        let _asked = Asked { shared: &self.shared, id };
        if !self.is_open() {
            return Err(Unanswered::Unreachable("the connection has ended".to_owned()));
        }
        let ended = || Unanswered::Lost("the connection ended".to_owned());
        self.frames.send(Frame::new(Kind::Request, id, body)).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())
    }
}

/// A stream that notes when the other end shows that it is there.
struct Watched<S> {
    stream: S,
    shared: Arc<Shared>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.shared.heard.store(true, Ordering::Relaxed);
            self.shared.came.note();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        // Little always finds room on the way; much does only while the other end takes it.
        if matches!(written, Poll::Ready(Ok(bytes)) if bytes >= MUCH_BYTES) {
            self.shared.heard.store(true, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Why the other end did not answer, for the wire.
pub(super) fn encode_failure(why: &Unanswered) -> Bytes {
    let (code, text) = match why {
        Unanswered::Unreachable(text) => (0, text),
        Unanswered::Lost(text) => (1, text),
        Unanswered::Refused(text) => (2, text),
    };
    let mut bytes = vec![code];
    bytes.extend_from_slice(text.as_bytes());
    bytes.into()
}

fn failure(body: &[u8]) -> Unanswered {
    let text = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
    match body {
        [0, why @ ..] => Unanswered::Unreachable(text(why)),
        [2, why @ ..] => Unanswered::Refused(text(why)),
        [_, why @ ..] => Unanswered::Lost(text(why)),
        [] => Unanswered::Lost(String::new()),
    }
}

/// Sees to it that somebody is there while something is asked, until nobody is.
async fn attend(frames: mpsc::Sender<Frame>, shared: Arc<Shared>) {
    let mut silent = 0;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if shared.pending().is_empty() || shared.heard.swap(false, Ordering::Relaxed) {
            silent = 0;
            continue;
        }
        silent += 1;
        if silent > SILENT_LOOKS_MAX {
            tracing::debug!("a connection to another node is given up: nobody answers");
            shared.close();
            return;
        }
        // If the queue is full, enough waits to be answered.
        let _full = frames.try_send(Frame::new(Kind::Ping, 0, Bytes::new()));
    }
}

async fn listen<S: AsyncRead>(reader: ReadHalf<S>, shared: &Shared) {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, reader);
    loop {
        match Frame::read(&mut reader).await {
            Ok(Some(frame)) => {
                let waiting = shared.pending().remove(&frame.id);
                if let Some(waiting) = waiting {
                    // Who does not wait any more does not miss the answer.
                    let _ = waiting.send(frame);
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, "a connection to another node has ended");
                return;
            }
        }
    }
}

/// Writes what comes until nothing can come any more; flushes whenever nothing waits.
pub(super) async fn write_all<S: AsyncWrite>(mut queue: mpsc::Receiver<Frame>, writer: WriteHalf<S>) {
    let mut writer = BufWriter::with_capacity(BUFFER_BYTES, writer);
    let mut batch = Vec::with_capacity(WRITE_BATCH_LEN);
    while queue.recv_many(&mut batch, WRITE_BATCH_LEN).await > 0 {
        metrics::counter!("everstep_peer_messages_total").increment(batch.len() as u64);
        let bytes = batch.iter().map(|frame| frame.body.len() as u64).sum();
        metrics::counter!("everstep_peer_bytes_total").increment(bytes);
        for frame in batch.drain(..) {
            if frame.write(&mut writer).await.is_err() {
                return;
            }
        }
        if queue.is_empty() && writer.flush().await.is_err() {
            return;
        }
    }
    let _hung_up = writer.shutdown().await;
}
