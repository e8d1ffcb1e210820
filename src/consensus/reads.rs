//! What a read has to wait for.
//!
//! A read is linearizable if it sees everything that was acknowledged before it began. The leader makes sure that
//! it still leads, by its lease or by asking a quorum, and names the last entry it has applied. Any other replica
//! asks the leader for that entry and waits until it has applied it too; then it reads its own state. So reads
//! are spread over all replicas, and only a number crosses the network.
//!
//! Reads that wait at the same time share one question: one task per group asks, and everybody who came before
//! it asked is served by the answer.

use std::sync::Arc;
use std::time::Duration;

use openraft::ReadPolicy;
use openraft::errors::{LinearizableReadError, RaftError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::engine::model::PartitionId;

use super::applied::Applied;
use super::lease::Lease;
use super::network::{Address, Answered, Question, Transport, Unanswered};
use super::state_machine::Raft;
use super::{Error, Leadership, Request, Response};

/// Reads that may wait for one partition. Each is a caller that holds a connection.
pub(super) const READS_MAX: usize = 16_384;

/// Reads that share one question. More only make the queue shorter.
const SHARED_MAX: usize = 1_024;

/// The wait before the leader is asked again, unless leadership changes sooner.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// How long one question to a leader may take. A leader that takes longer is cut off or overwhelmed.
const ASK_DEADLINE: Duration = Duration::from_millis(500);

/// Who waits for a read to be safe.
pub(super) type Waiting = oneshot::Sender<Result<(), Error>>;

/// Confirms that this node leads.
#[derive(Clone)]
pub(super) struct Confirm {
    pub(super) partition: PartitionId,
    pub(super) node: u64,
    pub(super) raft: Raft,
    pub(super) applied: Arc<Applied>,
    pub(super) lease: Lease,
    pub(super) leadership: watch::Receiver<Leadership>,
    pub(super) patience: Duration,
}

impl Confirm {
    /// The last entry applied here, if this node leads: everything that was acknowledged before the call is in it.
    pub(super) async fn index(&self) -> Result<u64, Error> {
        let partition = self.partition;
        if let Leadership::Following { leader: hint } = *self.leadership.borrow() {
            return Err(Error::NoLeader { partition, hint });
        }
        // A node that is its own quorum cannot be deposed behind its back.
        if !self.applied.is_sole_voter(self.node) {
            self.with_quorum().await?;
        }
        Ok(self.applied.index())
    }

    async fn with_quorum(&self) -> Result<(), Error> {
        let partition = self.partition;
        let confirm = async {
            if self.lease.holds() {
                match self.raft.ensure_linearizable(ReadPolicy::LeaseRead).await {
                    Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {}
                    decided => return decided,
                }
            }
            self.raft.ensure_linearizable(ReadPolicy::ReadIndex).await
        };
        match tokio::time::timeout(self.patience, confirm).await.map_err(|_| self.late())? {
            Ok(_) => Ok(()),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to))) => {
                Err(Error::NoLeader { partition, hint: to.leader_id })
            }
            Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {
                Err(Error::NoLeader { partition, hint: None })
            }
            Err(RaftError::Fatal(_)) => Err(Error::Stopped),
        }
    }

    fn late(&self) -> Error {
        Error::Timeout { ms: u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX) }
    }
}

/// Answers the reads of one group.
pub(super) struct Barrier {
    pub(super) confirm: Confirm,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) waiting: mpsc::Receiver<Waiting>,
}

impl Barrier {
    /// Runs until the node stops.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut shared = Vec::with_capacity(SHARED_MAX);
        while let Some(passed) = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => None,
            passed = self.pass(&mut shared) => passed,
        } {
            for waiting in shared.drain(..) {
                // Who does not wait any more does not miss the answer.
                let _ = waiting.send(passed.clone());
            }
        }
    }

    /// Gathers who waits and finds out for all of them; nothing when nobody can come any more.
    async fn pass(&mut self, shared: &mut Vec<Waiting>) -> Option<Result<(), Error>> {
        match self.waiting.recv_many(shared, SHARED_MAX).await {
            0 => None,
            _ => Some(self.confirm.clone().pass(&*self.transport).await),
        }
    }
}

impl Confirm {
    /// Waits until this replica has applied everything that was acknowledged before the call.
    async fn pass(mut self, transport: &dyn Transport) -> Result<(), Error> {
        let deadline = Instant::now() + self.patience;
        loop {
            let leadership = *self.leadership.borrow_and_update();
            let hint = match leadership {
                Leadership::Leading { .. } => match self.index().await {
                    Ok(_) => return Ok(()),
                    Err(Error::NoLeader { hint, .. }) => hint,
                    Err(error) => return Err(error),
                },
                Leadership::Following { leader: Some(leader) } if leader != self.node => {
                    match self.ask(leader, transport).await {
                        Ok(Ok(index)) => return self.catch_up(index, deadline).await,
                        Ok(Err(hint)) => hint,
                        Err(unanswered) => {
                            tracing::debug!(partition = %self.partition, leader, %unanswered, "ask for a read");
                            None
                        }
                    }
                }
                Leadership::Following { leader } => leader,
            };
            if Instant::now() >= deadline {
                return Err(Error::NoLeader { partition: self.partition, hint });
            }
            let again = deadline.min(Instant::now() + ASK_AGAIN);
            if let Ok(Err(_)) = timeout_at(again, self.leadership.changed()).await {
                return Err(Error::Stopped);
            }
        }
    }

    async fn ask(
        &self,
        leader: u64,
        transport: &dyn Transport,
    ) -> Result<Result<u64, Option<u64>>, Unanswered> {
        let to = Address { node: leader, address: self.applied.address_of(leader), group: self.partition.0 };
        let question = Request(Question::ReadIndex { applied: Some(self.applied.index()) });
        let late = |_| Unanswered::Lost("no answer in time".to_owned());
        let call = tokio::time::timeout(ASK_DEADLINE, transport.call(&to, question, ASK_DEADLINE));
        match call.await.map_err(late)?? {
            Response(Answered::ReadIndex(answer)) => Ok(answer),
            Response(other) => Err(Unanswered::Lost(format!("an answer to another question: {other:?}"))),
        }
    }

    async fn catch_up(&self, index: u64, deadline: Instant) -> Result<(), Error> {
        if self.applied.index() >= index {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = self.raft.wait(Some(left));
        wait.applied_index_at_least(Some(index), "for a read").await.map(|_| ()).map_err(|_| self.late())
    }
}
