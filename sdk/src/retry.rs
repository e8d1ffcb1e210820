//! How often and how fast a call is repeated.

use std::time::Duration;

/// How often and how fast a call is repeated.
///
/// The wait before try `n` is a random part (half to whole) of `initial × 2ⁿ`, at most `max`; a server's
/// `Retry-After` counts instead where it is longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Tries in all, at least 1.
    pub attempts: u32,
    /// The first wait.
    pub initial: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Default for Retry {
    /// Five tries within about three seconds: longer than a planned change of leader takes.
    fn default() -> Self {
        Self { attempts: 5, initial: Duration::from_millis(100), max: Duration::from_secs(5) }
    }
}

impl Retry {
    /// Every call is made once.
    #[must_use]
    pub const fn never() -> Self {
        Self { attempts: 1, initial: Duration::ZERO, max: Duration::ZERO }
    }

    /// How long to wait after `failures` failed tries. `chance` is between 0 and 1.
    pub(crate) fn delay(&self, failures: u32, retry_after: Option<u64>, chance: f64) -> Duration {
        let doubled = 2u32.saturating_pow(failures.saturating_sub(1).min(16));
        let full = self.initial.saturating_mul(doubled).min(self.max);
        let spread = full.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
        // A server may ask for long waits, but a caller who wants to hang can do that itself.
        const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
        let asked = retry_after.map_or(Duration::ZERO, Duration::from_secs).min(RETRY_AFTER_MAX);
        spread.max(asked)
    }
}

/// A number between 0 and 1 from the random half of a fresh UUID: jitter needs no better source.
pub(crate) fn chance() -> f64 {
    let low = uuid::Uuid::now_v7().as_u64_pair().1 as u32;
    f64::from(low) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_obey_the_server() {
        let retry =
            Retry { attempts: 9, initial: Duration::from_millis(100), max: Duration::from_millis(350) };
        let waits: Vec<_> = (1..=4).map(|n| retry.delay(n, None, 1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 350, 350]);
        assert_eq!(retry.delay(1, None, 0.0).as_millis(), 50, "the random part is at most half");
        assert_eq!(retry.delay(1, Some(2), 1.0).as_secs(), 2);
        assert_eq!(retry.delay(1, Some(9_999), 1.0).as_secs(), 30, "no server makes a caller hang");
    }
}
