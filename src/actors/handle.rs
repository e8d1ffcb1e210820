//! The door to the actors: what the front ends ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::consensus::{ListQuery, Page, Record, Workflow};
use crate::engine::Reason;
use crate::engine::definition::{Finding, RunnerCatalogue, Spec};
use crate::engine::model::{
    DefinitionStatus, ExecutionId, Input, Payload, Recorded, Rejection, TenantId, Version, WorkflowId,
};

/// Who asks. Comes from the verified token; in `dev`, the `dev` user of the `default` tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
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
            Self::KeyReused => "idempotency_key_reused",
            Self::Overloaded { .. } => "overloaded",
            Self::Unavailable { .. } => "unavailable",
        }
    }
}

/// Wakes when an execution may have changed. It carries nothing: read the state again.
#[derive(Debug)]
pub struct Watch {}

impl Watch {
    /// Waits for the next change after the last call (or after the watch was made). Ends early at
    /// times: a wake-up is a hint.
    pub async fn changed(&mut self) {
        std::future::pending::<()>().await;
    }
}

/// Where a node stands, for health and readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionHealth {
    /// 0 is the catalogue.
    pub partition: u16,
    /// This node leads it and its actors run.
    pub leading: bool,
    /// Executions with an actor.
    pub active: usize,
    /// Executions that wait without one.
    pub parked: usize,
}

/// The door to the actors. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {}

#[expect(clippy::unused_async, reason = "under construction")]
impl Handle {
    fn nothing<T>() -> Result<T, Error> {
        Err(Error::Unavailable { reason: "under construction".to_owned() })
    }
    /// Checks a definition without keeping it.
    pub fn validate(&self, text: &str) -> Result<Spec, Vec<Finding>> {
        Spec::parse(text, self.catalogue()).map(|parsed| parsed.spec)
    }
    /// The runners of this node.
    pub fn catalogue(&self) -> &RunnerCatalogue {
        unreachable!("under construction")
    }
    /// Creates a workflow or adds a version. The flag tells that the key was used before.
    pub async fn put_workflow(
        &self,
        _caller: &Caller,
        _put: PutWorkflow,
    ) -> Result<(Arc<Workflow>, bool), Error> {
        Self::nothing()
    }
    /// One workflow.
    pub async fn workflow(&self, _caller: &Caller, _id: WorkflowId) -> Result<Arc<Workflow>, Error> {
        Self::nothing()
    }
    /// Workflows, newest first; ids below `before`; 1 to 200 of them.
    pub async fn workflows(
        &self,
        _caller: &Caller,
        _status: Option<DefinitionStatus>,
        _before: Option<WorkflowId>,
        _limit: usize,
    ) -> Result<WorkflowPage, Error> {
        Self::nothing()
    }
    /// Deletes a workflow, or archives it if executions of it run. The flag tells that it was archived.
    pub async fn delete_workflow(&self, _caller: &Caller, _id: WorkflowId) -> Result<bool, Error> {
        Self::nothing()
    }
    /// Begins an execution. When this answers, it is durable.
    pub async fn submit(&self, _caller: &Caller, _submission: Submission) -> Result<Submitted, Error> {
        Self::nothing()
    }
    /// Cancel, pause, resume or retry. When this answers, it is durable.
    pub async fn act(&self, _caller: &Caller, _id: ExecutionId, _input: Input) -> Result<Arc<Record>, Error> {
        Self::nothing()
    }
    /// One execution, linearizable.
    pub async fn execution(&self, _caller: &Caller, _id: ExecutionId) -> Result<Arc<Record>, Error> {
        Self::nothing()
    }
    /// The definition an execution keeps.
    pub async fn spec_of(&self, _record: &Record) -> Result<Arc<Spec>, Error> {
        Self::nothing()
    }
    /// Executions, newest first.
    pub async fn executions(&self, _caller: &Caller, _query: ListQuery) -> Result<Page, Error> {
        Self::nothing()
    }
    /// Events from version `from` (0: the first), at most `limit`.
    pub async fn history(
        &self,
        _caller: &Caller,
        _id: ExecutionId,
        _from: Version,
        _limit: usize,
    ) -> Result<Vec<Recorded>, Error> {
        Self::nothing()
    }
    /// Wakes on changes of an execution.
    pub fn watch(&self, _id: ExecutionId) -> Watch {
        Watch {}
    }
    /// Why it is not further.
    pub async fn explain(&self, _caller: &Caller, _id: ExecutionId) -> Result<Vec<Reason>, Error> {
        Self::nothing()
    }
    /// Where this node stands.
    pub fn health(&self) -> Vec<PartitionHealth> {
        Vec::new()
    }
}
