//! The answering end of a connection.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::super::network::BoxFuture;
use super::super::{Receiver, Request, SnapshotHead, Unanswered};
use super::acquaintances::{Acquaintances, Introduction};
use super::frame::{Frame, Kind};
use super::link::{self, WRITE_QUEUE_LEN};
use super::request::{Call, Errand};

/// Requests of one connection answered at the same time; more are refused. Twice what the other end waits for, because
/// those it has given up go on here until their deadlines.
const AT_ONCE_MAX: usize = 2 * link::ASKED_AT_ONCE_MAX;

/// How long whoever answers for Raft is waited for when nobody is to answer any more. Taking in a snapshot takes longer.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);

/// Answers what the floors above ask of each other across nodes.
pub trait Desk: Send + Sync + 'static {
    /// Answers a node. The bytes mean what both ends agree on.
    fn answer(&self, from: u64, ask: Bytes) -> BoxFuture<'_, Vec<u8>>;
}

/// Who answers here, as long as each is there.
#[derive(Default)]
pub(super) struct Offices {
    receiver: RwLock<Option<Receiver>>,
    desk: RwLock<Option<Arc<dyn Desk>>>,
    /// Read by whoever answers for Raft just now.
    at_work: tokio::sync::RwLock<()>,
}

impl Offices {
    pub(super) fn set_receiver(&self, receiver: Option<Receiver>) {
        *self.receiver.write().unwrap_or_else(PoisonError::into_inner) = receiver;
    }

    pub(super) fn set_desk(&self, desk: Option<Arc<dyn Desk>>) {
        *self.desk.write().unwrap_or_else(PoisonError::into_inner) = desk;
    }

    /// From now on nothing is answered. Returns when nobody does any more.
    pub(super) async fn close(&self) {
        self.set_desk(None);
        self.set_receiver(None);
        if tokio::time::timeout(CLOSE_DEADLINE, self.at_work.write()).await.is_err() {
            tracing::debug!("another node is still being answered");
        }
    }

    fn receiver(&self) -> Result<Receiver, Unanswered> {
        self.receiver.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)
    }

    fn desk(&self) -> Result<Arc<dyn Desk>, Unanswered> {
        self.desk.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)
    }
}

fn closed() -> Unanswered {
    Unanswered::Unreachable("the node is starting or stopping".to_owned())
}

/// What a connection is checked against.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) cluster: u64,
    pub(super) node: u64,
    pub(super) offices: Arc<Offices>,
    pub(super) known: Acquaintances,
}

impl Host {
    /// Answers on a connection that was welcomed until it ends.
    pub(super) async fn serve<S>(&self, who: Introduction, stream: S)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        let mut reader = BufReader::with_capacity(64 << 10, reader);
        let (answers, queue) = mpsc::channel(WRITE_QUEUE_LEN);
        let mut tasks = JoinSet::new();
        tasks.spawn(link::write_all(queue, writer));
        let places = Arc::new(Semaphore::new(AT_ONCE_MAX));
        let (from, presence) = (who.node, self.known.connected(&who));
        while let Ok(Some(frame)) = Frame::read(&mut reader).await {
            while tasks.try_join_next().is_some() {}
            presence.heard();
            // It may have been welcome when it dialled. When it dials again it is told why it is not.
            if self.known.check(&who).is_err() {
                break;
            }
            if presence.is_displaced() {
                tracing::error!(
                    node = who.node,
                    "two processes run as one node, one of them on a copy of the other's data directory; the one that \
                     answers where the node listens is taken for it, and the other is not listened to"
                );
                break;
            }
            if frame.kind == Kind::Ping {
                // If it cannot be written, the connection has ended, and reading ends too.
                let _ = answers.send(Frame::new(Kind::Pong, frame.id, Bytes::new())).await;
                continue;
            }
            let Some(call) = Call::decode(frame.body).filter(|_| frame.kind == Kind::Request) else { break };
            let Ok(place) = places.clone().try_acquire_owned() else {
                let busy = Unanswered::Unreachable("too much is asked at once".to_owned());
                let refusal = Frame::new(Kind::Failure, frame.id, link::encode_failure(&busy));
                let _ = answers.send(refusal).await;
                continue;
            };
            let (host, answers) = (self.clone(), answers.clone());
            tasks.spawn(async move {
                let answer = match host.answer(from, call).await {
                    Ok(body) => Frame::new(Kind::Answer, frame.id, body),
                    Err(why) => Frame::new(Kind::Failure, frame.id, link::encode_failure(&why)),
                };
                // If it cannot be written, the connection has ended and the caller knows.
                let _ = answers.send(answer).await;
                drop(place);
            });
        }
        tasks.shutdown().await;
    }

    async fn answer(&self, from: u64, call: Call) -> Result<Bytes, Unanswered> {
        if call.cluster != self.cluster || call.to != self.node {
            return Err(Unanswered::Refused("this request is for another node or cluster".to_owned()));
        }
        let late = |_| Unanswered::Lost("not answered in time".to_owned());
        tokio::time::timeout(call.deadline, self.run(from, call)).await.map_err(late)?
    }

    async fn run(&self, from: u64, call: Call) -> Result<Bytes, Unanswered> {
        let Call { errand, group, mut payload, .. } = call;
        if errand == Errand::Ask {
            return Ok(self.offices.desk()?.answer(from, payload).await.into());
        }
        let _at_work = self.offices.at_work.read().await;
        let receiver = self.offices.receiver()?;
        let garbled = |error: crate::storage::Error| Unanswered::Lost(error.to_string());
        match errand {
            Errand::Raft => {
                let request = Request::decode(&payload).map_err(garbled)?;
                Ok(receiver.answer(group, request).await?.encode().into())
            }
            Errand::SnapshotBegin => {
                let session = number(&mut payload)?;
                let head = SnapshotHead::decode(&payload).map_err(garbled)?;
                Ok(encode_number(receiver.begin(group, session, head).await?))
            }
            Errand::SnapshotChunk => {
                let (session, chunk) = (number(&mut payload)?, number(&mut payload)?);
                Ok(encode_number(receiver.chunk(group, session, chunk, payload).await?))
            }
            Errand::SnapshotFinish => {
                let session = number(&mut payload)?;
                Ok(receiver.finish(group, session).await?.encode().into())
            }
            Errand::Ask => unreachable!("that was answered above"),
        }
    }
}

/// Takes a number off the front.
pub(super) fn number(bytes: &mut Bytes) -> Result<u64, Unanswered> {
    if bytes.len() < 8 {
        return Err(Unanswered::Lost("a message is too short".to_owned()));
    }
    Ok(bytes.get_u64_le())
}

pub(super) fn encode_number(number: u64) -> Bytes {
    let mut bytes = BytesMut::with_capacity(8);
    bytes.put_u64_le(number);
    bytes.freeze()
}
