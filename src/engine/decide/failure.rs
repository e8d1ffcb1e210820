//! What a failure means for the steps around it.

use crate::definition::{OnError, OnTimeout};
use crate::model::{
    Event, Fault, Handling, SkipReason, Status, StepIndex, StepKey, StepStatus, codes, limits,
};

use super::draft::Draft;

/// The step is over and failed. Somebody takes care of it, or the execution fails with it.
pub(super) fn fail_step(draft: &mut Draft<'_>, index: StepIndex, fault: Fault) {
    let step = StepKey::plain(index);
    let handling = handling(draft, index, &fault);
    draft.push(Event::StepFailed { step, fault: fault.clone(), handling: handling.clone() });
    match handling {
        Handling::Continue => {}
        Handling::Goto(target) => bypass(draft, index, target),
        // A paused execution is held where it stands; resuming it finds the failure.
        Handling::Unhandled if draft.execution.status == Status::Paused => {}
        Handling::Unhandled => fail_execution(draft, Some(step), fault),
    }
}

fn handling(draft: &Draft<'_>, index: StepIndex, fault: &Fault) -> Handling {
    let spec = draft.step_spec(index);
    match (spec.on_error, spec.on_timeout) {
        (_, OnTimeout::Continue) if fault.code == codes::TIMEOUT => Handling::Continue,
        // Another jump has passed over the target, and what comes after it may have begun. A failure
        // that nobody can take care of any more has to be seen.
        (OnError::Goto(target), _) if draft.step(target).skipped == Some(SkipReason::Bypassed) => {
            Handling::Unhandled
        }
        (OnError::Goto(target), _) => Handling::Goto(target),
        (OnError::Continue, _) => Handling::Continue,
        (OnError::Fail, _) => Handling::Unhandled,
    }
}

/// A jump from a failed step skips what would have come after it, but not the target and what comes
/// after that. Nor a step that catches: it stands by for others, and skips itself when there is nothing
/// left to catch.
fn bypass(draft: &mut Draft<'_>, failed: StepIndex, target: StepIndex) {
    let mut passed = draft.descendants(failed);
    let kept = draft.descendants(target);
    passed.retain(|step| {
        let wanted = *step == target || kept.contains(step);
        let stands_by = !draft.step_spec(*step).catches.is_empty();
        !wanted && !stands_by && draft.step(*step).status == StepStatus::Pending
    });
    for step in passed {
        draft.push(Event::StepSkipped { step: StepKey::plain(step), reason: SkipReason::Bypassed });
    }
}

/// Ends the execution by a fault; what is in flight is stopped with it.
pub(super) fn fail_execution(draft: &mut Draft<'_>, step: Option<StepKey>, fault: Fault) {
    cancel_in_flight(draft);
    draft.push(Event::Failed { step, fault });
}

/// Stops every step that has something under way.
pub(super) fn cancel_in_flight(draft: &mut Draft<'_>) {
    for step in draft.keys_where(|step| step.status.is_in_flight()) {
        draft.push(Event::StepCancelled { step });
    }
}

/// The execution's own deadline has passed.
pub(super) fn out_of_time(draft: &mut Draft<'_>) {
    let message = match draft.spec.timeout {
        Some(timeout) => format!("the execution did not end within {timeout}"),
        None => "the execution did not end within its time".to_owned(),
    };
    fail_execution(draft, None, Fault::fatal(codes::TIMEOUT, message));
}

/// The history is as long as one may be. Nothing else starts; the facts that say so pass the limit, by
/// no more than one for each step in flight and one for the end.
pub(super) fn out_of_history(draft: &mut Draft<'_>) {
    let message = format!("the history has reached its limit of {} events", limits::HISTORY_EVENTS_MAX);
    fail_execution(draft, None, Fault::fatal(codes::LIMIT, message));
}
