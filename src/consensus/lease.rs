//! For how long a leader may act on its own word.
//!
//! A follower that has answered a leader helps nobody else to lead until one lease has passed. So a leader that a
//! quorum has answered is the only one for a lease by the followers' clocks, counted from when it asked: it reads its
//! own state and lets effects begin without asking again.
//!
//! Two clocks measure the same lease, so the leader takes a little less than the whole for itself. And the clock that
//! it measures with stands still while the whole machine sleeps, in which others go on: an answer from before such a
//! sleep counts for nothing. What no clock of the machine tells remains, as when a host stops a virtual machine without
//! a word: for at most one lease after that, or until the others answer, effects may begin and reads may be old. What
//! such a leader appends is turned away all the same.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Instant as _, type_config::alias::InstantOf};

use crate::engine::planted::{self, Bug};
use crate::world::{Clock, World};

use super::applied::Applied;
use super::leadership::Belief;
use super::state_machine::Raft;
use super::types::Types;

type Instant = InstantOf<Types>;

/// A leader leaves one part in so many of each lease alone: its clock may be slower than the others' by that. A clock
/// that is being set right may be made a twelfth faster or slower (the default of chrony), on both sides at once.
const LEFT_ALONE: u32 = 6;

/// What a sleep has to last to be one. Less is how two clocks are read, and covered by what is left alone.
const SLEEP_MIN: Duration = Duration::from_millis(5);

/// Whether this node may act as the leader it believes to be. Cheap to clone.
#[derive(Clone)]
pub(super) struct Lease {
    node: u64,
    raft: Raft,
    applied: Arc<Applied>,
    /// How long who has answered helps nobody else.
    pub(super) length: Duration,
    clock: Arc<dyn Clock>,
    sleep: Arc<Sleep>,
    /// The term of a leadership of this node that it has asked another one to end.
    given_back: Arc<AtomicU64>,
}

impl Lease {
    pub(super) fn new(node: u64, raft: Raft, applied: Arc<Applied>, length: Duration, world: &World) -> Self {
        let clock = world.clock.clone();
        let sleep = Arc::new(Sleep::until_now(clock.slept()));
        Self { node, raft, applied, length, clock, sleep, given_back: Arc::default() }
    }

    /// Another node is about to be asked to lead: from then on it may be elected at any moment. Raft, too, takes
    /// nothing more under this leadership.
    pub(super) fn give_back(&self) {
        if let Belief::Leading(leader) = Belief::of(&self.raft.server_metrics().borrow_watched()) {
            self.given_back.store(leader.term, Ordering::SeqCst);
        }
    }

    fn is_given_back(&self) -> bool {
        let term = self.raft.server_metrics().borrow_watched().vote.leader_id.term;
        self.given_back.load(Ordering::SeqCst) == term
    }

    /// Whether this node may act on its own word: it is the only leader.
    pub(super) fn holds(&self) -> bool {
        // First the sleep, then the age: who is stopped between the two sees it in the age.
        let woke = self.sleep.last_end(self.clock.slept());
        let since_wake = |asked: &Instant| woke.is_none_or(|woke| *asked > woke);
        let safe = self.length - self.length / LEFT_ALONE;
        self.is_kept(|asked| since_wake(asked) && asked.elapsed() < safe) || planted::is(Bug::LeaseUnchecked)
    }

    /// Whether a quorum was heard within a lease, whoever slept since. One that was not may well have been replaced;
    /// nothing that is under way need stop before.
    pub(super) fn hears(&self) -> bool {
        self.is_kept(|asked| asked.elapsed() < self.length) || planted::is(Bug::LeaseUnchecked)
    }

    /// A leadership begins: of what the machine slept before, nothing matters to it.
    pub(super) fn begin(&self) {
        self.sleep.last_end(self.clock.slept());
    }

    fn is_kept(&self, recent: impl FnOnce(&Instant) -> bool) -> bool {
        let asked = || self.raft.data_metrics().borrow_watched().last_quorum_acked;
        self.applied.is_sole_voter(self.node)
            || asked().as_deref().is_some_and(recent) && !self.is_given_back()
    }
}

/// When the machine slept last.
#[derive(Debug)]
struct Sleep(Mutex<Slept>);

#[derive(Debug)]
struct Slept {
    total: Duration,
    /// When it was noticed that it woke.
    woke: Option<Instant>,
}

impl Sleep {
    /// Of what it slept until now nothing matters.
    fn until_now(total: Duration) -> Self {
        Self(Mutex::new(Slept { total, woke: None }))
    }

    /// The end of the last sleep, by what all sleeps have lasted until now.
    fn last_end(&self, total: Duration) -> Option<Instant> {
        let mut slept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What is told is never too much, so that short ones add up.
        if total > slept.total + SLEEP_MIN {
            *slept = Slept { total, woke: Some(Instant::now()) };
        }
        slept.woke
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sleep_is_noticed_once_and_jitter_is_none() {
        let ms = Duration::from_millis;
        let sleep = Sleep::until_now(ms(1_000));
        assert_eq!(sleep.last_end(ms(1_000)), None);
        assert_eq!(sleep.last_end(ms(1_002)), None, "two clocks are not read at once");
        assert_eq!(sleep.last_end(ms(999)), None, "nor always in time");
        tokio::time::advance(ms(10)).await;
        let woke = Some(Instant::now());
        assert_eq!(sleep.last_end(ms(61_000)), woke);
        tokio::time::advance(ms(10)).await;
        assert_eq!(sleep.last_end(ms(61_000)), woke, "it has not slept again");
    }
}
