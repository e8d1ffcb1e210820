//! The end of a conversation that answers.

use std::sync::Arc;

use super::super::state_machine::{Raft, Snapshot, Transfer};
use super::message::{Answered, Question, Unanswered};
use super::{Request, Response, SnapshotHead};

/// Answers what other nodes ask this one. Cheap to clone.
#[derive(Clone)]
pub struct Receiver(Arc<Vec<Raft>>);

impl Receiver {
    pub(in crate::consensus) fn new(groups: Vec<Raft>) -> Self {
        Self(Arc::new(groups))
    }

    /// Answers a question to one of the groups.
    ///
    /// # Errors
    /// `Unreachable` if the group is not here or is stopping.
    pub async fn answer(&self, group: u16, Request(question): Request) -> Result<Response, Unanswered> {
        let raft = self.group(group)?;
        let answered = match question {
            Question::Append(rpc) => raft.append_entries(rpc).await.map(Answered::Append).map_err(gone)?,
            Question::Vote(rpc) => raft.vote(rpc).await.map(Answered::Vote).map_err(gone)?,
            Question::PreVote(rpc) => raft.pre_vote(rpc).await.map(Answered::Vote).map_err(gone)?,
            Question::TransferLeader(rpc) => {
                raft.handle_transfer_leader(rpc).await.map(Answered::TransferLeader).map_err(gone)?
            }
        };
        Ok(Response(answered))
    }

    /// Takes a whole snapshot in.
    ///
    /// # Errors
    /// As for `answer`.
    pub async fn install(
        &self,
        group: u16,
        head: SnapshotHead,
        chunks: Box<dyn Iterator<Item = Vec<u8>> + Send>,
    ) -> Result<Response, Unanswered> {
        let raft = self.group(group)?;
        let snapshot = Snapshot { meta: head.meta, snapshot: Transfer::Received(chunks) };
        let response = raft.install_full_snapshot(head.vote, snapshot).await.map_err(gone)?;
        Ok(Response(Answered::Snapshot(response)))
    }

    fn group(&self, group: u16) -> Result<&Raft, Unanswered> {
        let missing = || Unanswered::Unreachable(format!("group {group} is not here"));
        self.0.get(usize::from(group)).ok_or_else(missing)
    }
}

fn gone(error: impl std::fmt::Display) -> Unanswered {
    Unanswered::Unreachable(error.to_string())
}
