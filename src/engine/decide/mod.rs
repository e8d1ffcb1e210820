//! Turning wishes into facts.
//!
//! A decision works on a [`Draft`]: a copy of the execution and the list of facts decided so far. Each
//! fact is folded into the copy at once, by the same [`crate::evolve()`] that every replica uses, so the
//! next rule sees the world as it will be. When the wish itself is dealt with, [`advance`] looks at the
//! steps that may move because of it, until nothing moves. All facts of one decision are
//! committed together, or not at all.
//!
//! One file per concern:
//!
//! - [`create`]: the first decision; what is checked before an execution exists.
//! - [`outcome`]: an attempt ended, ran out of time, or was lost with its node.
//! - [`retry`]: whether and when a failed attempt is tried again.
//! - [`failure`]: who takes care of a failed step, and what a jump passes over.
//! - [`advance`]: which steps may begin, and beginning them.
//! - [`pure`] and [`delay`]: steps that need no attempt.
//! - [`reconcile`]: the clock and the fence.
//! - [`person`]: cancel, pause, resume, retry by hand.
//!
//! Caveats: a decision may be computed and then lose the race for its commit, so nothing here may act.
//! And its result is what counts later, not the rule: a history may hold decisions that this code
//! would no longer take.

mod advance;
mod create;
mod delay;
mod draft;
mod failure;
mod graph;
mod outcome;
mod person;
mod pure;
mod reconcile;
mod retry;

use crate::definition::Spec;
use crate::model::{Event, Execution, Input, Moment, Rejection};

pub(crate) use advance::{Turn, is_done, is_halfway, needs_wanted, turn};
use draft::Draft;

/// Turns a wish into facts, in the order in which they are to be recorded, or a lawful refusal. No
/// facts means that the wish changes nothing.
///
/// Errors: the [`Rejection`] that names what the caller got wrong.
///
/// Panics if `spec` is not the definition the execution was created with.
pub fn decide(
    execution: &Execution,
    spec: &Spec,
    input: Input,
    moment: Moment,
) -> Result<Vec<Event>, Rejection> {
    if let Input::Create(wish) = input {
        return create::create(execution, spec, *wish, moment);
    }
    if execution.version == 0 {
        return Err(Rejection::ExecutionNotFound { id: execution.id });
    }
    assert_eq!(execution.spec, spec.hash, "an execution is decided by the definition it keeps for life");
    assert_eq!(execution.steps.len(), spec.steps.len(), "an execution has the steps of its definition");
    match input {
        Input::Create(_) => unreachable!("create was dealt with above"),
        Input::AttemptFinished { step, attempt, outcome } => {
            outcome::finished(execution, spec, (step, attempt), outcome, moment)
        }
        Input::AttemptLost { step, attempt } => {
            Ok(outcome::orphaned(Draft::new(execution, spec, moment), step, attempt))
        }
        Input::Reconcile => Ok(reconcile::reconcile(Draft::new(execution, spec, moment))),
        Input::Cancel { by, reason } => person::cancel(execution, spec, by, reason, moment),
        Input::Pause { by, reason } => person::pause(execution, spec, by, reason, moment),
        Input::Resume { by } => person::resume(execution, spec, by, moment),
        Input::Retry { by, from } => person::retry(execution, spec, by, from, moment),
    }
}
