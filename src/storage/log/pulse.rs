//! How the disk keeps up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A new commit counts for one part in so many: the last dozen commits matter.
const SMOOTHING: u64 = 8;

/// How long commits take, as the writer notes and others ask.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Since when the commit at hand lasts.
    began: Mutex<Option<Instant>>,
    /// How long the last ones took, smoothed.
    micros: AtomicU64,
}

impl Pulse {
    /// A commit begins, unless it has already.
    pub(super) fn begin(&self) {
        self.began.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
    }

    pub(super) fn end(&self) {
        let Some(began) = self.began.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let took = began.elapsed();
        metrics::histogram!("everstep_log_commit_seconds").record(took.as_secs_f64());
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let before = self.micros.load(Ordering::Relaxed);
        let smoothed = before - before / SMOOTHING + took / SMOOTHING;
        self.micros.store(smoothed, Ordering::Relaxed);
    }

    /// How long a commit takes: what the last ones took, or what the one at hand has taken if that is more.
    pub(super) fn delay(&self) -> Duration {
        let smoothed = Duration::from_micros(self.micros.load(Ordering::Relaxed));
        let began = *self.began.lock().unwrap_or_else(PoisonError::into_inner);
        began.map_or(smoothed, |began| smoothed.max(began.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_commit_that_hangs_is_seen_while_it_hangs() {
        let pulse = Pulse::default();
        assert_eq!(pulse.delay(), Duration::ZERO);
        pulse.begin();
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(pulse.delay(), Duration::from_secs(2));
        pulse.end();
        assert_eq!(pulse.delay(), Duration::from_millis(250), "one slow commit fades");
        for _ in 0..40 {
            pulse.begin();
            tokio::time::advance(Duration::from_millis(1)).await;
            pulse.end();
        }
        assert!(pulse.delay() < Duration::from_millis(10));
    }
}
