//! An attempt is over.
//!
//! Only the attempt in flight counts, and only under the leadership that started it: any other outcome
//! is recorded as ignored, so that the history explains an effect that happened once too often.

use crate::definition::{OnLost, Spec};
use crate::model::{
    AfterFailure, AttemptNumber, Event, Execution, Fault, IgnoredReason, Moment, Payload, Rejection, Step,
    StepIndex, StepKey, StepStatus, codes,
};

use crate::planted::{self, Bug};

use super::advance::advance;
use super::draft::Draft;
use super::{failure, retry};

/// A runner has answered.
pub(super) fn finished(
    execution: &Execution,
    spec: &Spec,
    (key, attempt): (StepKey, AttemptNumber),
    outcome: Result<Payload, Fault>,
    moment: Moment,
) -> Result<Vec<Event>, Rejection> {
    let unknown = Rejection::AttemptNotFound { step: key, attempt };
    let step = execution.step(key).ok_or(unknown.clone())?;
    if attempt == 0 || attempt > step.attempt {
        return Err(unknown);
    }
    let mut draft = Draft::new(execution, spec, moment);
    let mine = (step.attempt == attempt && step.epoch == moment.epoch) || planted::is(Bug::StaleOutcomeTaken);
    let live = step.status == StepStatus::Running && mine;
    if live {
        assert!(!execution.status.is_finished(), "a finished execution has nothing in flight");
        match outcome {
            Ok(raw) => succeeded(&mut draft, key, raw),
            Err(fault) => {
                let fault = draft.admit_fault(key.index, fault);
                failed(&mut draft, key, fault);
            }
        }
        advance(&mut draft);
        return Ok(draft.into_events());
    }
    let heard_before = attempt <= step.ignored;
    let recorded_before = step.status == StepStatus::Completed && step.attempt == attempt;
    if !heard_before && !recorded_before {
        let reason = match execution.status.is_finished() {
            true => IgnoredReason::Finished,
            false => IgnoredReason::Superseded,
        };
        draft.push(Event::OutcomeIgnored { step: key, attempt, reason });
    }
    Ok(draft.into_events())
}

fn succeeded(draft: &mut Draft<'_>, key: StepKey, raw: Payload) {
    let attempt = draft.step(key.index).attempt;
    let completed = draft
        .shaped(key.index, raw)
        .and_then(|output| draft.admit(Event::AttemptCompleted { step: key, attempt, output }));
    match completed {
        Ok(event) => draft.push(event),
        // The effect has happened; doing it again would not make its answer fit.
        Err(fault) => exhausted(draft, key, fault),
    }
}

/// The attempt in flight failed: another one follows, or the step fails.
fn failed(draft: &mut Draft<'_>, key: StepKey, fault: Fault) {
    let step = draft.step(key.index);
    let attempt = step.attempt;
    let failures = step.failures + 1;
    let policy = &draft.step_spec(key.index).retry;
    if !retry::allows(policy, &fault, failures) {
        return exhausted(draft, key, fault);
    }
    let wait = retry::wait(policy, failures, retry::draw(draft.execution.id, key, attempt));
    let next = AfterFailure::Backoff { until: draft.moment.at + wait };
    draft.push(Event::AttemptFailed { step: key, attempt, fault, next });
}

fn exhausted(draft: &mut Draft<'_>, key: StepKey, fault: Fault) {
    let attempt = draft.step(key.index).attempt;
    let next = AfterFailure::Exhausted;
    draft.push(Event::AttemptFailed { step: key, attempt, fault: fault.clone(), next });
    failure::fail_step(draft, key.index, fault);
}

/// The deadline of the attempt in flight has passed and nobody has said so.
pub(super) fn timed_out(draft: &mut Draft<'_>, index: StepIndex) {
    let message = match draft.step_spec(index).timeout {
        Some(timeout) => format!("the attempt did not end within {timeout}"),
        None => "the attempt did not end before its execution's deadline".to_owned(),
    };
    failed(draft, StepKey::plain(index), Fault::retryable(codes::TIMEOUT, message));
}

/// The actor that watched over this attempt is gone: if it is still the one in flight, it is lost.
pub(super) fn orphaned(mut draft: Draft<'_>, key: StepKey, attempt: AttemptNumber) -> Vec<Event> {
    let in_flight = |step: &Step| step.status == StepStatus::Running && step.attempt == attempt;
    if draft.execution.step(key).is_some_and(in_flight) {
        lost(&mut draft, key.index);
        advance(&mut draft);
    }
    draft.into_events()
}

/// The attempt in flight was started by an older leadership: nobody will ever hear how it ended.
pub(super) fn lost(draft: &mut Draft<'_>, index: StepIndex) {
    let message = "the node died or lost its leadership between the attempt's start and its outcome";
    let next = match draft.step_spec(index).on_lost {
        OnLost::Retry => AfterFailure::Backoff { until: draft.moment.at },
        OnLost::Uncertain if planted::is(Bug::LostIgnored) => {
            AfterFailure::Backoff { until: draft.moment.at }
        }
        OnLost::Uncertain => AfterFailure::Uncertain,
    };
    draft.push(Event::AttemptFailed {
        step: StepKey::plain(index),
        attempt: draft.step(index).attempt,
        fault: Fault::retryable(codes::NODE_LOST, message),
        next,
    });
}
