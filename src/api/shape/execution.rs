//! The execution object.

use crate::consensus::Record;
use crate::engine::definition::Spec;
use crate::engine::model::{Execution, Fault, Step, StepKey, StepStatus};

use super::write::{Object, write_list, write_text};

/// Whether an execution is shown whole or as one line of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Detail {
    /// With `execution_id`: the answer to a submission.
    Submitted,
    /// Everything.
    Whole,
    /// Without input and result, which may be a megabyte each.
    Line,
}

/// The id of a step, or its position if the definition does not have it, which cannot happen.
pub(in crate::api) fn step_id(spec: &Spec, key: StepKey) -> String {
    spec.steps.get(key.index.usize()).map_or_else(|| key.index.0.to_string(), |step| step.id.to_string())
}

/// Writes the execution object.
pub(in crate::api) fn write_execution(out: &mut Vec<u8>, record: &Record, spec: &Spec, detail: Detail) {
    let execution = &record.execution;
    let mut object = Object::new(out);
    object.shown("id", execution.id);
    if detail == Detail::Submitted {
        object.shown("execution_id", execution.id);
    }
    match execution.workflow {
        Some(id) => object.shown("workflow_id", id),
        None => object.null("workflow_id"),
    }
    match execution.workflow_version {
        0 => object.null("workflow_version"),
        version => object.number("workflow_version", u64::from(version)),
    }
    object.text("workflow_name", &execution.workflow_name);
    object.text("status", execution.status.as_str());
    object.texts("labels", &execution.labels);
    if detail != Detail::Line {
        object.payload("input", Some(&execution.input));
        if execution.status.is_finished() {
            write_result(object.key("result"), execution, spec);
        } else {
            object.null("result");
        }
    }
    match &execution.fault {
        Some(fault) => write_execution_fault(object.key("error"), execution, fault, spec),
        None => object.null("error"),
    }
    object.number("priority", u64::from(execution.priority));
    object.text("created_by", &execution.by);
    object.time("created_at", Some(execution.created_at));
    object.time("started_at", execution.started_at);
    object.time("finished_at", execution.finished_at);
    object.time("deadline", execution.deadline);
    write_current_steps(object.key("current_steps"), execution, spec);
    object.list("allowed_actions", &execution.allowed_actions(), |out, action| {
        write_text(out, action.as_str());
    });
    object.number("version", execution.version);
    object.end();
}

fn write_result(out: &mut Vec<u8>, execution: &Execution, spec: &Spec) {
    let mut object = Object::new(out);
    let mut results = Object::new(object.key("results"));
    for (step, shape) in execution.steps.iter().zip(&spec.steps) {
        if let (StepStatus::Completed, Some(output)) = (step.status, &step.output) {
            results.payload(shape.id.as_str(), Some(output));
        }
    }
    results.end();
    object.payload("output", execution.output.as_ref());
    object.end();
}

/// Steps that are neither untouched nor settled: where the execution is.
pub(in crate::api) fn current_steps<'a>(
    execution: &'a Execution,
    spec: &'a Spec,
) -> impl Iterator<Item = (&'a str, &'a Step)> {
    let steps = if execution.status.is_finished() { &[] } else { execution.steps.as_slice() };
    steps
        .iter()
        .zip(&spec.steps)
        .filter(|(step, _)| step.status != StepStatus::Pending && !step.status.is_settled())
        .map(|(step, shape)| (shape.id.as_str(), step))
}

fn write_current_steps(out: &mut Vec<u8>, execution: &Execution, spec: &Spec) {
    write_list(out, current_steps(execution, spec), |out, (id, step)| {
        let mut object = Object::new(out);
        object.text("step_id", id);
        object.text("status", step.status.as_str());
        object.number("attempt", u64::from(step.attempt));
        object.time("started_at", step.started_at);
        object.time("due", step.due);
        object.end();
    });
}

fn write_execution_fault(out: &mut Vec<u8>, execution: &Execution, fault: &Fault, spec: &Spec) {
    let step = execution.fault_step;
    // A step that failed before its first attempt has that one in the log.
    let attempt = step.and_then(|key| execution.step(key)).map(|step| step.attempt.max(1));
    let id = step.map(|key| step_id(spec, key));
    write_fault(out, fault, id.as_deref(), attempt);
}

/// Writes `{code, message, step, attempt, retryable, details}`.
pub(in crate::api) fn write_fault(
    out: &mut Vec<u8>,
    fault: &Fault,
    step: Option<&str>,
    attempt: Option<u32>,
) {
    let mut object = Object::new(out);
    object.text("code", &fault.code);
    object.text("message", &fault.message);
    match step {
        Some(step) => object.text("step", step),
        None => object.null("step"),
    }
    match attempt {
        Some(attempt) => object.number("attempt", u64::from(attempt)),
        None => object.null("attempt"),
    }
    object.truth("retryable", fault.retryable);
    object.payload("details", fault.details.as_ref());
    object.end();
}
