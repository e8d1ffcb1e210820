//! Looking at the clock and at the fence.
//!
//! The same decision serves a timer that fires, an actor that starts on a new leader, and doubt. It asks
//! the state what is due, so a wake-up that is lost, late or sent twice does no harm.

use crate::model::{Event, Step, StepStatus};
use crate::planted::{self, Bug};

use super::advance::{advance, start_attempt};
use super::draft::Draft;
use super::{failure, outcome};

/// Lets happen what is due at this moment.
pub(super) fn reconcile(mut draft: Draft<'_>) -> Vec<Event> {
    if draft.execution.status.is_finished() {
        return Vec::new();
    }
    let now = draft.moment.at;
    if draft.execution.deadline.is_some_and(|deadline| deadline <= now) {
        failure::out_of_time(&mut draft);
        return draft.into_events();
    }
    for key in draft.keys_where(|step| step.status == StepStatus::Running) {
        let step = draft.step(key.index);
        if step.status != StepStatus::Running {
            // One of the others has just ended the execution.
            break;
        }
        if step.epoch != draft.moment.epoch {
            outcome::lost(&mut draft, key.index);
        } else if step.due.is_some_and(|due| due <= now) {
            outcome::timed_out(&mut draft, key.index);
        }
    }
    if planted::is(Bug::CompletedRunsAgain) {
        let older = draft.moment.epoch;
        let done =
            |step: &Step| step.status == StepStatus::Completed && step.attempt > 0 && step.epoch != older;
        draft.keys_where(done).first().into_iter().for_each(|key| start_attempt(&mut draft, key.index));
    }
    draft.wake_all();
    advance(&mut draft);
    draft.into_events()
}
