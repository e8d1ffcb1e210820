//! What the front ends ask of the actors, and what they get.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::consensus::{NodeConflict, Record, Workflow};
use crate::engine::definition::Finding;
use crate::engine::model::{PartitionId, Payload, Rejection, TenantId, WorkflowId};

/// Who asks. Comes from the verified token; in `dev`, the `dev` user of the `default` tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Whose data.
    pub tenant: TenantId,
    /// Who.
    pub user: String,
}

/// Work to begin.
#[derive(Debug, Clone)]
pub struct Submission {
    /// What to run.
    pub what: What,
    /// Null if not given.
    pub input: Payload,
    /// Added to the definition's.
    pub labels: BTreeMap<String, String>,
    /// Makes it happen once.
    pub idempotency_key: Option<String>,
}

/// What a submission runs.
#[derive(Debug, Clone)]
pub enum What {
    /// A workflow, its latest version unless one is named.
    Workflow {
        /// Which.
        id: WorkflowId,
        /// Which version.
        version: Option<u32>,
    },
    /// A definition that comes with the submission, as JSON or YAML text.
    Inline {
        /// The text.
        text: String,
    },
}

/// A submission that was made durable.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The execution as it was recorded, or as it stands now if the key was used before.
    pub record: Arc<Record>,
    /// The idempotency key was used before, for the same request.
    pub existing: bool,
}

/// A workflow to create or to change.
#[derive(Debug, Clone)]
pub struct PutWorkflow {
    /// None: create.
    pub id: Option<WorkflowId>,
    /// Refuse unless this is the latest version (`If-Match`).
    pub expected: Option<u32>,
    /// JSON or YAML.
    pub text: String,
    /// Makes a creation happen once.
    pub idempotency_key: Option<String>,
}

/// A page of workflows.
#[derive(Debug, Clone, Default)]
pub struct WorkflowPage {
    /// Newest first.
    pub items: Vec<Arc<Workflow>>,
    /// Where to go on.
    pub next: Option<WorkflowId>,
}

/// Why a request could not be met.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The caller is wrong about an execution.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The definition does not pass the check.
    #[error("the definition has {} finding(s)", .0.len())]
    Definition(Vec<Finding>),
    /// No such workflow for this tenant.
    #[error("there is no workflow {id}")]
    WorkflowNotFound {
        /// The id asked for.
        id: WorkflowId,
    },
    /// The workflow has no such version.
    #[error("workflow {id} has no version {version}; its latest is {latest}")]
    VersionNotFound {
        /// Which workflow.
        id: WorkflowId,
        /// The version asked for.
        version: u32,
        /// Its latest.
        latest: u32,
    },
    /// The workflow has moved on.
    #[error("the workflow is at version {current}, not at the one named")]
    VersionConflict {
        /// Its latest.
        current: u32,
    },
    /// No such node.
    #[error("there is no node {id} in this cluster")]
    NodeNotFound {
        /// The id asked for.
        id: u64,
    },
    /// The cluster does not take the node so.
    #[error(transparent)]
    NodeRefused(NodeConflict),
    /// A node that votes cannot be removed.
    #[error("node {id} still votes in {partitions} partitions; drain it first")]
    StillHolds {
        /// Which node.
        id: u64,
        /// In how many partitions.
        partitions: usize,
    },
    /// The idempotency key was used for another request.
    #[error("this idempotency key was used before, for another request")]
    KeyReused,
    /// Too much at once; nothing was done.
    #[error("too busy: {what}; try again in {retry_after_ms} ms")]
    Overloaded {
        /// What is full.
        what: &'static str,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// This node does not lead the partition; nothing was done.
    #[error("unavailable: partition {partition} has no leader here")]
    Elsewhere {
        /// Which partition.
        partition: PartitionId,
        /// Who leads it, if known.
        leader: Option<u64>,
    },
    /// The disk is nearly full: running executions go on, new ones are refused. Nothing was done.
    #[error("the disk of the node is nearly full: new executions are refused until there is room")]
    DiskScarce {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// No leader, or it did not answer in time. Whether a change happened is unknown.
    #[error("unavailable: {reason}")]
    Unavailable {
        /// What is missing.
        reason: String,
    },
}

impl Error {
    /// The stable code of the problem document.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rejected(rejection) => rejection.code(),
            Self::Definition(_) => "invalid_definition",
            Self::WorkflowNotFound { .. } => "workflow_not_found",
            Self::VersionNotFound { .. } => "version_not_found",
            Self::VersionConflict { .. } => "version_conflict",
            Self::NodeNotFound { .. } => "node_not_found",
            Self::NodeRefused(_) => "node_refused",
            Self::StillHolds { .. } => "node_still_votes",
            Self::KeyReused => "idempotency_key_reused",
            Self::Overloaded { .. } => "overloaded",
            Self::DiskScarce { .. } => "disk_scarce",
            Self::Elsewhere { .. } | Self::Unavailable { .. } => "unavailable",
        }
    }
}

/// Where a node stands, for health and readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionHealth {
    /// 0 is the catalogue.
    pub partition: u16,
    /// This node leads it and its actors run.
    pub leading: bool,
    /// Who leads it, if known.
    pub leader: Option<u64>,
    /// Executions with an actor.
    pub active: usize,
    /// Executions that wait without one.
    pub parked: usize,
}

/// More than one log entry takes.
pub(crate) fn too_large(bytes: usize, bytes_max: usize) -> Error {
    let what = format!("a decision of {bytes} bytes");
    Rejection::Limit { what, limit: format!("{bytes_max} bytes") }.into()
}
