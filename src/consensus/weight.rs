//! How much room an append takes, without encoding it.

use crate::engine::model::{Event, Fault, Payload};

use super::Append;

/// Ids, times and lengths of an append or an event, in bytes.
const FIXED: usize = 64;

/// The estimated size of an append, in bytes.
pub(super) fn weight(append: &Append) -> usize {
    FIXED + append.events.iter().map(event).sum::<usize>()
}

fn event(event: &Event) -> usize {
    FIXED
        + match event {
            Event::Created(created) => {
                let labels: usize = created.labels.iter().map(|(key, value)| key.len() + value.len()).sum();
                created.input.len() + created.workflow_name.len() + created.by.len() + labels
            }
            Event::AttemptStarted { params, .. } | Event::StepWaiting { params, .. } => params.len(),
            Event::AttemptCompleted { output, .. } => output.len(),
            Event::StepCompleted { params, output, .. } => params.len() + output.len(),
            Event::AttemptFailed { fault: why, .. }
            | Event::StepFailed { fault: why, .. }
            | Event::Failed { fault: why, .. } => fault(why),
            Event::StepSkipped { .. } | Event::StepCancelled { .. } | Event::OutcomeIgnored { .. } => 0,
            Event::Paused { by, reason } | Event::Cancelled { by, reason } => by.len() + reason.len(),
            Event::Resumed { by } => by.len(),
            Event::Retried { by, steps, .. } => by.len() + 8 * steps.len(),
            Event::Completed { output } => output.as_ref().map_or(0, Payload::len),
        }
}

fn fault(fault: &Fault) -> usize {
    fault.code.len() + fault.message.len() + fault.details.as_ref().map_or(0, Payload::len)
}
