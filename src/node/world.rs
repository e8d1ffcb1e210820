//! The real clock and real entropy: the only place that reads them.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use uuid::Uuid;

use crate::engine::model::Timestamp;
use crate::world::{Clock, Entropy, World};

/// Clocks that are read within this time are read at once.
const AT_ONCE: Duration = Duration::from_millis(1);

/// How often it is tried to read them at once.
const READS_MAX: u32 = 8;

/// The machine's clock.
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    fn slept(&self) -> Duration {
        let mut least = Duration::ZERO;
        for _ in 0..READS_MAX {
            // The last one stands still in sleep: a stop of this thread in between makes the difference less.
            let [before, with, after] =
                [ClockId::CLOCK_MONOTONIC, ClockId::CLOCK_BOOTTIME, ClockId::CLOCK_MONOTONIC].map(read);
            least = with.saturating_sub(after);
            if after.saturating_sub(before) < AT_ONCE {
                break;
            }
        }
        least
    }
}

/// What a clock says; nothing if the kernel has none of that kind.
fn read(clock: ClockId) -> Duration {
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
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
