//! What a Raft entry says, and what applying it answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::engine::model::{
    DefinitionStatus, Epoch, Event, ExecutionId, SpecHash, TenantId, Timestamp, Version, WorkflowId,
};

use crate::storage::Marks;

use super::view::{Membership, NodeRecord, Record, Workflow};

/// One Raft entry. Storage format: add variants at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// A node leads; the index of this entry is the fence of its leadership.
    LeaderEpoch {
        /// Which node.
        node: u64,
        /// Which boot of it.
        boot: u64,
        /// Its time.
        at: Timestamp,
    },
    /// What many actors wanted within one write.
    Batch(Batch),
    /// A change of the catalogue; only in partition 0.
    Catalogue {
        /// The leader's time.
        at: Timestamp,
        /// What changes.
        change: CatalogueChange,
    },
    /// A change of the nodes; only in partition 0.
    Node {
        /// The leader's time.
        at: Timestamp,
        /// What changes.
        change: NodeChange,
    },
}

/// Appends of one leadership, committed together, each accepted or refused by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Refused as a whole if a newer leadership exists.
    pub epoch: Epoch,
    /// Stamped by the leader; within a partition it never runs backwards.
    pub at: Timestamp,
    /// Definitions this partition uses for the first time.
    pub pins: Vec<(SpecHash, Arc<str>)>,
    /// In order.
    pub appends: Vec<Append>,
}

/// Events for one execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Append {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub execution: ExecutionId,
    /// How many events it had when they were decided.
    pub expected: Version,
    /// At least one.
    pub events: Vec<Event>,
    /// With a creation: the key that makes it happen once.
    pub claim: Option<Claim>,
}

/// An idempotency key and what was asked with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// SHA-256 of the key; the tenant is kept beside it.
    pub key: [u8; 32],
    /// SHA-256 of the request, so that another request with the same key is refused.
    pub request: [u8; 32],
}

/// A change of the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum CatalogueChange {
    /// Creates a workflow (`expected` 0) or adds a version to it.
    PutWorkflow {
        /// Whose.
        tenant: TenantId,
        /// Which; chosen by the proposer.
        workflow: WorkflowId,
        /// The latest version the caller knows; none: whatever it is.
        expected: Option<u32>,
        /// The definition's name.
        name: String,
        /// The status in the definition.
        status: DefinitionStatus,
        /// Labels in the definition.
        labels: BTreeMap<String, String>,
        /// The hash of the text.
        hash: SpecHash,
        /// The canonical text.
        text: Arc<str>,
        /// Who.
        by: String,
        /// Makes a creation happen once.
        claim: Option<Claim>,
    },
    /// Sets the status of a workflow without a new version (archive).
    SetStatus {
        /// Whose.
        tenant: TenantId,
        /// Which.
        workflow: WorkflowId,
        /// To what.
        status: DefinitionStatus,
        /// Who.
        by: String,
    },
    /// Removes a workflow and its versions.
    DeleteWorkflow {
        /// Whose.
        tenant: TenantId,
        /// Which.
        workflow: WorkflowId,
        /// Who.
        by: String,
    },
}

/// A change of the nodes of the cluster. Storage format: add variants at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeChange {
    /// A node says who it is and where; it does so at each start.
    Register {
        /// The id it has or wants; 0: any that is free.
        id: u64,
        /// Its disk.
        incarnation: u128,
        /// Where other nodes reach it.
        peer: String,
        /// Where users reach it.
        public: String,
    },
    /// An id for a node that will come.
    Reserve,
    /// What it is in the cluster.
    Set {
        /// Which node.
        id: u64,
        /// What it becomes.
        membership: Membership,
    },
    /// A node has made a mark on its disk; it does so at each start, and while it runs.
    Marked {
        /// Which.
        id: u64,
        /// Its disk.
        incarnation: u128,
        /// The latest ones.
        marks: Marks,
    },
}

/// Why a change of the nodes was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum NodeConflict {
    /// No such node.
    #[error("there is no such node")]
    NotFound,
    /// Another disk has the id, or had it.
    #[error("id {id} belongs to another node, and ids are never used again")]
    Taken {
        /// The id.
        id: u64,
    },
    /// The node was removed for good.
    #[error("node {id} was removed; its id is never used again, so it has to join with an empty directory")]
    Removed {
        /// Which.
        id: u64,
    },
    /// The id is kept for a node that has not come yet.
    #[error("node {id} has not come yet; its id can be removed, and nothing else")]
    NotCome {
        /// Which.
        id: u64,
    },
    /// Nobody else could hold what it holds.
    #[error("node {id} is the last active node: what it holds has nowhere to go; add another node first")]
    Last {
        /// Which.
        id: u64,
    },
    /// The disk lacks a mark that was recorded.
    #[error("node {id} has an older copy of its data directory")]
    OlderCopy {
        /// Which.
        id: u64,
    },
}

/// What applying an entry answers to its proposer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Membership, blank and such.
    None,
    /// The fence of the leadership that was announced.
    Epoch(Epoch),
    /// One per append, in order.
    Batch(Vec<Result<Arc<Record>, Conflict>>),
    /// The workflow after the change.
    Catalogue(Result<Arc<Workflow>, CatalogueConflict>),
    /// The node after the change.
    Node(Result<NodeRecord, NodeConflict>),
}

/// Why an append was refused. Nothing of it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// A newer leadership exists.
    StaleEpoch {
        /// The newest.
        current: Epoch,
    },
    /// The execution has moved on; reload and decide again.
    Version {
        /// Its version now.
        current: Version,
    },
    /// The idempotency key was used before, by this execution.
    Claimed {
        /// The execution that has it.
        execution: ExecutionId,
        /// Whether it was the same request.
        same_request: bool,
    },
}

/// Why a change of the catalogue was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CatalogueConflict {
    /// No such workflow for this tenant.
    NotFound,
    /// It has moved on.
    Version {
        /// Its latest version.
        current: u32,
    },
    /// The idempotency key was used before, by this workflow.
    Claimed {
        /// The workflow that has it.
        workflow: WorkflowId,
        /// Whether it was the same request.
        same_request: bool,
    },
}
