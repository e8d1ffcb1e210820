//! What nodes ask of each other's actors, and how it crosses the wire.
//!
//! A node that is asked for a change of a partition it does not lead passes it on to the one that does, once:
//! whoever receives it carries it out or says who leads. Passing on twice is harmless, because whatever is created
//! has its id from the node that was asked first.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::consensus::{
    CatalogueChange, CatalogueConflict, Claim, NodeChange, NodeConflict, NodeRecord, Record, Step, Workflow,
};
use crate::engine::model::{ExecutionId, Input, PartitionId, Payload, Rejection, SpecHash, WorkflowId};
use crate::storage::{self, codec};

use super::cluster::Standing;
use super::partition::overloaded;
use super::reading::{Found, Question};
use super::request::{Caller, Error};

const ASK: codec::Kind = codec::Kind(0x30);
const ANSWER: codec::Kind = codec::Kind(0x31);
const VERSION: u16 = 1;

/// What is asked. Add variants at the end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// Begin an execution.
    Submit(Box<Begin>),
    /// Do something to one.
    Act {
        /// For whom.
        caller: Caller,
        /// Which.
        id: ExecutionId,
        /// What.
        input: Box<Input>,
    },
    /// Change the catalogue.
    Change(Box<CatalogueChange>),
    /// Change the nodes of the cluster.
    Nodes(NodeChange),
    /// Change the members of a partition.
    Reshape {
        /// Which.
        partition: PartitionId,
        /// How.
        step: Step,
    },
    /// How do you stand?
    Standing,
    /// Take a node into the cluster, wherever that is decided.
    Join(NodeChange),
    /// Read the state of a partition.
    Read {
        /// Which.
        partition: PartitionId,
        /// What.
        question: Question,
    },
}

/// An execution that is to begin, its definition chosen and checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Begin {
    /// For whom.
    pub(crate) caller: Caller,
    /// Chosen by the node that was asked first, so that asking twice creates one.
    pub(crate) id: ExecutionId,
    /// The definition.
    pub(crate) hash: SpecHash,
    /// Its canonical text.
    pub(crate) text: Arc<str>,
    /// The workflow it is of; none if it came along.
    pub(crate) workflow: Option<WorkflowId>,
    /// Its version; 0 if it came along.
    pub(crate) version: u32,
    /// Null if not given.
    pub(crate) input: Payload,
    /// Added to the definition's.
    pub(crate) labels: BTreeMap<String, String>,
    /// The idempotency key.
    pub(crate) claim: Option<Claim>,
    /// It was asked for before, and nobody knows what came of it.
    pub(crate) again: bool,
}

/// What is answered. Add variants at the end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The execution, and whether the key was used before for the same request.
    Submitted(Arc<Record>, bool),
    /// The execution after it.
    Acted(Arc<Record>),
    /// The workflow after the change.
    Changed(Result<Arc<Workflow>, CatalogueConflict>),
    /// It could not be met.
    Failed(Failure),
    /// The node after the change.
    Node(Result<NodeRecord, NodeConflict>),
    /// It is done.
    Reshaped,
    /// How the node stands.
    Standing(Standing),
    /// What was read.
    Found(Found),
}

/// Why a request could not be met. Add variants at the end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Failure {
    Rejected(Rejection),
    KeyReused,
    Overloaded,
    Elsewhere { partition: u16, leader: Option<u64> },
    Unavailable(String),
    NodeRefused(NodeConflict),
    DiskScarce,
}

impl Ask {
    pub(crate) fn encode(&self) -> Vec<u8> {
        codec::encode(ASK, VERSION, self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> storage::Result<Self> {
        Ok(codec::decode(ASK, bytes)?.1)
    }
}

impl Answer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        codec::encode(ANSWER, VERSION, self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> storage::Result<Self> {
        Ok(codec::decode(ANSWER, bytes)?.1)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Rejected(rejection) => Self::Rejected(rejection),
            Error::KeyReused => Self::KeyReused,
            Error::Overloaded { .. } => Self::Overloaded,
            Error::Elsewhere { partition, leader } => Self::Elsewhere { partition: partition.0, leader },
            Error::NodeRefused(conflict) => Self::NodeRefused(conflict),
            Error::DiskScarce { .. } => Self::DiskScarce,
            Error::Definition(_)
            | Error::WorkflowNotFound { .. }
            | Error::VersionNotFound { .. }
            | Error::VersionConflict { .. }
            | Error::NodeNotFound { .. }
            | Error::StillHolds { .. }
            | Error::Unavailable { .. } => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Rejected(rejection) => Self::Rejected(rejection),
            Failure::KeyReused => Self::KeyReused,
            Failure::Overloaded => overloaded("the node that leads the partition"),
            Failure::Elsewhere { partition, leader } => {
                Self::Elsewhere { partition: PartitionId(partition), leader }
            }
            Failure::Unavailable(reason) => Self::Unavailable { reason },
            Failure::NodeRefused(conflict) => Self::NodeRefused(conflict),
            Failure::DiskScarce => super::disk::scarce(),
        }
    }
}
