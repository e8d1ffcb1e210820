//! Whether a failed attempt is tried again, and when.

use crate::definition::{Backoff, Matcher, RetryPolicy};
use crate::model::{ExecutionId, Fault, Millis, StepKey, limits};
use crate::planted::{self, Bug};

/// Whether another attempt follows the one that failed with `fault` as the `failures`th.
pub(super) fn allows(policy: &RetryPolicy, fault: &Fault, failures: u32) -> bool {
    let wanted = match policy.on.as_slice() {
        [] => fault.retryable,
        matchers => matchers.iter().any(|matcher| matches(matcher, &fault.code)),
    };
    wanted && failures < policy.attempts + u32::from(planted::is(Bug::OneTryTooMany))
}

fn matches(matcher: &Matcher, code: &str) -> bool {
    let status = code.strip_prefix("http_");
    match matcher {
        Matcher::Any => true,
        Matcher::Code(wanted) => wanted == code || status == Some(wanted),
        Matcher::Hundred(hundred) => status
            .and_then(|status| status.parse::<u16>().ok())
            .is_some_and(|status| status / 100 == *hundred),
    }
}

/// How long to wait after the `failures`th failure. `draw`, from 0.0 to below 1.0, chooses within the
/// jitter, which only ever lengthens the wait.
pub(super) fn wait(policy: &RetryPolicy, failures: u32, draw: f64) -> Millis {
    assert!(failures >= 1, "a wait follows a failure");
    if planted::is(Bug::BackoffIgnored) {
        return Millis(0);
    }
    let initial = policy.initial.0 as f64;
    let grown = match policy.backoff {
        Backoff::Fixed => initial,
        Backoff::Linear => initial * f64::from(failures),
        Backoff::Exponential => initial * policy.factor.powf(f64::from(failures - 1)),
    };
    let base = grown.min(policy.max.0 as f64);
    let jittered = base + base * policy.jitter * draw;
    // Casting saturates, and what is not a number becomes 0.
    Millis((jittered.ceil() as u64).min(limits::DURATION_MS_MAX))
}

/// A number from 0.0 to below 1.0 that differs between executions, steps and attempts and is the
/// same whenever it is asked for. Spreads retries out; no secret depends on it.
pub(super) fn draw(id: ExecutionId, key: StepKey, attempt: u32) -> f64 {
    let uuid = id.uuid().as_u128();
    let words = [
        (uuid >> 64) as u64,
        uuid as u64,
        u64::from(key.index.0) << 32 | u64::from(key.lane),
        u64::from(attempt),
    ];
    let mixed = words.into_iter().fold(0, |state, word| mix(state ^ word));
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// The finaliser of splitmix64: every input bit moves about half of the output bits.
const fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
