//! The state of one execution: what its events add up to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Action, AttemptNumber, Epoch, ExecutionId, Fault, Payload, SkipReason, SpecHash, Status, StepIndex,
    StepKey, StepStatus, TenantId, Timestamp, Version, WorkflowId,
};

/// One run of one workflow version. Changed by [`crate::evolve()`] only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// Its id.
    pub id: ExecutionId,
    /// How many events it is made of; 0 means it does not exist yet.
    pub version: Version,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its workflow, none if inline.
    pub workflow: Option<WorkflowId>,
    /// The workflow's version; 0 if inline.
    pub workflow_version: u32,
    /// The definition's name.
    pub workflow_name: String,
    /// The definition.
    pub spec: SpecHash,
    /// Where it stands.
    pub status: Status,
    /// What it was given.
    pub input: Payload,
    /// For finding it.
    pub labels: BTreeMap<String, String>,
    /// 0 low to 9 high.
    pub priority: u8,
    /// Who submitted it.
    pub by: String,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its first step moved.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When it is given up.
    pub deadline: Option<Timestamp>,
    /// Its steps, by position in the definition.
    pub steps: Vec<Step>,
    /// What it gave, when completed and the definition says what.
    pub output: Option<Payload>,
    /// Why it failed, or who cancelled it and why.
    pub fault: Option<Fault>,
    /// The step that made it fail.
    pub fault_step: Option<StepKey>,
    /// Who holds it, while paused.
    pub pause: Option<Pause>,
    /// How often it was retried by a person, from 0; `execution.attempt` is one more.
    pub retries: u32,
}

/// Who paused an execution, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// One step of one execution.
///
/// Invariant: at most one live attempt, and only while `Running`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Where it stands.
    pub status: StepStatus,
    /// The last attempt started; 0 if none was.
    pub attempt: AttemptNumber,
    /// Failed attempts since the step was last pending: what the retry policy counts.
    pub failures: u32,
    /// When the current or last attempt, or the wait, began.
    pub started_at: Option<Timestamp>,
    /// When it settled.
    pub finished_at: Option<Timestamp>,
    /// Resolved parameters of the current or last attempt or wait.
    pub params: Option<Payload>,
    /// When completed.
    pub output: Option<Payload>,
    /// The last fault.
    pub fault: Option<Fault>,
    /// Running: the attempt's deadline. Backoff: the next attempt. Waiting: the end of the wait.
    pub due: Option<Timestamp>,
    /// The leadership that started the attempt in flight.
    pub epoch: Epoch,
    /// A jump has chosen this step: its needs are waived.
    pub chosen: bool,
    /// It failed and was taken care of.
    pub handled: bool,
    /// The highest attempt whose outcome was recorded as ignored; 0 if none was. An outcome that is
    /// heard again is not recorded again.
    pub ignored: AttemptNumber,
    /// Skipped: why.
    pub skipped: Option<SkipReason>,
}

impl Step {
    /// A step nobody has looked at.
    pub const PENDING: Self = Self {
        status: StepStatus::Pending,
        attempt: 0,
        failures: 0,
        started_at: None,
        finished_at: None,
        params: None,
        output: None,
        fault: None,
        due: None,
        epoch: Epoch(0),
        chosen: false,
        handled: false,
        ignored: 0,
        skipped: None,
    };

    /// Bytes of its parameters, its output and its fault.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        let documents: usize = self.params.iter().chain(&self.output).map(Payload::len).sum();
        documents + self.fault.as_ref().map_or(0, Fault::bytes)
    }
}

impl Execution {
    /// The execution before its first event.
    #[must_use]
    pub fn unborn(id: ExecutionId, tenant: TenantId) -> Self {
        Self {
            id,
            version: 0,
            tenant,
            workflow: None,
            workflow_version: 0,
            workflow_name: String::new(),
            spec: SpecHash([0; 32]),
            status: Status::Pending,
            input: Payload::null(),
            labels: BTreeMap::new(),
            priority: 0,
            by: String::new(),
            created_at: Timestamp::default(),
            started_at: None,
            finished_at: None,
            deadline: None,
            steps: Vec::new(),
            output: None,
            fault: None,
            fault_step: None,
            pause: None,
            retries: 0,
        }
    }

    /// What a person may do now. One that runs can be retried only while a step is uncertain; all else
    /// follows from the status.
    #[must_use]
    pub fn allowed_actions(&self) -> Vec<Action> {
        let mut actions = self.status.allowed_actions().to_vec();
        if self.status == Status::Running && self.steps.iter().any(|s| s.status == StepStatus::Uncertain) {
            actions.push(Action::Retry);
        }
        actions
    }

    /// What counts towards [`super::limits::EXECUTION_BYTES_MAX`]: its input, and what its steps keep. Looks at
    /// every step.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.input.len() + self.steps.iter().map(Step::kept_bytes).sum::<usize>()
    }

    /// Whether the last decision may have stopped early, at [`super::limits::DECISION_BYTES_MAX`]. One that
    /// did has left at least so much in the state; the reverse need not be true.
    #[must_use]
    pub fn may_be_halfway(&self) -> bool {
        let at_work = match self.status {
            Status::Pending | Status::Running => true,
            Status::Paused
            | Status::Compensating
            | Status::Completed
            | Status::Failed
            | Status::Cancelled
            | Status::DeadLettered => false,
        };
        at_work && self.kept_bytes() >= super::limits::DECISION_BYTES_MAX
    }

    /// A step by key, if the definition has it.
    #[must_use]
    pub fn step(&self, key: StepKey) -> Option<&Step> {
        self.steps.get(key.index.usize()).filter(|_| key.lane == 0)
    }

    /// Its steps with their keys, in the definition's order.
    pub fn keyed_steps(&self) -> impl Iterator<Item = (StepKey, &Step)> {
        (0_u16..).zip(&self.steps).map(|(index, step)| (StepKey::plain(StepIndex(index)), step))
    }
}
