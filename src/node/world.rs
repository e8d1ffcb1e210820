//! The real clock and real entropy: the only place that reads them.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

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
