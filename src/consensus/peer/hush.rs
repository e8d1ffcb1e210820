//! Lets a complaint be made once a minute: who is refused comes again, every second or as fast as it can.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long the same is not said again.
const PAUSE: Duration = Duration::from_secs(60);

/// Complaints that are remembered. Others push out the oldest.
const KEPT_MAX: usize = 64;

/// What was complained of lately.
#[derive(Debug, Default)]
pub(super) struct Hush(Mutex<BTreeMap<String, Said>>);

#[derive(Debug, Clone, Copy)]
struct Said {
    at: Instant,
    unsaid: u64,
}

impl Hush {
    /// Whether this may be said now: how often it was not since the last time.
    pub(super) fn may_say(&self, what: &str) -> Option<u64> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unsaid = match said.get_mut(what) {
            Some(before) if before.at.elapsed() < PAUSE => {
                before.unsaid += 1;
                return None;
            }
            Some(before) => before.unsaid,
            None => 0,
        };
        if said.len() >= KEPT_MAX && !said.contains_key(what) {
            let oldest = said.iter().min_by_key(|(_, it)| it.at).map(|(what, _)| what.clone());
            oldest.and_then(|oldest| said.remove(&oldest));
        }
        said.insert(what.to_owned(), Said { at: Instant::now(), unsaid: 0 });
        Some(unsaid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_is_said_once_a_minute_and_counted() {
        let hush = Hush::default();
        assert_eq!(hush.may_say("a"), Some(0));
        assert_eq!((hush.may_say("a"), hush.may_say("a"), hush.may_say("b")), (None, None, Some(0)));
        tokio::time::advance(PAUSE).await;
        assert_eq!((hush.may_say("a"), hush.may_say("a")), (Some(2), None));
        for n in 0..2 * KEPT_MAX {
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!(hush.may_say(&n.to_string()), Some(0));
        }
        assert_eq!(hush.0.lock().unwrap().len(), KEPT_MAX);
    }
}
