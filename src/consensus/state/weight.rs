//! About how much memory things take. Only sums of these are compared with limits.

use crate::engine::model::{Event, Execution, Fault, Payload, Recorded, Step};

use super::super::view::Record;

/// A record in memory, in bytes.
pub(super) fn of_record(record: &Record) -> usize {
    let execution = size_of::<Record>() + of_execution(&record.execution);
    execution + record.tail.iter().map(|recorded| of_event(&recorded.event)).sum::<usize>()
}

/// An event of a record, in bytes.
pub(super) fn of_event(event: &Event) -> usize {
    let inside = match event {
        Event::Created(created) => {
            let labels: usize =
                created.labels.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
            let steps = usize::from(created.steps) * size_of::<Step>();
            size_of_val(&**created) + created.input.len() + created.by.len() + labels + steps
        }
        Event::AttemptStarted { params, .. } | Event::StepWaiting { params, .. } => params.len(),
        Event::AttemptCompleted { output, .. } => output.len(),
        Event::AttemptFailed { fault, .. }
        | Event::StepFailed { fault, .. }
        | Event::Failed { fault, .. } => of_fault(fault),
        Event::StepCompleted { params, output, .. } => params.len() + output.len(),
        Event::Completed { output } => output.as_ref().map_or(0, Payload::len),
        Event::Paused { by, reason } | Event::Cancelled { by, reason } => by.len() + reason.len(),
        Event::Resumed { by } => by.len(),
        Event::Retried { by, steps, .. } => by.len() + size_of_val(steps.as_slice()),
        Event::StepSkipped { .. } | Event::StepCancelled { .. } | Event::OutcomeIgnored { .. } => 0,
    };
    size_of::<Recorded>() + inside
}

fn of_execution(execution: &Execution) -> usize {
    let labels: usize = execution.labels.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
    let steps = execution.steps.iter().map(|step| {
        let payloads = step.params.iter().chain(&step.output).map(Payload::len).sum::<usize>();
        size_of::<Step>() + payloads + step.fault.as_ref().map_or(0, of_fault)
    });
    labels + execution.input.len() + steps.sum::<usize>()
}

fn of_fault(fault: &Fault) -> usize {
    fault.code.len() + fault.message.len() + fault.details.as_ref().map_or(0, Payload::len)
}
