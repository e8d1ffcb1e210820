//! Gathers what many actors want to append and proposes it as one entry.
//!
//! One task per partition. While one entry is on its way to the quorum, wishes wait in a bounded queue; then
//! all of them go together. The busier the partition, the more wishes share a commit, and nobody waits for a
//! batch to fill.
//!
//! Waiting is bounded: a proposal has a deadline, and when it passes everyone still queued is refused, for
//! their turn would come too late as well.

use std::sync::Arc;
use std::time::Duration;

use openraft::errors::ClientWriteError;
use openraft::impls::ProgressResponder;
use tokio::sync::{mpsc, oneshot, watch};

use crate::engine::model::{Epoch, Moment, PartitionId, SpecHash, Timestamp};
use crate::engine::planted::{self, Bug};
use crate::points::{self, Point};
use crate::world::World;

use super::applied::Applied;
use super::room::Place;
use super::state_machine::Raft;
use super::types::{Answer, Proposal, Types};
use super::weight::weight;
use super::{
    Append, Batch, CatalogueChange, CatalogueConflict, Command, Conflict, Error, Leadership, NodeChange,
    NodeConflict, NodeRecord, Record, Reply, Workflow,
};

/// Wishes that may wait for one partition: some 30 entries, which is about 50 ms of waiting. Their bytes are
/// bounded by [`super::room`].
pub(super) const QUEUE_LEN: usize = 8_192;

/// Wishes in one entry. More of them would make the first one wait for the encoding of the last.
const BATCH_LEN: usize = 256;

/// Bytes of wishes after which an entry is closed: a large entry delays the other groups of the node.
const BATCH_BYTES: usize = 512 << 10;

/// The largest single wish. A definition may be 4 MiB, and the documents of a decision, which stops growing
/// at 2 MiB, may be another 5; the rest is room for what is small and many.
pub(super) const WISH_BYTES_MAX: usize = 10 << 20;

pub(super) type Answered<T, E> = Result<Result<Arc<T>, E>, Error>;

/// The text of a definition, to be kept by the partition.
pub(super) type Pin = (SpecHash, Arc<str>);

/// What somebody wants to be in the log.
pub(super) enum Wish {
    Append {
        /// Under which leadership, and when: it is recorded at no earlier time.
        decided: Moment,
        append: Append,
        pin: Option<Pin>,
        place: Place,
        reply: oneshot::Sender<Answered<Record, Conflict>>,
    },
    Change {
        change: Box<CatalogueChange>,
        place: Place,
        reply: oneshot::Sender<Answered<Workflow, CatalogueConflict>>,
    },
    Node {
        change: NodeChange,
        reply: oneshot::Sender<Result<Result<NodeRecord, NodeConflict>, Error>>,
    },
}

impl Wish {
    /// Its estimated size, in bytes.
    pub(super) fn weight(append: &Append, pin: Option<&Pin>) -> usize {
        weight(append) + pin.map_or(0, |(_, text)| text.len())
    }

    fn refuse(self, error: Error) {
        // Who does not wait any more does not miss the answer.
        match self {
            Self::Append { reply, .. } => drop(reply.send(Err(error))),
            Self::Change { reply, .. } => drop(reply.send(Err(error))),
            Self::Node { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}

/// Proposes for one partition.
pub(super) struct Proposer {
    pub(super) partition: PartitionId,
    pub(super) raft: Raft,
    pub(super) applied: Arc<Applied>,
    pub(super) world: World,
    pub(super) leadership: watch::Receiver<Leadership>,
    pub(super) queue: mpsc::Receiver<Wish>,
    /// How long a proposal may take.
    pub(super) patience: Duration,
    /// The time of the last proposal.
    pub(super) at: Timestamp,
}

/// Those who wait for one entry.
#[derive(Default)]
struct Gathered {
    appends: Vec<Append>,
    pins: Vec<Pin>,
    replies: Vec<(oneshot::Sender<Answered<Record, Conflict>>, Place)>,
    bytes: usize,
    /// The latest time one of them was decided at.
    decided: Timestamp,
}

impl Proposer {
    /// Runs until the queue is closed, which happens when the partition stops.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut wishes = Vec::with_capacity(BATCH_LEN);
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                count = self.queue.recv_many(&mut wishes, BATCH_LEN) => if count == 0 { break },
            }
            let mut waiting = wishes.drain(..).peekable();
            while let Some(wish) = waiting.next() {
                let on_time = match wish {
                    Wish::Change { change, place, reply } => {
                        let on_time = self.change(*change, reply).await;
                        drop(place);
                        on_time
                    }
                    Wish::Node { change, reply } => self.node(change, reply).await,
                    Wish::Append { decided, append, pin, place, reply } => {
                        let leading = *self.leadership.borrow();
                        let mut gathered = Gathered::default();
                        gathered.take(leading, decided, append, pin, (reply, place), self.partition);
                        while gathered.bytes < BATCH_BYTES
                            && let Some(Wish::Append { decided, append, pin, place, reply }) =
                                waiting.next_if(|wish| matches!(wish, Wish::Append { .. }))
                        {
                            gathered.take(leading, decided, append, pin, (reply, place), self.partition);
                        }
                        match leading {
                            Leadership::Leading { epoch } if !gathered.appends.is_empty() => {
                                self.append(epoch, gathered).await
                            }
                            Leadership::Leading { .. } | Leadership::Following { .. } => true,
                        }
                    }
                };
                if !on_time {
                    let refused = || Error::NoLeader { partition: self.partition, hint: None };
                    waiting.by_ref().for_each(|wish| wish.refuse(refused()));
                    while let Ok(wish) = self.queue.try_recv() {
                        wish.refuse(refused());
                    }
                }
            }
        }
        self.queue.close();
        while let Ok(wish) = self.queue.try_recv() {
            wish.refuse(Error::Stopped);
        }
    }

    /// Proposes appends. Returns false if no quorum answered in time.
    async fn append(&mut self, epoch: Epoch, gathered: Gathered) -> bool {
        let Gathered { appends, pins, replies, decided, .. } = gathered;
        let at = self.stamp(decided);
        points::cross(Point::BatchGathered).await;
        let outcome = self.propose(Command::Batch(Batch { epoch, at, pins, appends })).await;
        points::cross(Point::BatchCommitted).await;
        match outcome {
            Ok(Reply::Batch(results)) => {
                assert_eq!(results.len(), replies.len(), "every append is answered");
                for ((reply, _place), result) in replies.into_iter().zip(results) {
                    let _ = reply.send(Ok(result));
                }
                true
            }
            Ok(other) => unreachable!("a batch is answered by {other:?}"),
            Err(error) => {
                let on_time = !matches!(error, Error::Timeout { .. });
                for (reply, _place) in replies {
                    let _ = reply.send(Err(error.clone()));
                }
                on_time
            }
        }
    }

    /// Proposes a change of the nodes. Returns false if no quorum answered in time.
    async fn node(
        &mut self,
        change: NodeChange,
        reply: oneshot::Sender<Result<Result<NodeRecord, NodeConflict>, Error>>,
    ) -> bool {
        let leading = *self.leadership.borrow();
        if let Leadership::Following { leader: hint } = leading {
            let _ = reply.send(Err(Error::NoLeader { partition: self.partition, hint }));
            return true;
        }
        let at = self.stamp(Timestamp::default());
        points::cross(Point::NodeChangeBefore).await;
        let (answer, on_time) = match self.propose(Command::Node { at, change }).await {
            Ok(Reply::Node(result)) => (Ok(result), true),
            Ok(other) => unreachable!("a change of the nodes is answered by {other:?}"),
            Err(error) => {
                let on_time = !matches!(error, Error::Timeout { .. });
                (Err(error), on_time)
            }
        };
        points::cross(Point::NodeChangeRecorded).await;
        let _ = reply.send(answer);
        on_time
    }

    /// Proposes a change of the catalogue. Returns false if no quorum answered in time.
    async fn change(
        &mut self,
        change: CatalogueChange,
        reply: oneshot::Sender<Answered<Workflow, CatalogueConflict>>,
    ) -> bool {
        let leading = *self.leadership.borrow();
        if let Leadership::Following { leader: hint } = leading {
            let _ = reply.send(Err(Error::NoLeader { partition: self.partition, hint }));
            return true;
        }
        let at = self.stamp(Timestamp::default());
        let (answer, on_time) = match self.propose(Command::Catalogue { at, change }).await {
            Ok(Reply::Catalogue(result)) => (Ok(result), true),
            Ok(other) => unreachable!("a change of the catalogue is answered by {other:?}"),
            Err(error) => {
                let on_time = !matches!(error, Error::Timeout { .. });
                (Err(error), on_time)
            }
        };
        let _ = reply.send(answer);
        on_time
    }

    /// The time of the next entry: this node's, but never before the last entry's, nor before what it says was
    /// decided.
    fn stamp(&mut self, decided: Timestamp) -> Timestamp {
        let now = self.world.clock.now().max(decided);
        self.at = if planted::is(Bug::TimeRunsBack) { now } else { now.max(self.applied.at()).max(self.at) };
        self.at
    }

    async fn propose(&self, command: Command) -> Result<Reply, Error> {
        let (responder, applied) = ProgressResponder::complete_only();
        let write = async {
            let proposal = Proposal::new(command);
            self.raft.client_write_ff(proposal, Some(responder)).await.map_err(|_| Error::Stopped)?;
            points::cross(Point::EntryProposed).await;
            match applied.await.map_err(|_| Error::Stopped)? {
                Ok(response) => {
                    let Answer(reply) = response.data;
                    Ok(reply)
                }
                Err(error) => Err(self.failure(error)),
            }
        };
        let late = |_| Error::Timeout { ms: u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX) };
        tokio::time::timeout(self.patience, write).await.map_err(late)?
    }

    fn failure(&self, error: ClientWriteError<Types>) -> Error {
        let partition = self.partition;
        match error {
            ClientWriteError::ForwardToLeader(to) => Error::NoLeader { partition, hint: to.leader_id },
            ClientWriteError::LogEntryDiscarded(to) => {
                Error::LeadershipLost { partition, hint: to.leader_id }
            }
            ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_) => {
                Error::Fatal { partition, reason: error.to_string() }
            }
        }
    }
}

impl Gathered {
    /// Takes a wish in, or refuses it if it was decided under another leadership.
    fn take(
        &mut self,
        leading: Leadership,
        decided: Moment,
        append: Append,
        pin: Option<Pin>,
        (reply, place): (oneshot::Sender<Answered<Record, Conflict>>, Place),
        partition: PartitionId,
    ) {
        let refused = match leading {
            Leadership::Leading { epoch: current } if current == decided.epoch => None,
            Leadership::Leading { epoch: current } => Some(Ok(Err(Conflict::StaleEpoch { current }))),
            Leadership::Following { leader: hint } => Some(Err(Error::NoLeader { partition, hint })),
        };
        if let Some(refused) = refused {
            let _ = reply.send(refused);
            return;
        }
        self.bytes += Wish::weight(&append, pin.as_ref());
        self.decided = self.decided.max(decided.at);
        if let Some(pin) = pin.filter(|pin| self.pins.iter().all(|known| known.0 != pin.0)) {
            self.pins.push(pin);
        }
        self.appends.push(append);
        self.replies.push((reply, place));
    }
}
