//! Floor 1: every rule of Everstep, pure.

mod decide;
pub mod definition;
mod evolve;
pub mod expression;
pub mod model;
mod owed;
#[cfg(test)]
mod tests;

pub use decide::decide;
pub use evolve::evolve;
pub use owed::owed;

use definition::Spec;
use model::{Execution, Timestamp};

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
