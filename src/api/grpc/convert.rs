//! From the model to messages, by hand.

use everstep_proto::v1;

use crate::api::shape::{Line, current_steps, event_type, step_id, step_words, write_event};
use crate::consensus::{Record, Workflow, WorkflowVersion};
use crate::engine::Reason;
use crate::engine::definition::{Finding, Spec};
use crate::engine::model::{
    Action, DefinitionStatus, Execution, Fault, Payload, Recorded, Status, Step, StepStatus, Timestamp,
    Version,
};

use super::status::Map;

pub(super) fn time(at: Timestamp) -> prost_types::Timestamp {
    let seconds = i64::try_from(at.micros() / 1_000_000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(at.micros() % 1_000_000 * 1_000).expect("below a thousand million");
    prost_types::Timestamp { seconds, nanos }
}

fn text(payload: &Payload) -> String {
    payload.as_str().to_owned()
}

/// An execution, whole or as one entry of a list.
pub(super) fn execution(record: &Record, spec: &Spec, whole: bool) -> v1::Execution {
    let execution = &record.execution;
    let finished = whole && execution.status.is_finished();
    v1::Execution {
        id: execution.id.to_string(),
        workflow_id: execution.workflow.map(|id| id.to_string()),
        workflow_version: Some(execution.workflow_version).filter(|version| *version > 0),
        workflow_name: execution.workflow_name.clone(),
        status: status(execution.status).into(),
        input_json: whole.then(|| text(&execution.input)),
        labels: execution.labels.clone().into_iter().collect(),
        results_json: if finished { results(execution, spec) } else { Map::new() },
        output_json: execution.output.as_ref().filter(|_| finished).map(text),
        error: execution.fault.as_ref().map(|it| execution_fault(execution, it, spec)),
        created_at: Some(time(execution.created_at)),
        started_at: execution.started_at.map(time),
        finished_at: execution.finished_at.map(time),
        deadline: execution.deadline.map(time),
        current_steps: current_steps(execution, spec).map(current_step).collect(),
        allowed_actions: execution.allowed_actions().iter().map(|it| action(*it).into()).collect(),
        priority: u32::from(execution.priority),
        created_by: execution.by.clone(),
        version: execution.version,
    }
}

fn results(execution: &Execution, spec: &Spec) -> Map {
    let completed = execution.steps.iter().zip(&spec.steps);
    completed
        .filter(|(step, _)| step.status == StepStatus::Completed)
        .filter_map(|(step, shape)| Some((shape.id.to_string(), text(step.output.as_ref()?))))
        .collect()
}

fn current_step((id, step): (&str, &Step)) -> v1::CurrentStep {
    v1::CurrentStep {
        step_id: id.to_owned(),
        status: step_status(step.status).into(),
        attempt: step.attempt,
        started_at: step.started_at.map(time),
        due: step.due.map(time),
    }
}

fn execution_fault(execution: &Execution, fault: &Fault, spec: &Spec) -> v1::Fault {
    let step = execution.fault_step;
    v1::Fault {
        code: fault.code.clone(),
        message: fault.message.clone(),
        step: step.map(|key| step_id(spec, key)),
        attempt: step.and_then(|key| execution.step(key)).map(|step| step.attempt.max(1)),
        retryable: fault.retryable,
        details_json: fault.details.as_ref().map(text),
    }
}

pub(super) const fn status(status: Status) -> v1::ExecutionStatus {
    match status {
        Status::Pending => v1::ExecutionStatus::Pending,
        Status::Running => v1::ExecutionStatus::Running,
        Status::Paused => v1::ExecutionStatus::Paused,
        Status::Compensating => v1::ExecutionStatus::Compensating,
        Status::Completed => v1::ExecutionStatus::Completed,
        Status::Failed => v1::ExecutionStatus::Failed,
        Status::Cancelled => v1::ExecutionStatus::Cancelled,
        Status::DeadLettered => v1::ExecutionStatus::DeadLettered,
    }
}

/// The status with this number; none for the one that is unspecified.
pub(super) fn status_of(number: v1::ExecutionStatus) -> Option<Status> {
    Status::ALL.iter().copied().find(|it| status(*it) == number)
}

const fn step_status(status: StepStatus) -> v1::StepStatus {
    match status {
        StepStatus::Pending => v1::StepStatus::Pending,
        StepStatus::Ready => v1::StepStatus::Ready,
        StepStatus::Running => v1::StepStatus::Running,
        StepStatus::Waiting => v1::StepStatus::Waiting,
        StepStatus::Backoff => v1::StepStatus::Backoff,
        StepStatus::Completed => v1::StepStatus::Completed,
        StepStatus::Failed => v1::StepStatus::Failed,
        StepStatus::Skipped => v1::StepStatus::Skipped,
        StepStatus::Cancelled => v1::StepStatus::Cancelled,
        StepStatus::Compensated => v1::StepStatus::Compensated,
        StepStatus::Uncertain => v1::StepStatus::Uncertain,
    }
}

const fn action(action: Action) -> v1::Action {
    match action {
        Action::Cancel => v1::Action::Cancel,
        Action::Pause => v1::Action::Pause,
        Action::Resume => v1::Action::Resume,
        Action::Retry => v1::Action::Retry,
    }
}

pub(super) const fn definition_status(status: DefinitionStatus) -> v1::DefinitionStatus {
    match status {
        DefinitionStatus::Draft => v1::DefinitionStatus::Draft,
        DefinitionStatus::Active => v1::DefinitionStatus::Active,
        DefinitionStatus::Archived => v1::DefinitionStatus::Archived,
    }
}

/// A workflow as of a version, with its definition unless it stands in a list.
pub(super) fn workflow(workflow: &Workflow, version: &WorkflowVersion, whole: bool) -> v1::Workflow {
    v1::Workflow {
        id: workflow.id.to_string(),
        version: version.version,
        latest_version: workflow.latest().version,
        name: version.name.clone(),
        status: definition_status(workflow.status).into(),
        labels: version.labels.clone().into_iter().collect(),
        definition_json: if whole { version.text.to_string() } else { String::new() },
        hash: version.hash.to_string(),
        created_by: version.by.clone(),
        created_at: Some(time(workflow.created_at)),
        updated_at: Some(time(workflow.updated_at)),
    }
}

pub(super) fn version(version: &WorkflowVersion) -> v1::WorkflowVersion {
    v1::WorkflowVersion {
        version: version.version,
        name: version.name.clone(),
        labels: version.labels.clone().into_iter().collect(),
        hash: version.hash.to_string(),
        created_by: version.by.clone(),
        created_at: Some(time(version.created_at)),
    }
}

pub(super) fn finding(finding: Finding) -> v1::Finding {
    v1::Finding {
        code: finding.code.to_owned(),
        message: finding.message,
        pointer: finding.pointer,
        hint: finding.hint.unwrap_or_default(),
        line: finding.line.unwrap_or_default(),
        column: finding.column.unwrap_or_default(),
    }
}

pub(super) fn event(version: Version, recorded: &Recorded, spec: &Spec) -> v1::Event {
    let mut json = Vec::new();
    write_event(&mut json, version, recorded, spec);
    v1::Event {
        version,
        r#type: event_type(&recorded.event).to_owned(),
        at: Some(time(recorded.at)),
        event_json: String::from_utf8(json).expect("JSON text is UTF-8"),
    }
}

pub(super) fn line(line: &Line, spec: &Spec) -> v1::LogLine {
    let (id, name, runner) = step_words(spec, line.step);
    v1::LogLine {
        step_id: id.to_owned(),
        step_name: name.to_owned(),
        step_type: runner.to_owned(),
        attempt: line.attempt,
        status: line.status.to_owned(),
        input_json: line.input.as_ref().map(text),
        output_json: line.output.as_ref().map(text),
        duration_ms: line.duration.map(|duration| duration.0),
        timestamp: Some(time(line.at)),
        error_message: line.fault.as_ref().map(|fault| fault.message.clone()),
        error_code: line.fault.as_ref().map(|fault| fault.code.clone()),
        truncated: line.truncated,
    }
}

pub(super) fn reason(reason: Reason) -> v1::Reason {
    v1::Reason {
        code: reason.code.to_owned(),
        step_id: reason.step,
        message: reason.message,
        until: reason.until.map(time),
    }
}
