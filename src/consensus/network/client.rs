//! How Raft reaches the other members of a group.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, OptionalSend, RPCTypes, RaftNetworkFactory, RaftNetworkV2};

use super::super::promise::Promise;
use super::super::state::SnapshotReader;
use super::super::state_machine::{Snapshot, Transfer};
use super::super::types::{Types, Vote};
use super::message::{Answered, Question, Unanswered};
use super::{Address, Chunks, Request, Response, SnapshotHead, Transport};

type Failed = RPCError<Types>;
type AppendResponse = AppendEntriesResponse<Types>;

/// How long one chunk of a snapshot may take. A peer that hangs must not hold checkpoints back for long.
const CHUNK_DEADLINE: Duration = Duration::from_secs(3);

/// How long a follower may take for entries. Raft would give up after one heartbeat, and send all of them again to
/// a follower that is only slow. Heartbeats have their own calls meanwhile.
const APPEND_DEADLINE: Duration = Duration::from_secs(1);

/// Makes the clients of one group.
pub(in crate::consensus) struct Factory {
    pub(in crate::consensus) node: u64,
    pub(in crate::consensus) group: u16,
    pub(in crate::consensus) transport: Arc<dyn Transport>,
    pub(in crate::consensus) promise: Promise,
}

impl RaftNetworkFactory<Types> for Factory {
    type Network = Client;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Client {
        let to = Address { node: target, address: node.addr.clone(), group: self.group };
        let (transport, promise) = (self.transport.clone(), self.promise);
        Client { from: self.node, to, transport, promise, heartbeats: false, acknowledged: None }
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &BasicNode) -> Client {
        Client { heartbeats: true, ..self.new_client(target, node).await }
    }
}

/// Talks to one other member.
pub(in crate::consensus) struct Client {
    from: u64,
    to: Address,
    transport: Arc<dyn Transport>,
    promise: Promise,
    /// It sends nothing else, each with the last entry that the other member has acknowledged before.
    heartbeats: bool,
    /// Under which leadership, and up to which entry, the other member has the log of this one. It was asked one
    /// question after another, so it can never have less.
    acknowledged: Option<(Vote, u64)>,
}

impl Client {
    /// Notes what an answer says the other member has.
    ///
    /// Errors: it has less than it had. Raft would count what is gone, and send to it again and again.
    fn note(
        &mut self,
        (vote, before, last): (Vote, Option<u64>, Option<u64>),
        response: &AppendResponse,
    ) -> Result<(), Failed> {
        let known = self.acknowledged.filter(|(under, _)| *under == vote).map(|(_, index)| index);
        let has = match response {
            AppendResponse::Success => last,
            AppendResponse::PartialSuccess(reached) => reached.as_ref().map(|id| id.index),
            AppendResponse::Conflict if before.is_some() && (self.heartbeats || before <= known) => {
                self.transport.went_back(self.to.node);
                return Err(Unreachable::from_string("it has less than it had acknowledged").into());
            }
            AppendResponse::Conflict | AppendResponse::HigherVote(_) => return Ok(()),
        };
        self.acknowledged = has.max(known).map(|index| (vote, index));
        Ok(())
    }

    async fn call(
        &self,
        question: Question,
        action: RPCTypes,
        deadline: Duration,
    ) -> Result<Answered, Failed> {
        let call = self.transport.call(&self.to, Request(question), deadline);
        self.answer(tokio::time::timeout(deadline, call).await, action, deadline)
    }

    fn answer(
        &self,
        answer: Result<Result<Response, Unanswered>, tokio::time::error::Elapsed>,
        action: RPCTypes,
        timeout: Duration,
    ) -> Result<Answered, Failed> {
        match answer {
            Ok(Ok(Response(answered))) => Ok(answered),
            Ok(Err(Unanswered::Unreachable(why) | Unanswered::Refused(why))) => {
                Err(Unreachable::from_string(why).into())
            }
            Ok(Err(Unanswered::Lost(why))) => Err(NetworkError::from_string(why).into()),
            Err(_) => Err(Timeout { action, id: self.from, target: self.to.node, timeout }.into()),
        }
    }

    /// Whether this node may stand for election.
    fn stand(&self, rpc: &VoteRequest<Types>) -> Result<(), Failed> {
        self.promise.check(rpc).map_err(|why| NetworkError::from_string(why).into())
    }
}

fn misplaced(answered: &Answered) -> Failed {
    NetworkError::from_string(format!("an answer to another question: {answered:?}")).into()
}

impl RaftNetworkV2<Types> for Client {
    type SnapshotData = Transfer;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, Failed> {
        let deadline =
            if rpc.entries.is_empty() { option.hard_ttl() } else { option.hard_ttl().max(APPEND_DEADLINE) };
        let (vote, before) = (rpc.vote, rpc.prev_log_id.as_ref().map(|id| id.index));
        let last = rpc.entries.last().map(|entry| entry.log_id.index).or(before);
        match self.call(Question::Append(rpc), RPCTypes::AppendEntries, deadline).await? {
            Answered::Append(response) => {
                self.note((vote, before, last), &response)?;
                Ok(response)
            }
            other => Err(misplaced(&other)),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, Failed> {
        self.stand(&rpc)?;
        match self.call(Question::Vote(rpc), RPCTypes::Vote, option.hard_ttl()).await? {
            Answered::Vote(response) => Ok(response),
            other => Err(misplaced(&other)),
        }
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, Failed> {
        self.stand(&rpc)?;
        match self.call(Question::PreVote(rpc), RPCTypes::Vote, option.hard_ttl()).await? {
            Answered::Vote(response) => Ok(response),
            other => Err(misplaced(&other)),
        }
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, Failed> {
        let question = Question::TransferLeader(rpc);
        match self.call(question, RPCTypes::TransferLeader, option.hard_ttl()).await? {
            Answered::TransferLeader(response) => Ok(response),
            other => Err(misplaced(&other)),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let Transfer::Reader(reader) = snapshot.snapshot else {
            return Err(Failed::from(NetworkError::from_string("not a snapshot of this node")).into());
        };
        let head = SnapshotHead { vote, meta: snapshot.meta };
        let sending = self.transport.snapshot(&self.to, head, chunks(reader), CHUNK_DEADLINE);
        let answer = tokio::select! {
            biased;
            closed = cancel => return Err(closed.into()),
            // However much there is to send, each chunk has its own deadline.
            answer = sending => answer,
        };
        match self.answer(Ok(answer), RPCTypes::InstallSnapshot, option.hard_ttl())? {
            Answered::Snapshot(response) => Ok(response),
            other => Err(misplaced(&other).into()),
        }
    }
}

fn chunks(mut reader: SnapshotReader) -> Chunks {
    Box::new(std::iter::from_fn(move || reader.next_chunk().map_err(io::Error::other).transpose()))
}
