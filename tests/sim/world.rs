//! Simulated time and seeded entropy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use everstep::engine::model::Timestamp;
use everstep::world::{Clock, Entropy, World};

/// When every simulation begins: 2026-01-01T00:00:00Z, in microseconds.
const BEGINNING: u64 = 1_767_225_600_000_000;

struct SimClock;

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let elapsed = turmoil::sim_elapsed().unwrap_or_default();
        Timestamp::from_micros(BEGINNING + u64::try_from(elapsed.as_micros()).unwrap())
    }
}

/// SplitMix64: small, seeded, and good enough to choose with.
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub(crate) fn roll(&self) -> u64 {
        let state =
            self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&self, end: u64) -> u64 {
        self.roll() % end
    }
}

impl Entropy for Dice {
    fn bits(&self) -> u128 {
        (u128::from(self.roll()) << 64) | u128::from(self.roll())
    }
}

pub(crate) fn simulated(seed: u64) -> World {
    World { clock: Arc::new(SimClock), entropy: Arc::new(Dice::new(seed)) }
}
