//! The types Raft is put together from.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::storage::codec;

use super::runtime::Runtime;
use super::{Command, Reply};

openraft::declare_raft_types!(
    /// Everything that Raft leaves open.
    pub(super) Types:
        D = Proposal,
        R = Answer,
        NodeId = u64,
        Node = openraft::BasicNode,
        AsyncRuntime = Runtime,
);

pub(super) type LeaderId = openraft::impls::leader_id_adv::LeaderId<u64, u64>;
pub(super) type LogId = openraft::LogId<LeaderId>;
pub(super) type Vote = openraft::impls::Vote<LeaderId>;
pub(super) type Membership = openraft::Membership<u64, openraft::BasicNode>;
pub(super) type StoredMembership = openraft::StoredMembership<LeaderId, u64, openraft::BasicNode>;
pub(super) type Entry = <Types as openraft::RaftTypeConfig>::Entry;
pub(super) type Payload = openraft::EntryPayload<Proposal, u64, openraft::BasicNode>;

/// A command together with its encoded form, so that it is encoded once on its leader, decoded once on
/// every follower, and shared by log, replication and state.
#[derive(Clone)]
pub(super) struct Proposal(Arc<Both>);

struct Both {
    command: Command,
    bytes: Bytes,
}

impl Proposal {
    /// Encodes a command.
    pub(super) fn new(command: Command) -> Self {
        let bytes = codec::encode(COMMAND, COMMAND_VERSION, &command).into();
        Self(Arc::new(Both { command, bytes }))
    }

    /// Decodes what another node or an earlier boot encoded.
    pub(super) fn decode(bytes: Bytes) -> crate::storage::Result<Self> {
        let (_, command) = codec::decode(COMMAND, &bytes)?;
        Ok(Self(Arc::new(Both { command, bytes })))
    }

    pub(super) fn command(&self) -> &Command {
        &self.0.command
    }

    pub(super) fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }
}

/// The kind of an encoded [`Command`].
const COMMAND: codec::Kind = codec::Kind(0x20);
const COMMAND_VERSION: u16 = 1;

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command() {
            Command::LeaderEpoch { node, boot, .. } => write!(f, "node {node} leads in its boot {boot}"),
            Command::Batch(batch) => write!(f, "{} append(s)", batch.appends.len()),
            Command::Catalogue { .. } => f.write_str("a change of the catalogue"),
            Command::Node { .. } => f.write_str("a change of the nodes"),
        }
    }
}

impl Serialize for Proposal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.bytes().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Proposal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::decode(Bytes::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// What applying an entry answers. It is handed to the proposer in this process and never stored or sent.
#[derive(Debug)]
pub(super) struct Answer(pub(super) Reply);

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom("an answer does not leave its process"))
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom("an answer does not leave its process"))
    }
}
