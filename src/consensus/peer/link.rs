//! The asking end of one connection.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, BufWriter, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
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

/// A connection that answered nothing for so long, while something was asked, is given up.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// One connection.
pub(super) struct Link {
    frames: mpsc::Sender<Frame>,
    shared: Arc<Shared>,
    /// Ended with the link.
    _tasks: JoinSet<()>,
}

struct Shared {
    /// By id, so that those who wait are told in order when the connection ends.
    pending: Mutex<BTreeMap<u64, oneshot::Sender<Frame>>>,
    next: AtomicU64,
    open: AtomicBool,
    heard: Mutex<Instant>,
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Frame>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self) -> MutexGuard<'_, Instant> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub(super) fn start<S: AsyncRead + AsyncWrite + Send + 'static>(stream: S) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let (frames, queue) = mpsc::channel(WRITE_QUEUE_LEN);
        let shared = Arc::new(Shared {
            pending: Mutex::default(),
            next: AtomicU64::new(1),
            open: AtomicBool::new(true),
            heard: Mutex::new(Instant::now()),
        });
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
        Self { frames, shared, _tasks: tasks }
    }

    /// Whether anything can be asked.
    pub(super) fn is_open(&self) -> bool {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Asks, and waits for the answer until the deadline.
    pub(super) async fn ask(&self, body: Bytes, deadline: Duration) -> Result<Bytes, Unanswered> {
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.shared.pending().insert(id, answer);
        let _asked = Asked { shared: &self.shared, id };
        if !self.is_open() {
            return Err(Unanswered::Unreachable("the connection has ended".to_owned()));
        }
        let asked_at = Instant::now();
        let exchange = async {
            let frame = Frame::new(Kind::Request, id, body);
            let ended = || Unanswered::Lost("the connection ended".to_owned());
            self.frames.send(frame).await.map_err(|_| ended())?;
            answered.await.map_err(|_| ended())
        };
        let Ok(answer) = tokio::time::timeout(deadline, exchange).await else {
            let silent_since = (*self.shared.heard()).max(asked_at);
            if silent_since.elapsed() >= SILENCE_MAX.min(deadline)
                && self.shared.heard().elapsed() >= SILENCE_MAX
            {
                self.shared.close();
            }
            return Err(Unanswered::Lost(format!("no answer within {} ms", deadline.as_millis())));
        };
        let answer = answer?;
        match answer.kind {
            Kind::Answer => Ok(answer.body),
            Kind::Failure => Err(failure(&answer.body)),
            Kind::Hello | Kind::Welcome | Kind::Refused | Kind::Request => {
                Err(Unanswered::Lost("an answer that is none".to_owned()))
            }
        }
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

async fn listen<S: AsyncRead>(reader: ReadHalf<S>, shared: &Shared) {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, reader);
    loop {
        match Frame::read(&mut reader).await {
            Ok(Some(frame)) => {
                *shared.heard() = Instant::now();
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
