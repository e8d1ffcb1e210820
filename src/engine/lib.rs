//! Floor 1: every rule of Everstep, pure.

pub mod definition;
pub mod expression;
pub mod model;

use definition::Spec;
use model::{Effect, Event, Execution, Input, Moment, Recorded, Rejection, Timestamp};

/// Turns a wish into facts or a lawful refusal.
pub fn decide(
    _execution: &Execution,
    _spec: &Spec,
    _input: Input,
    _moment: Moment,
) -> Result<Vec<Event>, Rejection> {
    Ok(Vec::new())
}

/// Folds one fact.
pub fn evolve(_execution: &mut Execution, _recorded: &Recorded) {}

/// What to do, or go on doing, now.
#[must_use]
pub fn owed(_execution: &Execution, _spec: &Spec) -> Vec<Effect> {
    Vec::new()
}

/// One reason why an execution waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// A stable word: `backoff`, `delay`, `attempt_running`, `paused`, `uncertain`, `needs`, …
    pub code: &'static str,
    /// The step it concerns, by id.
    pub step: Option<String>,
    /// For a person, with numbers.
    pub message: String,
    /// When it ends by itself, if known.
    pub until: Option<Timestamp>,
}

/// Why it is not further.
#[must_use]
pub fn explain(_execution: &Execution, _spec: &Spec, _now: Timestamp) -> Vec<Reason> {
    Vec::new()
}
