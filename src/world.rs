//! What a node takes from the world besides network and disk: the time and unpredictable numbers.
//!
//! Both are handed in by `node`, so that a whole node can run inside a deterministic simulation. Sleeping
//! goes through tokio's timers, which the simulation drives as well.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::model::Timestamp;

/// Tells the time of day. It may jump either way; who needs order takes it from the log.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;

    /// How long the whole machine has slept since it was started: what `Instant`s do not see. Each answer may be a
    /// little less than the truth, and so less than the one before, never more. A clock that belongs to no machine
    /// never sleeps.
    fn slept(&self) -> Duration {
        Duration::ZERO
    }
}

/// Draws unpredictable bits, for ids and jitter; never for keys.
pub trait Entropy: Send + Sync + 'static {
    /// 128 fresh bits.
    fn bits(&self) -> u128;
}

/// The clock and the entropy of one node.
#[derive(Clone)]
pub struct World {
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Unpredictable bits.
    pub entropy: Arc<dyn Entropy>,
}
