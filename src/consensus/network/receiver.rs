//! The end of a conversation that answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::model::PartitionId;
use crate::points::{self, Point};

use super::super::Error;
use super::super::group::Group;
use super::super::handle::Inner;
use super::super::state::Staging;
use super::super::state_machine::{Snapshot, StateMachine, Transfer};
use super::message::{Answered, Question, Unanswered};
use super::{Request, Response, SnapshotHead};

/// Answers what other nodes ask this one. Cheap to clone.
#[derive(Clone)]
pub struct Receiver {
    inner: Arc<Inner>,
    arriving: Arc<Mutex<BTreeMap<u16, Arrival>>>,
    inline_io: bool,
}

/// A snapshot on its way in, one per group.
#[derive(Clone)]
struct Arrival {
    session: u64,
    head: SnapshotHead,
    /// Taken when it is complete.
    staging: Arc<tokio::sync::Mutex<Option<Staging>>>,
}

impl Receiver {
    pub(in crate::consensus) fn new(inner: Arc<Inner>, inline_io: bool) -> Self {
        Self { inner, arriving: Arc::default(), inline_io }
    }

    /// Answers a question to one of the groups.
    ///
    /// # Errors
    /// `Unreachable` if the group is not here or is stopping, `Lost` if this node must not vote yet.
    pub async fn answer(&self, group: u16, Request(question): Request) -> Result<Response, Unanswered> {
        let Group { raft, promise, log_store, .. } = self.group(group)?;
        let answered = match question {
            Question::Append(rpc) => {
                if let Err(error) = log_store.check(&rpc) {
                    self.inner.fatal().raise_error(PartitionId(group), "go on with a leader", &error);
                    return Err(lost(error));
                }
                let taken = raft.append_entries(rpc).await.map(Answered::Append).map_err(gone)?;
                points::cross(Point::AppendAnswered).await;
                taken
            }
            Question::Vote(rpc) => {
                promise.check(&rpc).map_err(lost)?;
                let voted = raft.vote(rpc).await.map(Answered::Vote).map_err(gone)?;
                points::cross(Point::VoteAnswered).await;
                voted
            }
            Question::PreVote(rpc) => {
                promise.check(&rpc).map_err(lost)?;
                raft.pre_vote(rpc).await.map(Answered::Vote).map_err(gone)?
            }
            Question::TransferLeader(rpc) => {
                let taken = raft.handle_transfer_leader(rpc).await.map(Answered::TransferLeader);
                points::cross(Point::TransferTaken).await;
                taken.map_err(gone)?
            }
            Question::ReadIndex { applied } => {
                let index = self.read_index(group, applied).await?;
                points::cross(Point::ReadIndexConfirmed).await;
                Answered::ReadIndex(index)
            }
        };
        Ok(Response(answered))
    }

    async fn read_index(
        &self,
        group: u16,
        follower: Option<u64>,
    ) -> Result<Result<u64, Option<u64>>, Unanswered> {
        match self.inner.confirm(PartitionId(group)).await {
            Ok(index) => {
                if follower < Some(index) {
                    // It learns at once what is committed, instead of with the next heartbeat.
                    self.group(group)?.raft.trigger().heartbeat().await.map_err(gone)?;
                }
                Ok(Ok(index))
            }
            Err(Error::NoLeader { hint, .. }) => Ok(Err(hint)),
            Err(error) => Err(gone(error)),
        }
    }

    /// Begins to take a snapshot in, or goes on with one whose connection was lost. Answers the number of the
    /// chunk that is wanted next. Another snapshot that was arriving for the group is given up.
    ///
    /// # Errors
    /// `Unreachable` if the group is not here, `Lost` if the disk does not take it now.
    pub async fn begin(&self, group: u16, session: u64, head: SnapshotHead) -> Result<u64, Unanswered> {
        self.group(group)?;
        if let Some(arrival) = self.arrival(group, session) {
            return Ok(arrival.staging.lock().await.as_ref().map_or(0, Staging::next));
        }
        let given_up = self.arriving().remove(&group);
        drop(given_up);
        let machine = self.group(group)?.applied.machine.clone();
        let stage = move || machine.stage().map_err(std::io::Error::other);
        let staging = StateMachine::blocking(self.inline_io, stage).await.map_err(lost)?;
        let next = staging.next();
        let staging = Arc::new(tokio::sync::Mutex::new(Some(staging)));
        self.arriving().insert(group, Arrival { session, head, staging });
        points::cross(Point::SnapshotOffered).await;
        Ok(next)
    }

    /// Takes a chunk in and answers the number of the one that is wanted next.
    ///
    /// # Errors
    /// `Lost` if no such snapshot is arriving or the chunk is damaged: it has to be begun anew.
    pub async fn chunk(
        &self,
        group: u16,
        session: u64,
        number: u64,
        bytes: bytes::Bytes,
    ) -> Result<u64, Unanswered> {
        let arrival = self.arrival(group, session).ok_or_else(|| lost("no such snapshot is arriving"))?;
        let mut place = arrival.staging.clone().lock_owned().await;
        let next = place.as_ref().map(Staging::next).ok_or_else(|| lost("it has arrived already"))?;
        if number < next {
            // Sent twice, because the first answer was lost.
            return Ok(next);
        }
        let take = move || {
            let staging = place.as_mut().ok_or_else(|| std::io::Error::other("it has arrived already"))?;
            staging.take(&bytes).map_err(std::io::Error::other)?;
            Ok(staging.next())
        };
        let taken = StateMachine::blocking(self.inline_io, take).await;
        points::cross(Point::ChunkTaken).await;
        taken.map_err(|error| {
            self.arriving().remove(&group);
            lost(error)
        })
    }

    /// Makes a snapshot that has arrived whole the state of the group.
    ///
    /// # Errors
    /// As for `chunk`; `Unreachable` if the group is stopping.
    pub async fn finish(&self, group: u16, session: u64) -> Result<Response, Unanswered> {
        let arrival = self.arrival(group, session).ok_or_else(|| lost("no such snapshot is arriving"))?;
        self.arriving().remove(&group);
        let staging = arrival.staging.lock().await.take().ok_or_else(|| lost("it has arrived already"))?;
        points::cross(Point::SnapshotArrived).await;
        let SnapshotHead { vote, meta } = arrival.head;
        let snapshot = Snapshot { meta, snapshot: Transfer::Staged(staging) };
        let response = self.group(group)?.raft.install_full_snapshot(vote, snapshot).await.map_err(gone)?;
        Ok(Response(Answered::Snapshot(response)))
    }

    fn arrival(&self, group: u16, session: u64) -> Option<Arrival> {
        self.arriving().get(&group).filter(|arrival| arrival.session == session).cloned()
    }

    fn arriving(&self) -> std::sync::MutexGuard<'_, BTreeMap<u16, Arrival>> {
        self.arriving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn group(&self, group: u16) -> Result<&Group, Unanswered> {
        let missing = || Unanswered::Unreachable(format!("group {group} is not here"));
        self.inner.groups().get(usize::from(group)).ok_or_else(missing)
    }
}

fn gone(error: impl std::fmt::Display) -> Unanswered {
    Unanswered::Unreachable(error.to_string())
}

fn lost(error: impl std::fmt::Display) -> Unanswered {
    Unanswered::Lost(error.to_string())
}
