//! Whose turn it is.
//!
//! A step moves by itself in three ways: its needs are met and it begins, its backoff is over and it
//! is tried again, its wait is over and it is done. [`advance`] looks at the steps a decision has
//! woken, in the definition's order, until none is left; then the execution may be complete.
//!
//! A decision that has become large stops there. What is ready is then owed at once, and the next decision
//! looks at every step.

use crate::definition::{Join, Spec, StepKind, StepSpec};
use crate::model::{
    Event, Execution, Fault, Millis, SkipReason, Status, Step, StepIndex, StepKey, StepStatus, Wait, codes,
    limits,
};

use crate::planted::{self, Bug};

use super::draft::{Draft, fits};
use super::{delay, failure, pure};

/// Lets everything happen that may happen now. Does nothing unless the execution is at work.
pub(super) fn advance(draft: &mut Draft<'_>) {
    if !at_work(&draft.execution) {
        return;
    }
    if complete_if_settled(draft) {
        return;
    }
    if draft.execution.deadline.is_some_and(|deadline| deadline <= draft.moment.at) {
        return failure::out_of_time(draft);
    }
    while !draft.is_full()
        && let Some(index) = draft.next()
    {
        if draft.execution.version >= limits::HISTORY_EVENTS_MAX {
            return failure::out_of_history(draft);
        }
        look_at(draft, index);
        if !at_work(&draft.execution) {
            return;
        }
    }
    if !draft.is_full() {
        complete_if_settled(draft);
    }
}

/// Whether the last decision stopped before everything that may happen now had happened.
pub(crate) fn is_halfway(execution: &Execution, spec: &Spec) -> bool {
    let ready = |key: StepKey, step: &Step| {
        step.status == StepStatus::Pending && turn(spec, execution, key.index) != Turn::Wait
    };
    execution.may_be_halfway()
        && (execution.steps.iter().all(|step| step.status.is_settled())
            || execution.keyed_steps().any(|(key, step)| ready(key, step)))
}

fn at_work(execution: &Execution) -> bool {
    match execution.status {
        Status::Pending | Status::Running => true,
        Status::Cancelled if planted::is(Bug::CancelledGoesOn) => true,
        Status::Paused
        | Status::Compensating
        | Status::Completed
        | Status::Failed
        | Status::Cancelled
        | Status::DeadLettered => false,
    }
}

/// Moves one step if it is its turn.
fn look_at(draft: &mut Draft<'_>, index: StepIndex) {
    let step = draft.step(index);
    let early = Millis(if planted::is(Bug::TimerEarly) { 5 } else { 0 });
    let due = step.due.is_some_and(|due| due <= draft.moment.at + early);
    match step.status {
        StepStatus::Pending => match turn(draft.spec, &draft.execution, index) {
            Turn::Wait => {}
            Turn::Begin => begin(draft, index),
            Turn::NothingToCatch => draft
                .push(Event::StepSkipped { step: StepKey::plain(index), reason: SkipReason::NothingToCatch }),
        },
        StepStatus::Backoff if due => start_attempt(draft, index),
        StepStatus::Waiting if due => end_wait(draft, index),
        StepStatus::Backoff
        | StepStatus::Waiting
        | StepStatus::Ready
        | StepStatus::Running
        | StepStatus::Completed
        | StepStatus::Failed
        | StepStatus::Skipped
        | StepStatus::Cancelled
        | StepStatus::Compensated
        | StepStatus::Uncertain => {}
    }
}

/// What becomes of a pending step when one looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Something has to settle first.
    Wait,
    /// Its needs are met.
    Begin,
    /// Its needs are met, and nothing it watches has failed.
    NothingToCatch,
}

/// Whether it is a pending step's turn: a jump has chosen it, or enough of its needs are done. One
/// that catches also waits until it is known whether there is anything to catch.
pub(crate) fn turn(spec: &Spec, execution: &Execution, index: StepIndex) -> Turn {
    let StepSpec { needs, catches, .. } = &spec.steps[index.usize()];
    let wanted = needs_wanted(spec, index);
    let step = |index: &StepIndex| &execution.steps[index.usize()];
    if step(&index).chosen {
        return Turn::Begin;
    }
    if needs.iter().filter(|need| is_done(step(need))).take(wanted).count() < wanted {
        return Turn::Wait;
    }
    let failed = |caught: &StepIndex| step(caught).status == StepStatus::Failed;
    match catches.as_slice() {
        [] => Turn::Begin,
        caught if caught.iter().any(failed) => Turn::Begin,
        caught if caught.iter().all(|caught| is_done(step(caught))) => Turn::NothingToCatch,
        _ => Turn::Wait,
    }
}

/// Whether dependents may go on as far as this step is concerned. Skipped counts, and so does a
/// failure that somebody took care of.
pub(crate) fn is_done(step: &Step) -> bool {
    match step.status {
        StepStatus::Completed | StepStatus::Skipped | StepStatus::Compensated => true,
        StepStatus::Failed => step.handled,
        StepStatus::Pending
        | StepStatus::Ready
        | StepStatus::Running
        | StepStatus::Waiting
        | StepStatus::Backoff
        | StepStatus::Cancelled
        | StepStatus::Uncertain => false,
    }
}

/// How many of its needs a step waits for.
pub(crate) fn needs_wanted(spec: &Spec, index: StepIndex) -> usize {
    let step = &spec.steps[index.usize()];
    match step.join {
        Join::All => step.needs.len(),
        Join::Any => step.needs.len().min(1),
        Join::AtLeast(number) => step.needs.len().min(usize::from(number)),
    }
}

/// The needs are met: the step is skipped, computed, put to sleep, or tried.
fn begin(draft: &mut Draft<'_>, index: StepIndex) {
    let wanted = draft.step_spec(index).when.as_ref().map_or(Ok(true), |when| when.truth(&draft.scope()));
    match wanted {
        Err(fault) => failure::fail_step(draft, index, fault),
        Ok(false) => {
            draft.push(Event::StepSkipped { step: StepKey::plain(index), reason: SkipReason::WhenFalse });
        }
        Ok(true) => match draft.step_spec(index).kind {
            StepKind::Pure(rule) => {
                let computed = draft.params(index).and_then(|params| {
                    let raw = pure::compute(rule, &params)?;
                    let output = draft.shaped(index, raw)?;
                    Ok(Event::StepCompleted { step: StepKey::plain(index), params, output })
                });
                push_or_fail(draft, index, computed);
            }
            StepKind::Delay => {
                let decided = delay_decided(draft, index);
                push_or_fail(draft, index, decided);
            }
            StepKind::Effect => start_attempt(draft, index),
        },
    }
}

fn push_or_fail(draft: &mut Draft<'_>, index: StepIndex, decided: Result<Event, Fault>) {
    match decided.and_then(|event| draft.admit(event)) {
        Ok(event) => draft.push(event),
        Err(fault) => failure::fail_step(draft, index, fault),
    }
}

fn delay_decided(draft: &Draft<'_>, index: StepIndex) -> Result<Event, Fault> {
    let step = StepKey::plain(index);
    let params = draft.params(index)?;
    let until = delay::until(&params, draft.moment.at)?;
    if until > draft.moment.at {
        return Ok(Event::StepWaiting { step, params, wait: Wait::Until(until) });
    }
    let output = draft.shaped(index, delay::output(until))?;
    Ok(Event::StepCompleted { step, params, output })
}

fn end_wait(draft: &mut Draft<'_>, index: StepIndex) {
    let step = draft.step(index);
    let until = step.due.expect("a waiting step knows until when");
    let params = step.params.clone().unwrap_or_default();
    let completed = draft.shaped(index, delay::output(until)).map(|output| Event::StepCompleted {
        step: StepKey::plain(index),
        params,
        output,
    });
    push_or_fail(draft, index, completed);
}

/// Lets the next attempt act on the world, once this fact is committed.
pub(super) fn start_attempt(draft: &mut Draft<'_>, index: StepIndex) {
    let step_deadline = draft.step_spec(index).timeout.map(|timeout| draft.moment.at + timeout);
    let deadline = [step_deadline, draft.execution.deadline].into_iter().flatten().min();
    let started = draft.params(index).map(|params| Event::AttemptStarted {
        step: StepKey::plain(index),
        attempt: draft.step(index).attempt + 1,
        params,
        deadline,
        epoch: draft.moment.epoch,
    });
    push_or_fail(draft, index, started);
}

/// Ends the execution if no step can move any more; true if it did.
fn complete_if_settled(draft: &mut Draft<'_>) -> bool {
    if !draft.execution.steps.iter().all(|step| step.status.is_settled()) {
        return false;
    }
    let output = match &draft.spec.output {
        None => Ok(None),
        Some(template) => template
            .resolve(&draft.scope())
            .and_then(|output| fits(output, "the workflow's output"))
            .map(Some),
    };
    draft.push(match output {
        Ok(output) => Event::Completed { output },
        Err(fault) => {
            assert_ne!(fault.code, codes::NODE_LOST, "a template is not lost with a node");
            Event::Failed { step: None, fault }
        }
    });
    true
}
