//! Why an execution is not further.
//!
//! The first question of everybody who looks at a quiet execution. The answer is derived from the same
//! state that decides, so it cannot be out of date, and it gives numbers: until when, since when, how
//! many of how many.
//!
//! Caveat: what only the floors above know (a queue without workers, a full node) is theirs to add.

use crate::decide::{is_done, needs_wanted};
use crate::definition::Spec;
use crate::model::{Execution, Millis, Status, Step, StepIndex, StepKey, StepStatus, Timestamp};

/// One reason why an execution waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// A stable word: `paused`, `attempt_running`, `backoff`, `delay`, `uncertain`, `needs` or
    /// `finished`.
    pub code: &'static str,
    /// The step it concerns, by id.
    pub step: Option<String>,
    /// For a person, with numbers.
    pub message: String,
    /// When it ends by itself, if known.
    pub until: Option<Timestamp>,
}

/// Why it is not further: what holds all of it first, then what each unsettled step waits for, in the
/// definition's order.
#[must_use]
pub fn explain(execution: &Execution, spec: &Spec, now: Timestamp) -> Vec<Reason> {
    if execution.status.is_finished() {
        let message = format!("the execution has ended: {}", execution.status);
        return vec![Reason { code: "finished", step: None, message, until: None }];
    }
    let steps =
        execution.keyed_steps().filter_map(|(key, step)| step_reason(execution, spec, key, step, now));
    paused(execution, now).into_iter().chain(steps).collect()
}

fn paused(execution: &Execution, now: Timestamp) -> Option<Reason> {
    let pause = execution.pause.as_ref()?;
    let why = if pause.reason.is_empty() { "no reason given" } else { &pause.reason };
    let message = format!(
        "paused by {} {} ago ({why}): attempts in flight end, none start until it is resumed",
        pause.by,
        spoken(now.since(pause.at))
    );
    Some(Reason { code: "paused", step: None, message, until: None })
}

fn step_reason(
    execution: &Execution,
    spec: &Spec,
    key: StepKey,
    step: &Step,
    now: Timestamp,
) -> Option<Reason> {
    let (code, message) = match step.status {
        StepStatus::Running => ("attempt_running", running(step, now)),
        StepStatus::Backoff => ("backoff", backoff(spec, key.index, step, now)),
        StepStatus::Waiting => ("delay", format!("sleeps for another {}", left(step, now))),
        StepStatus::Uncertain => ("uncertain", uncertain(step)),
        StepStatus::Pending => ("needs", needs(execution, spec, key.index)),
        StepStatus::Ready
        | StepStatus::Completed
        | StepStatus::Failed
        | StepStatus::Skipped
        | StepStatus::Cancelled
        | StepStatus::Compensated => return None,
    };
    let id = spec.steps.get(key.index.usize()).map(|step| step.id.to_string());
    Some(Reason { code, step: id, message, until: step.due })
}

fn running(step: &Step, now: Timestamp) -> String {
    let since = spoken(step.started_at.map_or(Millis(0), |at| now.since(at)));
    let limit = match step.due {
        Some(_) => format!("it is given up in {}", left(step, now)),
        None => "it has no timeout".to_owned(),
    };
    format!("attempt {} has been running for {since}; {limit}", step.attempt)
}

fn backoff(spec: &Spec, index: StepIndex, step: &Step, now: Timestamp) -> String {
    let attempts = spec.steps.get(index.usize()).map_or(1, |step| step.retry.attempts);
    let fault = step.fault.as_ref().map(ToString::to_string).unwrap_or_default();
    format!(
        "failed {} of {attempts} times, last with {fault}; the next attempt follows in {}",
        step.failures,
        left(step, now)
    )
}

fn uncertain(step: &Step) -> String {
    format!(
        "nobody knows whether attempt {} took effect, because its node was lost; look, then retry or cancel",
        step.attempt
    )
}

/// The needs of a pending step that are not done, so many by name.
fn needs(execution: &Execution, spec: &Spec, index: StepIndex) -> String {
    /// More names than this do not help.
    const NAMED_MAX: usize = 5;
    let Some(step) = spec.steps.get(index.usize()) else { return String::new() };
    let open = |need: &&StepIndex| !execution.steps.get(need.usize()).is_some_and(is_done);
    let open: Vec<&str> =
        step.needs.iter().filter(open).map(|need| spec.steps[need.usize()].id.as_str()).collect();
    if open.is_empty() {
        let held = if execution.status == Status::Paused { "the execution is paused" } else { "it is next" };
        return format!("its needs are met; {held}");
    }
    let more = match open.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "waits for {} of its {} needs, {} done; open: {}{more}",
        needs_wanted(spec, index),
        step.needs.len(),
        step.needs.len() - open.len(),
        open[..open.len().min(NAMED_MAX)].join(", ")
    )
}

/// What is left until the step's due time.
fn left(step: &Step, now: Timestamp) -> String {
    spoken(step.due.map_or(Millis(0), |due| due.since(now)))
}

/// A length of time as a person says it: the two largest units, as in `19m 48s`.
fn spoken(length: Millis) -> String {
    const UNITS: [(u64, &str); 5] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let Some(largest) = UNITS.iter().position(|(ms, _)| length.0 >= *ms) else { return "0ms".to_owned() };
    let mut rest = length.0;
    let mut parts = Vec::new();
    for (ms, unit) in UNITS.into_iter().skip(largest).take(2) {
        if rest >= ms {
            parts.push(format!("{}{unit}", rest / ms));
        }
        rest %= ms;
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_said_in_two_units() {
        let cases = [
            (0, "0ms"),
            (999, "999ms"),
            (1_500, "1s 500ms"),
            (90_000, "1m 30s"),
            (3_600_000, "1h"),
            (3_601_000, "1h"),
            (90_061_001, "1d 1h"),
        ];
        for (ms, said) in cases {
            assert_eq!(spoken(Millis(ms)), said);
        }
    }
}
