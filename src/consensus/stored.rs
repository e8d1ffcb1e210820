//! How what Raft keeps is laid out in storage. Storage format: what was released never changes meaning.
//!
//! ```text
//! log record:  payload kind u8 | leader's node id u64 | payload
//! ```
//!
//! The number is little-endian. The payload is nothing for a blank entry, an envelope of the command or the
//! membership otherwise. Index, term and checksum are kept beside the record by the log. Raft's own types are
//! not stored: the shapes here are ours, so that a later version of the library cannot change the files.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use openraft::BasicNode;
use serde::{Deserialize, Serialize};

use crate::storage::{LogEntry, codec};

use super::types::{Entry, LeaderId, LogId, Membership, Payload, Proposal, StoredMembership, Vote};

const MEMBERSHIP: codec::Kind = codec::Kind(0x21);
const VOTE: codec::Kind = codec::Kind(0x22);
const MARK: codec::Kind = codec::Kind(0x23);
const META: codec::Kind = codec::Kind(0x24);
const VERSION: u16 = 1;

const BLANK: u8 = 0;
const NORMAL: u8 = 1;
const MEMBERS: u8 = 2;
const PREFIX_BYTES: usize = 9;

/// A position in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    term: u64,
    node: u64,
    index: u64,
}

/// Who votes, in one or two configurations, and where everyone is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Members {
    configs: Vec<BTreeSet<u64>>,
    nodes: BTreeMap<u64, String>,
}

/// For whom a node has voted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Ballot {
    term: u64,
    node: u64,
    committed: bool,
}

/// What a checkpoint keeps for Raft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredMeta {
    applied: Option<Mark>,
    members_at: Option<Mark>,
    members: Members,
}

/// Where the state of a partition stands, as far as Raft is concerned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Meta {
    /// The last entry that was applied.
    pub(super) applied: Option<LogId>,
    /// The membership in force then.
    pub(super) membership: StoredMembership,
}

impl From<LogId> for Mark {
    fn from(id: LogId) -> Self {
        Self { term: id.leader_id.term, node: id.leader_id.node_id, index: id.index }
    }
}

impl From<Mark> for LogId {
    fn from(mark: Mark) -> Self {
        Self::new(LeaderId { term: mark.term, node_id: mark.node }, mark.index)
    }
}

impl From<&Membership> for Members {
    fn from(membership: &Membership) -> Self {
        Self {
            configs: membership.get_joint_config().clone(),
            nodes: membership.nodes().map(|(id, node)| (*id, node.addr.clone())).collect(),
        }
    }
}

impl Members {
    fn restore(self) -> io::Result<Membership> {
        let nodes: BTreeMap<u64, BasicNode> =
            self.nodes.into_iter().map(|(id, addr)| (id, BasicNode { addr })).collect();
        Membership::new(self.configs, nodes).map_err(io::Error::other)
    }
}

/// Lays out an entry as a log record.
pub(super) fn record(entry: &Entry) -> LogEntry {
    let members;
    let (kind, payload): (u8, &[u8]) = match &entry.payload {
        Payload::Blank => (BLANK, &[]),
        Payload::Normal(proposal) => (NORMAL, proposal.bytes()),
        Payload::Membership(membership) => {
            members = codec::encode(MEMBERSHIP, VERSION, &Members::from(membership));
            (MEMBERS, &members)
        }
    };
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + payload.len());
    bytes.put_u8(kind);
    bytes.put_u64_le(entry.log_id.leader_id.node_id);
    bytes.put_slice(payload);
    LogEntry { index: entry.log_id.index, term: entry.log_id.leader_id.term, bytes: bytes.freeze() }
}

/// Reads an entry back.
pub(super) fn entry(record: LogEntry) -> io::Result<Entry> {
    let LogEntry { index, term, mut bytes } = record;
    let damaged =
        || io::Error::new(io::ErrorKind::InvalidData, format!("log entry {index} has no known shape"));
    if bytes.len() < PREFIX_BYTES {
        return Err(damaged());
    }
    let prefix = bytes.split_to(PREFIX_BYTES);
    let node_id = u64::from_le_bytes(prefix[1..].try_into().expect("a prefix has nine bytes"));
    let payload = payload(prefix[0], bytes)?.ok_or_else(damaged)?;
    Ok(Entry { log_id: LogId::new(LeaderId { term, node_id }, index), payload })
}

fn payload(kind: u8, bytes: Bytes) -> io::Result<Option<Payload>> {
    Ok(match kind {
        BLANK if bytes.is_empty() => Some(Payload::Blank),
        NORMAL => Some(Payload::Normal(Proposal::decode(bytes)?)),
        MEMBERS => {
            let (_, members) = codec::decode::<Members>(MEMBERSHIP, &bytes)?;
            Some(Payload::Membership(members.restore()?))
        }
        _ => None,
    })
}

/// Encodes a vote.
pub(super) fn encode_vote(vote: &Vote) -> Vec<u8> {
    let LeaderId { term, node_id } = vote.leader_id;
    codec::encode(VOTE, VERSION, &Ballot { term, node: node_id, committed: vote.committed })
}

/// Decodes a vote.
pub(super) fn decode_vote(bytes: &[u8]) -> io::Result<Vote> {
    let (_, Ballot { term, node, committed }) = codec::decode(VOTE, bytes)?;
    Ok(Vote { leader_id: LeaderId { term, node_id: node }, committed })
}

/// Encodes a position in the log.
pub(super) fn encode_log_id(id: LogId) -> Vec<u8> {
    codec::encode(MARK, VERSION, &Mark::from(id))
}

/// Decodes a position in the log.
pub(super) fn decode_log_id(bytes: &[u8]) -> io::Result<LogId> {
    Ok(codec::decode::<Mark>(MARK, bytes)?.1.into())
}

/// Encodes what a checkpoint keeps for Raft.
pub(super) fn encode_meta(meta: &Meta) -> Vec<u8> {
    let stored = StoredMeta {
        applied: meta.applied.map(Mark::from),
        members_at: meta.membership.log_id().map(Mark::from),
        members: Members::from(meta.membership.membership()),
    };
    codec::encode(META, VERSION, &stored)
}

/// Decodes what a checkpoint keeps for Raft.
pub(super) fn decode_meta(bytes: &[u8]) -> io::Result<Meta> {
    let (_, stored) = codec::decode::<StoredMeta>(META, bytes)?;
    let membership = StoredMembership::new(stored.members_at.map(LogId::from), stored.members.restore()?);
    Ok(Meta { applied: stored.applied.map(LogId::from), membership })
}
