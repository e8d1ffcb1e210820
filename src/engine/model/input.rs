//! What can be wished of an execution.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AttemptNumber, Epoch, Fault, Payload, StepKey, TenantId, Timestamp, WorkflowId};

/// When, and under which leadership, a decision is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The leader's time.
    pub at: Timestamp,
    /// The leader's fence.
    pub epoch: Epoch,
}

/// A wish. [`crate::decide()`] turns it into facts or a lawful refusal. Nodes pass wishes on to each other: add
/// variants at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// Begin. Lawful only as the first.
    Create(Box<Create>),
    /// An attempt ended.
    AttemptFinished {
        /// Which step.
        step: StepKey,
        /// Which attempt.
        attempt: AttemptNumber,
        /// The runner's output, or its fault.
        outcome: Result<Payload, Fault>,
    },
    /// The flight of an attempt is gone and nobody will hear of it again: its actor crashed.
    AttemptLost {
        /// Which step.
        step: StepKey,
        /// Which attempt.
        attempt: AttemptNumber,
    },
    /// Look at the clock and at the fence: what is due happens, what an older leadership left in
    /// flight is lost. Sent when a timer fires, when an actor starts, and whenever in doubt.
    Reconcile,
    /// End it.
    Cancel {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Hold it.
    Pause {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Let it go on.
    Resume {
        /// Who.
        by: String,
    },
    /// Run it again.
    Retry {
        /// Who.
        by: String,
        /// From where.
        from: RetryFrom,
    },
}

/// Where a retry by hand begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetryFrom {
    /// All steps run again.
    Start,
    /// Failed, cancelled and uncertain steps run again, with what they kept from running.
    Failed,
}

/// How an execution begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    /// Whose it is.
    pub tenant: TenantId,
    /// The workflow, none if inline.
    pub workflow: Option<WorkflowId>,
    /// Its version; 0 if inline.
    pub workflow_version: u32,
    /// Checked against the definition's schema.
    pub input: Payload,
    /// Added to the definition's labels.
    pub labels: BTreeMap<String, String>,
    /// Who submits it.
    pub by: String,
}
