//! What the world owes an execution.

use super::{AttemptNumber, Payload, StepKey, Timestamp};

/// Something to do, or to go on doing, now. Derived from state by [`crate::owed()`], so that failover,
/// restart and a lost wake-up are one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Have this attempt in flight.
    Attempt {
        /// Which step.
        step: StepKey,
        /// Which attempt.
        attempt: AttemptNumber,
        /// The name of the runner.
        runner: String,
        /// The action of the runner; empty for its only one.
        action: String,
        /// What the runner gets.
        params: Payload,
        /// When to give it up.
        deadline: Option<Timestamp>,
    },
    /// Wake the execution at this time, with [`super::Input::Reconcile`].
    Timer {
        /// The earliest time at which something is due; [`Effect::AT_ONCE`] if something is ready.
        due: Timestamp,
    },
}

impl Effect {
    /// The time of a timer for what the last decision had no room for: long ago.
    pub const AT_ONCE: Timestamp = Timestamp::from_micros(0);
}
