//! Attempts in flight that it would be a pity to lose.
//!
//! Whoever takes a partition over cannot go on with what the leader before has in flight: the attempt is lost, and
//! made again or left to a person. That is the price of a node that dies. For a better balance alone it is not paid:
//! a leadership under which an attempt has run for long, or is not to be repeated, stays where it is.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What is lost of an attempt that is younger is soon made up for.
const LONG: Duration = Duration::from_secs(5);

/// The attempts of a partition that are in flight. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Aloft(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    /// From when on it is dear, and which it is.
    dear: BTreeSet<(Instant, u64)>,
    count: u64,
}

/// One of them, as long as it is there.
#[derive(Debug)]
pub(crate) struct Mark {
    aloft: Aloft,
    row: (Instant, u64),
}

impl Aloft {
    /// One takes off. `once`: it is not made again by itself when it is lost.
    pub(crate) fn take_off(&self, once: bool) -> Mark {
        let dear_from = Instant::now() + if once { Duration::ZERO } else { LONG };
        let mut rows = self.rows();
        rows.count += 1;
        let row = (dear_from, rows.count);
        rows.dear.insert(row);
        Mark { aloft: self.clone(), row }
    }

    /// Whether one of them should not be lost without need.
    pub(crate) fn is_dear(&self) -> bool {
        self.rows().dear.first().is_some_and(|(from, _)| *from <= Instant::now())
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.aloft.rows().dear.remove(&self.row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_runs_for_long_or_only_once_is_dear() {
        let aloft = Aloft::default();
        let long = aloft.take_off(false);
        assert!(!aloft.is_dear());
        let once = aloft.take_off(true);
        assert!(aloft.is_dear());
        drop(once);
        assert!(!aloft.is_dear());
        tokio::time::advance(LONG).await;
        assert!(aloft.is_dear());
        drop(long);
        assert!(!aloft.is_dear());
    }
}
