//! The real clock and real entropy: the only place that reads them.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use uuid::Uuid;

use crate::engine::model::Timestamp;
use crate::world::{Clock, Entropy, World};

/// The machine's clock.
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    /// Of the two clocks the one that stands still in sleep is read last: if this thread is stopped between
    /// the two, that makes it less.
    fn slept(&self) -> Duration {
        let [with, without] = [ClockId::CLOCK_BOOTTIME, ClockId::CLOCK_MONOTONIC].map(clock_gettime);
        match (with, without) {
            (Ok(with), Ok(without)) => Duration::from(with).saturating_sub(Duration::from(without)),
            // A kernel without the first clock.
            (Err(_), _) | (_, Err(_)) => Duration::ZERO,
        }
    }
}

/// The kernel's random numbers.
struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn bits(&self) -> u128 {
        let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
        // A UUID fixes six bits; two of them cover each other's.
        a.as_u128() ^ b.as_u128().rotate_left(64)
    }
}

/// The world as it is.
#[must_use]
pub(super) fn real() -> World {
    World { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) }
}
