//! What a person asks of an execution.

use crate::definition::Spec;
use crate::model::{Action, Event, Execution, Moment, Rejection, RetryFrom, Status, StepStatus, limits};

use crate::planted::{self, Bug};

use super::advance::advance;
use super::draft::Draft;
use super::failure;

/// Ends it. Nothing starts after this fact, except by a retry.
pub(super) fn cancel(
    execution: &Execution,
    spec: &Spec,
    by: String,
    reason: String,
    moment: Moment,
) -> Result<Vec<Event>, Rejection> {
    check(execution, Action::Cancel, &by, &reason)?;
    let mut draft = Draft::new(execution, spec, moment);
    failure::cancel_in_flight(&mut draft);
    draft.push(Event::Cancelled { by, reason });
    if planted::is(Bug::CancelledGoesOn) {
        draft.wake_all();
        advance(&mut draft);
    }
    Ok(draft.into_events())
}

/// Holds it: attempts in flight end and are recorded, none start, and its status changes only by a
/// resume, a cancel or its deadline.
pub(super) fn pause(
    execution: &Execution,
    spec: &Spec,
    by: String,
    reason: String,
    moment: Moment,
) -> Result<Vec<Event>, Rejection> {
    check(execution, Action::Pause, &by, &reason)?;
    let mut draft = Draft::new(execution, spec, moment);
    draft.push(Event::Paused { by, reason });
    Ok(draft.into_events())
}

/// Lets a held one go on, with everything that became due meanwhile.
pub(super) fn resume(
    execution: &Execution,
    spec: &Spec,
    by: String,
    moment: Moment,
) -> Result<Vec<Event>, Rejection> {
    check(execution, Action::Resume, &by, "")?;
    let mut draft = Draft::new(execution, spec, moment);
    draft.push(Event::Resumed { by });
    let unhandled = draft.keys_where(|step| step.status == StepStatus::Failed && !step.handled);
    match unhandled.first() {
        Some(key) => {
            let fault = draft.step(key.index).fault.clone().expect("a failed step has its fault");
            failure::fail_execution(&mut draft, Some(*key), fault);
        }
        None => advance(&mut draft),
    }
    Ok(draft.into_events())
}

/// Runs it again, whole or from where it stopped. A failure that was handled stays as it is: what
/// took care of it has run, and to run the step after all would contradict it.
pub(super) fn retry(
    execution: &Execution,
    spec: &Spec,
    by: String,
    from: RetryFrom,
    moment: Moment,
) -> Result<Vec<Event>, Rejection> {
    check_name("the caller's name", &by)?;
    let finished = execution.status.is_finished();
    let lawful = match from {
        RetryFrom::Start => finished,
        RetryFrom::Failed => finished || execution.status == Status::Running,
    };
    if !lawful {
        return Err(Rejection::NotAllowed { action: Action::Retry, status: execution.status });
    }
    if execution.version >= limits::HISTORY_EVENTS_MAX {
        let limit = format!("{} events", limits::HISTORY_EVENTS_MAX);
        return Err(Rejection::Limit { what: "the history".into(), limit });
    }
    let mut draft = Draft::new(execution, spec, moment);
    let steps = match from {
        RetryFrom::Start => draft.keys_where(|_| true),
        RetryFrom::Failed => draft.keys_where(|step| match step.status {
            StepStatus::Cancelled | StepStatus::Uncertain => true,
            StepStatus::Failed => !step.handled,
            StepStatus::Pending
            | StepStatus::Ready
            | StepStatus::Running
            | StepStatus::Waiting
            | StepStatus::Backoff
            | StepStatus::Completed
            | StepStatus::Skipped
            | StepStatus::Compensated => false,
        }),
    };
    match (steps.is_empty(), execution.status) {
        (false, _) => {}
        // An execution may fail by its `output` alone; that alone is then tried again.
        (true, Status::Failed) => {}
        (true, Status::Running) => {
            return Err(Rejection::NotAllowed { action: Action::Retry, status: execution.status });
        }
        (true, _) => return Err(Rejection::NothingToRetry),
    }
    let deadline = match finished {
        true => spec.timeout.map(|timeout| moment.at + timeout),
        false => execution.deadline,
    };
    draft.push(Event::Retried { by, steps, deadline });
    advance(&mut draft);
    Ok(draft.into_events())
}

fn check(execution: &Execution, action: Action, by: &str, reason: &str) -> Result<(), Rejection> {
    if !execution.status.allowed_actions().contains(&action) {
        return Err(Rejection::NotAllowed { action, status: execution.status });
    }
    check_name("the caller's name", by)?;
    check_name("the reason", reason)
}

/// Checks a name or a reason given by a person.
pub(super) fn check_name(what: &str, text: &str) -> Result<(), Rejection> {
    if text.len() > limits::NAME_BYTES_MAX {
        let limit = format!("{} bytes", limits::NAME_BYTES_MAX);
        return Err(Rejection::Limit { what: what.to_owned(), limit });
    }
    Ok(())
}
