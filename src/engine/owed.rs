//! What the world owes an execution, derived from its state alone.
//!
//! There is no list of outstanding effects that could be lost or fall out of step: after a failover, a
//! restart or a lost wake-up the same question is asked of the same state and has the same answer.

use crate::decide::is_halfway;
use crate::definition::Spec;
use crate::model::{Effect, Execution, Payload, Status, StepStatus, Timestamp};

/// What to do, or go on doing, now: every attempt in flight in the definition's order, then at most one
/// timer, the earliest time at which [`crate::decide()`] has to look again. Nothing once it is finished.
/// The timer is [`Effect::AT_ONCE`] if the last decision stopped at its size. While paused only what runs already and the execution's deadline count.
#[must_use]
pub fn owed(execution: &Execution, spec: &Spec) -> Vec<Effect> {
    if execution.version == 0 || execution.status.is_finished() {
        return Vec::new();
    }
    let mut effects = Vec::new();
    let mut due = execution.deadline;
    for ((key, step), step_spec) in execution.keyed_steps().zip(&spec.steps) {
        match step.status {
            StepStatus::Running => effects.push(Effect::Attempt {
                step: key,
                attempt: step.attempt,
                runner: step_spec.runner.clone(),
                action: step_spec.action.clone(),
                params: step.params.clone().unwrap_or_else(Payload::null),
                deadline: step.due,
            }),
            StepStatus::Backoff | StepStatus::Waiting if execution.status != Status::Paused => {
                due = earliest(due, step.due);
            }
            StepStatus::Backoff
            | StepStatus::Waiting
            | StepStatus::Pending
            | StepStatus::Ready
            | StepStatus::Completed
            | StepStatus::Failed
            | StepStatus::Skipped
            | StepStatus::Cancelled
            | StepStatus::Compensated
            | StepStatus::Uncertain => {}
        }
    }
    if is_halfway(execution, spec) {
        due = Some(Effect::AT_ONCE);
    }
    effects.extend(due.map(|due| Effect::Timer { due }));
    effects
}

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
