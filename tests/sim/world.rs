//! Simulated time and seeded entropy.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use everstep::engine::model::Timestamp;
use everstep::world::{Clock, Entropy, World};

/// When every simulation begins: 2026-01-01T00:00:00Z, in microseconds.
const BEGINNING: u64 = 1_767_225_600_000_000;

/// A node's clock. It can be wrong, and go wrong at its own rate.
#[derive(Default)]
pub(crate) struct SimClock {
    error: Mutex<ClockError>,
}

/// By how much a clock is wrong, in microseconds, as of a time; and how much is added per second from then on.
#[derive(Default, Clone, Copy)]
struct ClockError {
    as_of: i64,
    error: i64,
    per_second: i64,
}

impl ClockError {
    fn at(self, now: i64) -> i64 {
        self.error + (now - self.as_of) * self.per_second / 1_000_000
    }
}

impl SimClock {
    /// From now on it is wrong by `error`, and by `per_second` more each second; both in microseconds.
    pub(crate) fn set(&self, now: Duration, error: i64, per_second: i64) {
        *self.error.lock().unwrap() = ClockError { as_of: micros(now), error, per_second };
    }

    /// By how many microseconds it is wrong.
    pub(crate) fn error(&self, now: Duration) -> i64 {
        self.error.lock().unwrap().at(micros(now))
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let elapsed = turmoil::sim_elapsed().unwrap_or_default();
        let reading = i64::try_from(BEGINNING).unwrap() + micros(elapsed) + self.error(elapsed);
        Timestamp::from_micros(u64::try_from(reading).unwrap())
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap()
}

/// SplitMix64: small, seeded, and good enough to choose with.
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        // One round, so that seeds that are neighbours have nothing in common.
        let dice = Self(AtomicU64::new(seed));
        let mixed = dice.roll();
        dice.0.store(mixed, Ordering::Relaxed);
        dice
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

    /// A number from `first` to `last`.
    pub(crate) fn between(&self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True so many times in a hundred.
    pub(crate) fn percent(&self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

impl Entropy for Dice {
    fn bits(&self) -> u128 {
        (u128::from(self.roll()) << 64) | u128::from(self.roll())
    }
}

pub(crate) fn simulated(seed: u64) -> World {
    World { clock: Arc::new(SimClock::default()), entropy: Arc::new(Dice::new(seed)) }
}

#[test]
fn a_clock_is_wrong_by_what_it_was_set_to() {
    let clock = SimClock::default();
    clock.set(Duration::from_secs(10), -500, 100);
    assert_eq!(clock.error(Duration::from_secs(10)), -500);
    assert_eq!(clock.error(Duration::from_secs(15)), 0);
}
