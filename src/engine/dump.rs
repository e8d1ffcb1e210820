//! Facts, states and effects as lines for people: golden scripts, traces, failing tests.
//!
//! ```text
//! step e1/charge Running#1 ⇨ Backoff until=1s (http_503: busy)
//! owed e1: timer 1s
//! ```
//!
//! Times are shown from an origin, so that a script reads `1s` and not a date. The format serves
//! readers, not programs, and may change at any time.

use std::fmt::Write as _;

use crate::definition::Spec;
use crate::model::{
    AfterFailure, Effect, Event, Execution, Handling, IgnoredReason, Payload, Recorded, SkipReason, Step,
    StepKey, StepStatus, Timestamp, Wait,
};

/// How names and times are shown.
#[derive(Debug, Clone, Copy)]
pub struct Dump<'a> {
    /// What the execution is called.
    pub name: &'a str,
    /// Its definition, for the names of steps.
    pub spec: &'a Spec,
    /// Time zero.
    pub origin: Timestamp,
}

impl Dump<'_> {
    /// One fact as a transition, given the state before it. One line, without its end.
    #[must_use]
    pub fn fact(&self, before: &Execution, recorded: &Recorded) -> String {
        let name = self.name;
        match &recorded.event {
            Event::Created(created) => {
                let mut line = format!("execution {name} created");
                let _ = write!(line, "{}", some("input", &created.input));
                for (label, value) in &created.labels {
                    let _ = write!(line, " {label}={value}");
                }
                line + &self.time("deadline", created.deadline)
            }
            Event::Paused { by, reason } => format!("execution {name} ⇨ Paused by {by}{}", why(reason)),
            Event::Resumed { by } => format!("execution {name} ⇨ Running, resumed by {by}"),
            Event::Retried { by, steps, deadline } => {
                let steps: Vec<&str> = steps.iter().map(|key| self.step_id(*key)).collect();
                let steps = if steps.is_empty() { "no step".to_owned() } else { steps.join(", ") };
                let deadline = self.time("deadline", *deadline);
                format!("execution {name} ⇨ Running, retried by {by}: {steps}{deadline}")
            }
            Event::Completed { output } => {
                let output = output.as_ref().map(|output| some("output", output)).unwrap_or_default();
                format!("execution {name} ⇨ Completed{output}")
            }
            Event::Failed { step, fault } => {
                let at = step.map(|key| format!(" at {}", self.step_id(key))).unwrap_or_default();
                format!("execution {name} ⇨ Failed{at} ({fault})")
            }
            Event::Cancelled { by, reason } => format!("execution {name} ⇨ Cancelled by {by}{}", why(reason)),
            Event::AttemptStarted { step, .. }
            | Event::AttemptCompleted { step, .. }
            | Event::AttemptFailed { step, .. }
            | Event::StepCompleted { step, .. }
            | Event::StepFailed { step, .. }
            | Event::StepSkipped { step, .. }
            | Event::StepWaiting { step, .. }
            | Event::StepCancelled { step }
            | Event::OutcomeIgnored { step, .. } => {
                let from = before.step(*step).map(state).unwrap_or_default();
                format!("step {name}/{}{from}{}", self.step_id(*step), self.step_fact(&recorded.event))
            }
        }
    }

    fn step_fact(&self, event: &Event) -> String {
        match event {
            Event::AttemptStarted { attempt, params, deadline, .. } => {
                let params = some("params", params);
                format!(" ⇨ Running#{attempt}{params}{}", self.time("deadline", *deadline))
            }
            Event::AttemptCompleted { output, .. } => format!(" ⇨ Completed{}", some("output", output)),
            Event::StepCompleted { output, .. } => {
                format!(" ⇨ Completed{}", some("output", output))
            }
            Event::AttemptFailed { fault, next, .. } => match next {
                AfterFailure::Backoff { until } => {
                    format!(" ⇨ Backoff{} ({fault})", self.time("until", Some(*until)))
                }
                AfterFailure::Exhausted => format!(" failed for good ({fault})"),
                AfterFailure::Uncertain => format!(" ⇨ Uncertain ({fault})"),
            },
            Event::StepFailed { fault, handling, .. } => match handling {
                Handling::Unhandled => format!(" ⇨ Failed ({fault})"),
                Handling::Continue => format!(" ⇨ Failed, continue ({fault})"),
                Handling::Goto(target) => {
                    format!(" ⇨ Failed, goto {} ({fault})", self.step_id(StepKey::plain(*target)))
                }
            },
            Event::StepSkipped { reason, .. } => match reason {
                SkipReason::WhenFalse => " ⇨ Skipped: its `when` is false".to_owned(),
                SkipReason::Bypassed => " ⇨ Skipped: a jump passed over it".to_owned(),
                SkipReason::NothingToCatch => " ⇨ Skipped: nothing to catch".to_owned(),
                SkipReason::ByPerson => " ⇨ Skipped by a person".to_owned(),
            },
            Event::StepWaiting { wait: Wait::Until(until), .. } => {
                format!(" ⇨ Waiting{}", self.time("until", Some(*until)))
            }
            Event::StepCancelled { .. } => " ⇨ Cancelled".to_owned(),
            Event::OutcomeIgnored { attempt, reason, .. } => match reason {
                IgnoredReason::Superseded => format!(": outcome of #{attempt} ignored, it no longer counts"),
                IgnoredReason::Finished => {
                    format!(": outcome of #{attempt} ignored, the execution has ended")
                }
            },
            Event::Created(_)
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::Retried { .. }
            | Event::Completed { .. }
            | Event::Failed { .. }
            | Event::Cancelled { .. } => String::new(),
        }
    }

    /// What is owed, in one line without its end.
    #[must_use]
    pub fn owed(&self, effects: &[Effect]) -> String {
        let effects: Vec<String> = effects
            .iter()
            .map(|effect| match effect {
                Effect::Attempt { step, attempt, .. } => {
                    format!("attempt {}#{attempt}", self.step_id(*step))
                }
                Effect::Timer { due } if *due == Effect::AT_ONCE => "to go on at once".to_owned(),
                Effect::Timer { due } => format!("timer {}", due.since(self.origin)),
            })
            .collect();
        let effects = if effects.is_empty() { "nothing".to_owned() } else { effects.join(", ") };
        format!("owed {}: {effects}", self.name)
    }

    /// The whole state: a line for the execution and one for each step.
    #[must_use]
    pub fn state(&self, execution: &Execution) -> String {
        let mut text = format!("execution {} {:?}", self.name, execution.status);
        if let Some(fault) = &execution.fault {
            let _ = write!(text, " ({fault})");
        }
        if let Some(output) = &execution.output {
            let _ = write!(text, "{}", some("output", output));
        }
        for (key, step) in execution.keyed_steps() {
            let _ = write!(text, "\nstep {}/{}{}", self.name, self.step_id(key), state(step));
            text += &self.time("until", step.due);
            if let Some(output) = &step.output {
                text += &some("output", output);
            }
            if let Some(fault) = &step.fault {
                let _ = write!(text, " ({fault})");
            }
        }
        text
    }

    fn step_id(&self, key: StepKey) -> &str {
        self.spec.steps.get(key.index.usize()).map_or("?", |step| step.id.as_str())
    }

    fn time(&self, label: &str, at: Option<Timestamp>) -> String {
        at.map(|at| format!(" {label}={}", at.since(self.origin))).unwrap_or_default()
    }
}

/// A step's status, with the number of the attempt where there is one in play. Between an attempt's
/// last failure and the step's own there is nothing to say.
fn state(step: &Step) -> String {
    match step.status {
        StepStatus::Running | StepStatus::Uncertain => format!(" {:?}#{}", step.status, step.attempt),
        StepStatus::Ready => String::new(),
        StepStatus::Pending
        | StepStatus::Waiting
        | StepStatus::Backoff
        | StepStatus::Completed
        | StepStatus::Failed
        | StepStatus::Skipped
        | StepStatus::Cancelled
        | StepStatus::Compensated => format!(" {:?}", step.status),
    }
}

/// A document with a label, unless it says nothing. One that nobody would read to its end is cut.
fn some(label: &str, payload: &Payload) -> String {
    /// Bytes of a document that are shown at most.
    const SHOWN_MAX: usize = 1_000;
    match payload.as_str() {
        "null" | "{}" => String::new(),
        text if text.len() > SHOWN_MAX => {
            let begin: String = text.chars().take(20).collect();
            format!(" {label}={begin}… ({} bytes)", text.len())
        }
        text => format!(" {label}={text}"),
    }
}

fn why(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}
