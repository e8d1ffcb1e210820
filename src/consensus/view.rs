//! What readers see of the replicated state.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::engine::model::{
    DefinitionStatus, Execution, ExecutionId, Recorded, SpecHash, Status, TenantId, Timestamp, Version,
    WorkflowId,
};
use crate::storage::Mark;

/// An execution as its partition has it: the state and the newest part of its history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// What its events add up to.
    pub execution: Execution,
    /// The events from version `tail_from` on. The older ones are read with `Machine::history`.
    pub tail: Vec<Recorded>,
    /// How many events lie before the tail.
    pub tail_from: Version,
    /// The index of the log entry that changed it last.
    pub changed: u64,
}

/// An unfinished execution, as the leader's actors need it: small enough to keep a million in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveRow {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub id: ExecutionId,
    /// Something can happen now: it needs an actor as soon as its partition has a leader.
    pub runnable: bool,
    /// The earliest time at which something is due, if parked on a time.
    pub due: Option<Timestamp>,
}

/// Which executions to list. All conditions have to hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ListQuery {
    /// Any of these; empty: all.
    pub statuses: Vec<Status>,
    /// Of this workflow.
    pub workflow: Option<WorkflowId>,
    /// With all these labels.
    pub labels: BTreeMap<String, String>,
    /// Created at or after.
    pub created_from: Option<Timestamp>,
    /// Created before.
    pub created_before: Option<Timestamp>,
    /// Ids below this one: where the last page ended.
    pub before: Option<ExecutionId>,
    /// So many at most.
    pub limit: usize,
}

/// A page of a list, newest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Page {
    /// What was found.
    pub items: Vec<Arc<Record>>,
    /// Where to go on, if there may be more. A page may be short, even empty, and still name one:
    /// a scan has a limit.
    pub next: Option<ExecutionId>,
}

/// A workflow with all its versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Workflow {
    /// Its id.
    pub id: WorkflowId,
    /// Whose.
    pub tenant: TenantId,
    /// Overrides the status in the latest definition, after an archive.
    pub status: DefinitionStatus,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// By number, from 1, without gaps.
    pub versions: Vec<WorkflowVersion>,
}

/// One version of a workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkflowVersion {
    /// From 1.
    pub version: u32,
    /// The definition's name.
    pub name: String,
    /// The definition's labels.
    pub labels: BTreeMap<String, String>,
    /// The hash of the text.
    pub hash: SpecHash,
    /// The canonical text.
    pub text: Arc<str>,
    /// When it was put.
    pub created_at: Timestamp,
    /// Who put it.
    pub by: String,
}

impl Workflow {
    /// The newest version.
    #[must_use]
    pub fn latest(&self) -> &WorkflowVersion {
        self.versions.last().expect("a workflow has a version")
    }
}

/// A node of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its id, from 1.
    pub id: u64,
    /// Its disk; 0 if it has not come yet.
    pub incarnation: u128,
    /// Where other nodes reach it.
    pub peer: String,
    /// Where users reach it.
    pub public: String,
    /// What it is in the cluster.
    pub membership: Membership,
    /// When it got its id.
    pub added_at: Timestamp,
    /// The last mark of its disk that was recorded: it may not come back as it was before.
    pub mark: Mark,
}

/// What a node is in the cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Membership {
    /// Its id is kept for it; it has not come yet.
    #[default]
    Reserved,
    /// It holds replicas.
    Active,
    /// Its replicas and leaderships move elsewhere.
    Draining,
    /// It is gone for good.
    Removed,
}

impl Membership {
    /// As users see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Removed => "removed",
        }
    }
}
