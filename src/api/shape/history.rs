//! The events of a history, as their readers see them.

use crate::engine::definition::Spec;
use crate::engine::model::{
    AfterFailure, Created, Event, Handling, IgnoredReason, Payload, Recorded, SkipReason, StepIndex, StepKey,
    Version, Wait,
};

use super::execution::{step_id, write_fault};
use super::write::{Object, write_text};

/// The word for an event.
pub(in crate::api) const fn event_type(event: &Event) -> &'static str {
    match event {
        Event::Created(_) => "created",
        Event::AttemptStarted { .. } => "attempt_started",
        Event::AttemptCompleted { .. } => "attempt_completed",
        Event::AttemptFailed { .. } => "attempt_failed",
        Event::StepCompleted { .. } => "step_completed",
        Event::StepFailed { .. } => "step_failed",
        Event::StepSkipped { .. } => "step_skipped",
        Event::StepWaiting { .. } => "step_waiting",
        Event::StepCancelled { .. } => "step_cancelled",
        Event::OutcomeIgnored { .. } => "outcome_ignored",
        Event::Paused { .. } => "paused",
        Event::Resumed { .. } => "resumed",
        Event::Retried { .. } => "retried",
        Event::Completed { .. } => "completed",
        Event::Failed { .. } => "failed",
        Event::Cancelled { .. } => "cancelled",
    }
}

/// Writes one event: `version`, `type`, `at`, and what belongs to the type.
pub(in crate::api) fn write_event(out: &mut Vec<u8>, version: Version, recorded: &Recorded, spec: &Spec) {
    let mut object = Object::new(out);
    object.number("version", version);
    object.text("type", event_type(&recorded.event));
    object.shown("at", recorded.at);
    write_body(&mut object, &recorded.event, spec);
    object.end();
}

fn write_body(object: &mut Object<'_>, event: &Event, spec: &Spec) {
    match event {
        Event::Created(created) => write_created(object, created),
        Event::AttemptStarted { step, attempt, params, deadline, epoch } => {
            write_attempt(object, spec, *step, *attempt);
            object.payload("params", Some(params));
            object.time("deadline", *deadline);
            object.number("epoch", epoch.0);
        }
        Event::AttemptCompleted { step, attempt, output } => {
            write_attempt(object, spec, *step, *attempt);
            object.payload("output", Some(output));
        }
        Event::AttemptFailed { step, attempt, fault, next } => {
            write_attempt(object, spec, *step, *attempt);
            write_fault(object.key("error"), fault, Some(&step_id(spec, *step)), Some(*attempt));
            write_next(object, next);
        }
        Event::StepCompleted { step, params, output } => {
            write_step(object, spec, *step);
            object.payload("params", Some(params));
            object.payload("output", Some(output));
        }
        Event::StepFailed { step, fault, handling } => {
            write_step(object, spec, *step);
            write_fault(object.key("error"), fault, Some(&step_id(spec, *step)), None);
            write_handling(object, spec, handling);
        }
        Event::StepSkipped { step, reason } => {
            write_step(object, spec, *step);
            object.text("reason", skip_reason(reason));
        }
        Event::StepWaiting { step, params, wait } => {
            write_step(object, spec, *step);
            object.payload("params", Some(params));
            let Wait::Until(until) = wait;
            object.time("until", Some(*until));
        }
        Event::StepCancelled { step } => write_step(object, spec, *step),
        Event::OutcomeIgnored { step, attempt, reason } => {
            write_attempt(object, spec, *step, *attempt);
            object.text("reason", ignored_reason(reason));
        }
        Event::Paused { .. } | Event::Resumed { .. } | Event::Retried { .. } | Event::Cancelled { .. } => {
            write_by_person(object, event, spec);
        }
        Event::Completed { output } => object.payload("output", output.as_ref()),
        Event::Failed { step, fault } => {
            let id = step.map(|key| step_id(spec, key));
            write_fault(object.key("error"), fault, id.as_deref(), None);
        }
    }
}

fn write_by_person(object: &mut Object<'_>, event: &Event, spec: &Spec) {
    match event {
        Event::Paused { by, reason } | Event::Cancelled { by, reason } => {
            object.text("by", by);
            object.text("reason", reason);
        }
        Event::Resumed { by } => object.text("by", by),
        Event::Retried { by, steps, deadline } => {
            object.text("by", by);
            object.list("steps", steps, |out, key| write_text(out, &step_id(spec, *key)));
            object.time("deadline", *deadline);
        }
        _ => unreachable!("only what a person did comes here"),
    }
}

fn write_created(object: &mut Object<'_>, created: &Created) {
    match created.workflow {
        Some(id) => object.shown("workflow_id", id),
        None => object.null("workflow_id"),
    }
    match created.workflow_version {
        0 => object.null("workflow_version"),
        version => object.number("workflow_version", u64::from(version)),
    }
    object.text("workflow_name", &created.workflow_name);
    object.shown("definition_hash", created.spec);
    object.payload("input", Some(&created.input));
    object.texts("labels", &created.labels);
    object.number("priority", u64::from(created.priority));
    object.text("by", &created.by);
    object.time("deadline", created.deadline);
}

fn write_step(object: &mut Object<'_>, spec: &Spec, key: StepKey) {
    object.text("step_id", &step_id(spec, key));
}

fn write_attempt(object: &mut Object<'_>, spec: &Spec, key: StepKey, attempt: u32) {
    write_step(object, spec, key);
    object.number("attempt", u64::from(attempt));
}

fn write_next(object: &mut Object<'_>, next: &AfterFailure) {
    match next {
        AfterFailure::Backoff { until } => {
            object.text("next", "backoff");
            object.time("until", Some(*until));
        }
        AfterFailure::Exhausted => object.text("next", "exhausted"),
        AfterFailure::Uncertain => object.text("next", "uncertain"),
    }
}

fn write_handling(object: &mut Object<'_>, spec: &Spec, handling: &Handling) {
    match handling {
        Handling::Unhandled => object.text("handling", "unhandled"),
        Handling::Continue => object.text("handling", "continue"),
        Handling::Goto(StepIndex(index)) => {
            object.text("handling", "goto");
            object.text("goto", &step_id(spec, StepKey::plain(StepIndex(*index))));
        }
    }
}

/// Why a step was skipped, as a word.
pub(in crate::api) const fn skip_reason(reason: &SkipReason) -> &'static str {
    match reason {
        SkipReason::WhenFalse => "when_false",
        SkipReason::Bypassed => "bypassed",
        SkipReason::NothingToCatch => "nothing_to_catch",
        SkipReason::ByPerson => "by_person",
    }
}

const fn ignored_reason(reason: &IgnoredReason) -> &'static str {
    match reason {
        IgnoredReason::Superseded => "superseded",
        IgnoredReason::Finished => "finished",
    }
}

/// How many bytes of payload an event carries, for those who have to bound a page.
pub(in crate::api) fn payload_bytes(event: &Event) -> usize {
    match event {
        Event::Created(created) => created.input.len(),
        Event::AttemptStarted { params, .. } | Event::StepWaiting { params, .. } => params.len(),
        Event::AttemptCompleted { output, .. } => output.len(),
        Event::StepCompleted { params, output, .. } => params.len() + output.len(),
        Event::Completed { output } => output.as_ref().map_or(0, Payload::len),
        Event::AttemptFailed { fault, .. }
        | Event::StepFailed { fault, .. }
        | Event::Failed { fault, .. } => fault.details.as_ref().map_or(0, Payload::len) + fault.message.len(),
        Event::StepSkipped { .. }
        | Event::StepCancelled { .. }
        | Event::OutcomeIgnored { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::Retried { .. }
        | Event::Cancelled { .. } => 0,
    }
}
