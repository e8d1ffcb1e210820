//! The facts an execution is made of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    AttemptNumber, Epoch, Fault, Payload, SpecHash, StepIndex, StepKey, TenantId, Timestamp, WorkflowId,
};

/// A fact with the time its partition recorded it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// When; never earlier than the event before it.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// A recorded fact in an execution's history.
///
/// Storage format: add variants at the end, never reorder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The execution exists. Always the first event, and only the first.
    Created(Box<Created>),
    /// An attempt may now act on the world. Committed before it does.
    AttemptStarted {
        /// Which step.
        step: StepKey,
        /// One more than the last attempt of this step.
        attempt: AttemptNumber,
        /// The resolved parameters the runner gets.
        params: Payload,
        /// When the attempt is given up.
        deadline: Option<Timestamp>,
        /// The leadership that started it; only that one may record its outcome.
        epoch: Epoch,
    },
    /// The attempt succeeded, and with it the step.
    AttemptCompleted {
        /// Which step.
        step: StepKey,
        /// The attempt in flight.
        attempt: AttemptNumber,
        /// The step's output, after `output` has reshaped it.
        output: Payload,
    },
    /// The attempt failed, or was lost with its node.
    AttemptFailed {
        /// Which step.
        step: StepKey,
        /// The attempt in flight.
        attempt: AttemptNumber,
        /// Why.
        fault: Fault,
        /// What the policy says comes next.
        next: AfterFailure,
    },
    /// A pure step was computed, or a wait ended: no attempt was needed.
    StepCompleted {
        /// Which step.
        step: StepKey,
        /// Its resolved parameters.
        params: Payload,
        /// Its output.
        output: Payload,
    },
    /// The step is over and failed.
    StepFailed {
        /// Which step.
        step: StepKey,
        /// Why.
        fault: Fault,
        /// Who takes care of it.
        handling: Handling,
    },
    /// The step is not wanted.
    StepSkipped {
        /// Which step.
        step: StepKey,
        /// Why.
        reason: SkipReason,
    },
    /// The step waits, holding nothing but this record.
    StepWaiting {
        /// Which step.
        step: StepKey,
        /// Its resolved parameters.
        params: Payload,
        /// For what.
        wait: Wait,
    },
    /// The step was stopped with its execution.
    StepCancelled {
        /// Which step.
        step: StepKey,
    },
    /// An outcome arrived that no longer counts; kept so that the history explains an extra effect.
    OutcomeIgnored {
        /// Which step.
        step: StepKey,
        /// The attempt it speaks of.
        attempt: AttemptNumber,
        /// Why it does not count.
        reason: IgnoredReason,
    },
    /// Held: attempts in flight end and are recorded, none start.
    Paused {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// No longer held.
    Resumed {
        /// Who.
        by: String,
    },
    /// Run again: the named steps, and all that come after them, are pending as if new.
    Retried {
        /// Who.
        by: String,
        /// The steps that are reset, in order.
        steps: Vec<StepKey>,
        /// The new deadline of the execution, if its definition has a timeout.
        deadline: Option<Timestamp>,
    },
    /// Done.
    Completed {
        /// The workflow's `output`, if the definition has one.
        output: Option<Payload>,
    },
    /// Ended by a fault.
    Failed {
        /// The step it came from, if from one.
        step: Option<StepKey>,
        /// Why.
        fault: Fault,
    },
    /// Ended by a person.
    Cancelled {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

/// How an execution began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Whose it is.
    pub tenant: TenantId,
    /// The workflow, none for a definition submitted inline.
    pub workflow: Option<WorkflowId>,
    /// The version of the workflow, from 1; 0 for an inline definition.
    pub workflow_version: u32,
    /// The definition's name.
    pub workflow_name: String,
    /// The definition it keeps for life.
    pub spec: SpecHash,
    /// How many steps the definition has.
    pub steps: u16,
    /// Checked against the input schema.
    pub input: Payload,
    /// The definition's labels, overridden by the submission's.
    pub labels: BTreeMap<String, String>,
    /// 0 low to 9 high.
    pub priority: u8,
    /// Who submitted it.
    pub by: String,
    /// When it is given up.
    pub deadline: Option<Timestamp>,
}

/// What follows a failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AfterFailure {
    /// Another attempt, not before this time.
    Backoff {
        /// Not before.
        until: Timestamp,
    },
    /// No other attempt: `StepFailed` follows in the same batch.
    Exhausted,
    /// Nobody knows whether the effect happened; the step stops and asks.
    Uncertain,
}

/// Who takes care of a failed step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Handling {
    /// Nobody: the execution fails.
    Unhandled,
    /// `on_error: continue`: dependents go on as if it were done.
    Continue,
    /// `on_error: {goto}` or a `catch` step: this one starts, what lies between is skipped.
    Goto(StepIndex),
}

/// Why a step is not wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SkipReason {
    /// Its `when` is false.
    WhenFalse,
    /// A jump passed over it.
    Bypassed,
    /// It catches, and nothing it watches failed.
    NothingToCatch,
    /// A person said so.
    ByPerson,
}

/// What a waiting step waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wait {
    /// A time.
    Until(Timestamp),
}

/// Why an outcome does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IgnoredReason {
    /// Another attempt has begun, or this one was given up.
    Superseded,
    /// The execution had ended.
    Finished,
}
