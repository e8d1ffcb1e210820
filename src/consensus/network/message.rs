//! The messages between nodes, and how they are encoded.

use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};

use crate::storage::{self, codec};

use super::super::state_machine::SnapshotMeta;
use super::super::types::{Types, Vote};

const REQUEST: codec::Kind = codec::Kind(0x28);
const RESPONSE: codec::Kind = codec::Kind(0x29);
const HEAD: codec::Kind = codec::Kind(0x2a);
const VERSION: u16 = 1;

/// A question from one group member to another.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request(pub(in crate::consensus) Question);

/// Its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Response(pub(in crate::consensus) Answered);

/// What precedes the chunks of a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SnapshotHead {
    pub(in crate::consensus) vote: Vote,
    pub(in crate::consensus) meta: SnapshotMeta,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(in crate::consensus) enum Question {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<Types>),
    PreVote(VoteRequest<Types>),
    TransferLeader(TransferLeaderRequest<Types>),
    /// Through which entry must a read have applied? `applied` is how far the asking node has.
    ReadIndex {
        applied: Option<u64>,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(in crate::consensus) enum Answered {
    Append(AppendEntriesResponse<Types>),
    Vote(VoteResponse<Types>),
    TransferLeader(TransferLeaderResponse<Types>),
    Snapshot(SnapshotResponse<Types>),
    /// The entry, or that this node does not lead, and who does.
    ReadIndex(Result<u64, Option<u64>>),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The other node cannot be reached: ask less often for a while.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The message or its answer was lost: ask again.
    #[error("lost: {0}")]
    Lost(String),
    /// The other end does not talk to this node; the reason says what has to change.
    #[error("refused: {0}")]
    Refused(String),
}

impl Request {
    /// For the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(REQUEST, VERSION, self)
    }

    /// From the wire.
    ///
    /// # Errors
    /// `Corrupt` if it is no request of this version.
    pub fn decode(bytes: &[u8]) -> storage::Result<Self> {
        Ok(codec::decode(REQUEST, bytes)?.1)
    }
}

impl Response {
    /// For the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(RESPONSE, VERSION, self)
    }

    /// From the wire.
    ///
    /// # Errors
    /// `Corrupt` if it is no response of this version.
    pub fn decode(bytes: &[u8]) -> storage::Result<Self> {
        Ok(codec::decode(RESPONSE, bytes)?.1)
    }
}

impl SnapshotHead {
    /// For the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(HEAD, VERSION, self)
    }

    /// From the wire.
    ///
    /// # Errors
    /// `Corrupt` if it is no head of this version.
    pub fn decode(bytes: &[u8]) -> storage::Result<Self> {
        Ok(codec::decode(HEAD, bytes)?.1)
    }
}
