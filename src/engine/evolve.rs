//! Folding facts into state.
//!
//! [`evolve()`] is the only thing that changes an [`Execution`]: live, in a replica, in a replay. It
//! computes nothing that `decide` could have written into the fact, so a history means the same to
//! every later version of this code.
//!
//! It is total. A fact that speaks of a step the execution does not have changes nothing but the
//! version: facts come from a log that was checked by checksum, and a replica that stopped on one
//! would take its whole partition down.

use crate::model::{
    AfterFailure, Created, Event, Execution, Fault, Handling, Pause, Recorded, Status, Step, StepKey,
    StepStatus, Timestamp, Wait, codes,
};

/// Folds one recorded fact into the state it adds to. Never fails.
pub fn evolve(execution: &mut Execution, recorded: &Recorded) {
    let at = recorded.at;
    execution.version = execution.version.saturating_add(1);
    match &recorded.event {
        Event::Created(created) => born(execution, created, at),
        Event::AttemptStarted { .. }
        | Event::AttemptCompleted { .. }
        | Event::AttemptFailed { .. }
        | Event::OutcomeIgnored { .. } => attempt_moved(execution, &recorded.event, at),
        Event::StepCompleted { .. }
        | Event::StepFailed { .. }
        | Event::StepSkipped { .. }
        | Event::StepWaiting { .. }
        | Event::StepCancelled { .. } => step_moved(execution, &recorded.event, at),
        Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::Retried { .. }
        | Event::Completed { .. }
        | Event::Failed { .. }
        | Event::Cancelled { .. } => execution_moved(execution, &recorded.event, at),
    }
}

fn born(execution: &mut Execution, created: &Created, at: Timestamp) {
    execution.tenant = created.tenant.clone();
    execution.workflow = created.workflow;
    execution.workflow_version = created.workflow_version;
    execution.workflow_name.clone_from(&created.workflow_name);
    execution.spec = created.spec;
    execution.status = Status::Pending;
    execution.input = created.input.clone();
    execution.labels.clone_from(&created.labels);
    execution.priority = created.priority;
    execution.by.clone_from(&created.by);
    execution.created_at = at;
    execution.deadline = created.deadline;
    execution.steps = vec![Step::PENDING; usize::from(created.steps)];
}

/// A step is about to change: its execution is at work.
fn touch(execution: &mut Execution, key: StepKey, at: Timestamp) -> Option<&mut Step> {
    if execution.status == Status::Pending {
        execution.status = Status::Running;
    }
    execution.started_at.get_or_insert(at);
    execution.steps.get_mut(key.index.usize()).filter(|_| key.lane == 0)
}

fn attempt_moved(execution: &mut Execution, event: &Event, at: Timestamp) {
    match event {
        Event::AttemptStarted { step, attempt, params, deadline, epoch } => {
            let Some(step) = touch(execution, *step, at) else { return };
            step.status = StepStatus::Running;
            step.attempt = *attempt;
            step.started_at = Some(at);
            step.finished_at = None;
            step.params = Some(params.clone());
            step.due = *deadline;
            step.epoch = *epoch;
        }
        Event::AttemptCompleted { step, attempt: _, output } => {
            let Some(step) = touch(execution, *step, at) else { return };
            settle(step, StepStatus::Completed, at);
            step.output = Some(output.clone());
            step.fault = None;
        }
        Event::AttemptFailed { step, attempt: _, fault, next } => {
            let Some(step) = touch(execution, *step, at) else { return };
            // An attempt lost with its node says nothing about the step, so the policy does not count it.
            if fault.code != codes::NODE_LOST {
                step.failures = step.failures.saturating_add(1);
            }
            step.fault = Some(fault.clone());
            (step.status, step.due) = match next {
                AfterFailure::Backoff { until } => (StepStatus::Backoff, Some(*until)),
                // `StepFailed` follows and settles the step; until then it has nothing in flight.
                AfterFailure::Exhausted => (StepStatus::Ready, None),
                AfterFailure::Uncertain => (StepStatus::Uncertain, None),
            };
        }
        Event::OutcomeIgnored { step, attempt, reason: _ } => {
            // Looking at it must not wake an execution that has not begun: no `touch`.
            let Some(step) = execution.steps.get_mut(step.index.usize()).filter(|_| step.lane == 0) else {
                return;
            };
            step.ignored = step.ignored.max(*attempt);
        }
        Event::Created(_)
        | Event::StepCompleted { .. }
        | Event::StepFailed { .. }
        | Event::StepSkipped { .. }
        | Event::StepWaiting { .. }
        | Event::StepCancelled { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::Retried { .. }
        | Event::Completed { .. }
        | Event::Failed { .. }
        | Event::Cancelled { .. } => {}
    }
}

fn step_moved(execution: &mut Execution, event: &Event, at: Timestamp) {
    match event {
        Event::StepCompleted { step, params, output } => {
            let Some(step) = touch(execution, *step, at) else { return };
            step.started_at.get_or_insert(at);
            settle(step, StepStatus::Completed, at);
            step.params = Some(params.clone());
            step.output = Some(output.clone());
            step.fault = None;
        }
        Event::StepFailed { step: key, fault, handling } => {
            let Some(step) = touch(execution, *key, at) else { return };
            settle(step, StepStatus::Failed, at);
            step.fault = Some(fault.clone());
            step.handled = match handling {
                Handling::Unhandled => false,
                Handling::Continue | Handling::Goto(_) => true,
            };
            if let Handling::Goto(target) = handling
                && let Some(target) = execution.steps.get_mut(target.usize())
            {
                target.chosen = true;
            }
        }
        Event::StepSkipped { step, reason } => {
            let Some(step) = touch(execution, *step, at) else { return };
            settle(step, StepStatus::Skipped, at);
            step.skipped = Some(*reason);
        }
        Event::StepWaiting { step, params, wait: Wait::Until(until) } => {
            let Some(step) = touch(execution, *step, at) else { return };
            step.status = StepStatus::Waiting;
            step.started_at = Some(at);
            step.params = Some(params.clone());
            step.due = Some(*until);
        }
        Event::StepCancelled { step } => {
            let Some(step) = touch(execution, *step, at) else { return };
            settle(step, StepStatus::Cancelled, at);
        }
        Event::Created(_)
        | Event::AttemptStarted { .. }
        | Event::AttemptCompleted { .. }
        | Event::AttemptFailed { .. }
        | Event::OutcomeIgnored { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::Retried { .. }
        | Event::Completed { .. }
        | Event::Failed { .. }
        | Event::Cancelled { .. } => {}
    }
}

fn settle(step: &mut Step, status: StepStatus, at: Timestamp) {
    step.status = status;
    step.finished_at = Some(at);
    step.due = None;
}

fn execution_moved(execution: &mut Execution, event: &Event, at: Timestamp) {
    match event {
        Event::Paused { by, reason } => {
            execution.status = Status::Paused;
            execution.pause = Some(Pause { by: by.clone(), reason: reason.clone(), at });
        }
        Event::Resumed { by: _ } => {
            execution.status = Status::Running;
            execution.pause = None;
        }
        Event::Retried { by: _, steps, deadline } => retried(execution, steps, *deadline),
        Event::Completed { output } => {
            end(execution, Status::Completed, at);
            execution.output.clone_from(output);
        }
        Event::Failed { step, fault } => {
            end(execution, Status::Failed, at);
            execution.fault = Some(fault.clone());
            execution.fault_step = *step;
        }
        Event::Cancelled { by, reason } => {
            end(execution, Status::Cancelled, at);
            let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            execution.fault = Some(Fault::fatal(codes::CANCELLED, format!("cancelled by {by}{why}")));
        }
        Event::Created(_)
        | Event::AttemptStarted { .. }
        | Event::AttemptCompleted { .. }
        | Event::AttemptFailed { .. }
        | Event::StepCompleted { .. }
        | Event::StepFailed { .. }
        | Event::StepSkipped { .. }
        | Event::StepWaiting { .. }
        | Event::StepCancelled { .. }
        | Event::OutcomeIgnored { .. } => {}
    }
}

/// Nothing will move any more: what had not begun is cancelled with its execution. Only what was in
/// flight has a fact of its own.
fn end(execution: &mut Execution, status: Status, at: Timestamp) {
    execution.status = status;
    execution.pause = None;
    execution.finished_at = Some(at);
    for step in execution.steps.iter_mut().filter(|step| !step.status.is_settled()) {
        settle(step, StepStatus::Cancelled, at);
    }
}

fn retried(execution: &mut Execution, steps: &[StepKey], deadline: Option<Timestamp>) {
    // A step that a jump chose stays chosen as long as the failure that made the jump stands, and a
    // handled failure stands unless everything runs again.
    let from_start = steps.len() >= execution.steps.len();
    for key in steps {
        let Some(step) = execution.steps.get_mut(key.index.usize()).filter(|_| key.lane == 0) else {
            continue;
        };
        *step = Step {
            attempt: step.attempt,
            ignored: step.ignored,
            chosen: step.chosen && !from_start,
            ..Step::PENDING
        };
    }
    execution.status = Status::Running;
    execution.finished_at = None;
    execution.output = None;
    execution.fault = None;
    execution.fault_step = None;
    execution.pause = None;
    execution.deadline = deadline;
    execution.retries = execution.retries.saturating_add(1);
}
