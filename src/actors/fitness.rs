//! Whether this node should lead anything.
//!
//! A node can be alive, vote, and still be the wrong one to lead: its disk is full or slow, its clock is far from
//! everybody else's, or it reaches the others and they cannot call it, so that nothing is passed on to it, and what it
//! follows does not arrive: until they can, it passes on what it is asked. Each look asks all nodes how they stand. A
//! node that finds itself unfit while fit ones answer stands in no election any more and hands its leaderships to them;
//! when it is fit again it takes part as before. One whose disk is nearly full does so where others have more room, and
//! is still better than one that is unfit for another reason.
//!
//! A node whose fellows are unfit too goes on, and one stands where nobody has led for a second: a slow leader is better
//! than none. One that cannot hear enough clocks to know whose is wrong believes its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::engine::model::PartitionId;

use super::cluster::{ClusterView, NodeView};
use super::disk::DiskRoom;
use super::handle::Handle;

/// A clock this far from the median of all is wrong: promises to wake somebody would be broken by as much.
const CLOCK_OFF_MS: i64 = 500;
/// At this distance it is right again: half, so that it does not flicker.
const CLOCK_RIGHT_MS: i64 = 250;
/// Clocks that have to be known before one can be called wrong.
const CLOCKS_MIN: usize = 3;
/// A disk whose commits take this long keeps everybody waiting for several elections.
const DISK_SLOW: Duration = Duration::from_millis(500);
/// At this delay it is good again.
const DISK_GOOD: Duration = Duration::from_millis(100);
/// Looks in a row that have to find a disk slow: a single hiccup costs less than a hand-over.
const SLOW_LOOKS: u32 = 3;
/// Looks in a row that have to find it good again.
const GOOD_LOOKS: u32 = 10;

/// An election takes less, and so does an answer.
const HICCUP: Duration = Duration::from_secs(1);

/// Why a node should not lead. Add variants at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Unfit {
    /// Its disk is full: nothing may be written that can wait.
    DiskFull,
    /// Its commits take long.
    DiskSlow,
    /// Its clock is far from the others'.
    ClockOff,
    /// It reaches the others, and too few of them can call it.
    CutOff,
    /// Its disk is nearly full: where it leads no new executions are taken.
    DiskScarce,
}

impl Unfit {
    /// All there are.
    pub const ALL: [Self; 5] =
        [Self::DiskFull, Self::DiskSlow, Self::ClockOff, Self::CutOff, Self::DiskScarce];

    /// A stable word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DiskFull => "disk_full",
            Self::DiskSlow => "disk_slow",
            Self::ClockOff => "clock_off",
            Self::CutOff => "cut_off",
            Self::DiskScarce => "disk_scarce",
        }
    }
}

/// How well a node can lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ability {
    /// It should not.
    Poor,
    /// What runs goes on there, and nothing new begins.
    Fair,
    /// There is nothing against it.
    Good,
}

impl Ability {
    pub(super) fn of(unfit: &BTreeSet<Unfit>) -> Self {
        if unfit.iter().any(|why| *why != Unfit::DiskScarce) {
            return Self::Poor;
        }
        if unfit.is_empty() { Self::Good } else { Self::Fair }
    }
}

/// What this node found out about itself.
#[derive(Debug, Default)]
pub(super) struct Fitness(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    unfit: BTreeSet<Unfit>,
    /// Too few others reach this node.
    missed: Since<()>,
    /// Looks in a row that found the disk otherwise than it was.
    disk_looks: u32,
    /// Partitions that nobody leads.
    leaderless: Since<u16>,
    /// Nodes that do not answer.
    silent: Since<u64>,
}

/// What is so, and since when.
#[derive(Debug)]
struct Since<K>(BTreeMap<K, Instant>);

impl<K> Default for Since<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Copy> Since<K> {
    fn note(&mut self, now: impl Iterator<Item = K>) {
        let at = Instant::now();
        self.0 = now.map(|key| (key, self.0.get(&key).copied().unwrap_or(at))).collect();
    }

    /// Whether it is no hiccup.
    fn lasts(&self, key: K) -> bool {
        self.0.get(&key).is_some_and(|since| since.elapsed() >= HICCUP)
    }

    /// Whether some of it may be one.
    fn is_new(&self) -> bool {
        self.0.values().any(|since| since.elapsed() < HICCUP)
    }
}

impl Fitness {
    /// Why this node should not lead; nothing if it may.
    pub(super) fn unfit(&self) -> BTreeSet<Unfit> {
        self.state().unfit.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of who leads and who answers.
    fn look(&self, view: &ClusterView, me: u64) {
        let mut state = self.state();
        let leaderless = view.partitions.iter().filter(|group| group.leader.is_none());
        state.leaderless.note(leaderless.map(|group| group.partition));
        let silent = view.nodes.iter().filter(|node| node.record.id != me && !node.reachable);
        state.silent.note(silent.map(|node| node.record.id));
    }

    /// The others cannot call this node.
    pub(super) fn is_cut_off(&self) -> bool {
        self.state().unfit.contains(&Unfit::CutOff)
    }

    /// The nodes that do not answer this one, be it a hiccup or not.
    pub(super) fn misses(&self) -> BTreeSet<u64> {
        self.state().silent.0.keys().copied().collect()
    }

    /// Whether something has begun that may be a hiccup: a node does not answer, or the others do not reach this one.
    pub(super) fn is_in_doubt(&self) -> bool {
        let state = self.state();
        state.silent.is_new() || state.missed.is_new()
    }

    /// Whether a node has not answered this one for a while.
    pub(super) fn is_silent(&self, node: u64) -> bool {
        self.state().silent.lasts(node)
    }

    fn is_leaderless(&self, partition: PartitionId) -> bool {
        self.state().leaderless.lasts(partition.0)
    }

    /// Takes note of how this node stands, and tells what has changed. `called` tells whether the others can call it.
    fn note(&self, room: DiskRoom, delay: Duration, clocks: &[i64], called: bool) -> BTreeSet<Unfit> {
        let mut state = self.state();
        let before = state.unfit.clone();
        // Timed here, not by those who miss it: after the end of an outage they find it again within a second.
        state.missed.note((!called).then_some(()).into_iter());
        let cut_off = state.missed.lasts(());
        state.set(Unfit::CutOff, cut_off);
        state.set(Unfit::DiskFull, room == DiskRoom::Full);
        state.set(Unfit::DiskScarce, room == DiskRoom::Scarce);
        state.note_delay(delay);
        let off_from = if before.contains(&Unfit::ClockOff) { CLOCK_RIGHT_MS } else { CLOCK_OFF_MS };
        // What was found when there were enough to tell says nothing of now: its own may have been put right since, and
        // with too few nodes to tell, it may be the only one left that can lead.
        state.set(Unfit::ClockOff, median(clocks).is_some_and(|median| median.abs() > off_from));
        before.symmetric_difference(&state.unfit).copied().collect()
    }
}

impl State {
    fn set(&mut self, why: Unfit, holds: bool) {
        if holds {
            self.unfit.insert(why);
        } else {
            self.unfit.remove(&why);
        }
    }

    fn note_delay(&mut self, delay: Duration) {
        let slow = self.unfit.contains(&Unfit::DiskSlow);
        let otherwise = if slow { delay < DISK_GOOD } else { delay > DISK_SLOW };
        self.disk_looks = if otherwise { self.disk_looks + 1 } else { 0 };
        if self.disk_looks >= if slow { GOOD_LOOKS } else { SLOW_LOOKS } {
            self.set(Unfit::DiskSlow, !slow);
            self.disk_looks = 0;
        }
    }
}

/// The one in the middle, the smaller of two; none if there are too few to tell who is wrong.
fn median(clocks: &[i64]) -> Option<i64> {
    let mut sorted = clocks.to_vec();
    sorted.sort_unstable();
    (sorted.len() >= CLOCKS_MIN).then(|| sorted[(sorted.len() - 1) / 2])
}

/// Whether a majority of the nodes that are up, this one included, can call it. One that nobody answers is down itself.
fn is_called(others: usize, callers: usize) -> bool {
    others == 0 || (callers + 1) * 2 > others + 1
}

/// Whether some of the voters can lead instead of a node that is unfit. One that is cut off has no vote to give them.
fn can_do_without(unfit: &BTreeSet<Unfit>, voters: &BTreeSet<u64>, heirs: &BTreeSet<u64>) -> bool {
    let able = voters.intersection(heirs).count();
    if unfit.contains(&Unfit::CutOff) { able * 2 > voters.len() } else { able > 0 }
}

impl Handle {
    /// Why this node should not lead; nothing if it may.
    #[must_use]
    pub fn unfit(&self) -> BTreeSet<Unfit> {
        self.inner.fitness.unfit()
    }

    /// Looks at this node among the others, and gives way if it should.
    pub(super) async fn judge_fitness(&self, view: &ClusterView) {
        let me = self.inner.consensus.node();
        let others: Vec<&NodeView> =
            view.nodes.iter().filter(|node| node.record.id != me && node.reachable).collect();
        let mut clocks: Vec<i64> = others.iter().filter_map(|node| node.clock_ahead_ms).collect();
        clocks.push(0);
        let delay = self.inner.consensus.commit_delay();
        let callers = others.iter().filter(|other| !other.misses.contains(&me)).count();
        let called = is_called(others.len(), callers);
        let changed = self.inner.fitness.note(self.disk_room(), delay, &clocks, called);
        let unfit = self.unfit();
        for why in changed {
            let (reason, holds) = (why.as_str(), unfit.contains(&why));
            metrics::gauge!("everstep_unfit", "reason" => reason).set(f64::from(u8::from(holds)));
            if holds && why == Unfit::DiskScarce {
                tracing::warn!(reason, "nodes with more room should lead");
            } else if holds {
                tracing::error!(reason, ?delay, ?clocks, callers, "this node should not lead");
            } else {
                tracing::info!(reason, "this node may lead again");
            }
        }
        let ability = Ability::of(&unfit);
        let heirs = view.heirs(me, |other| other > ability);
        self.inner.fitness.look(view, me);
        let reached = |id: u64| view.nodes.iter().any(|node| node.record.id == id && node.reachable);
        let unled = view.partitions.iter().filter(|it| !it.leader.is_some_and(reached)).count();
        metrics::gauge!("everstep_partitions_without_leader").set(unled as f64);
        let others_do = |voters: &BTreeSet<u64>| can_do_without(&unfit, voters, &heirs);
        // Where nobody else will do, or nobody else does it, a leader that should not lead is better than none.
        self.inner.consensus.set_electable(|partition, voters| {
            unfit.is_empty() || !others_do(voters) || self.inner.fitness.is_leaderless(partition)
        });
        if !unfit.is_empty() {
            let takes = |voters: &BTreeSet<u64>, node| others_do(voters) && heirs.contains(&node);
            self.inner.consensus.hand_over(takes).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(fitness: &Fitness, delay_ms: u64, clocks: &[i64]) -> Vec<Unfit> {
        fitness.note(DiskRoom::Ample, Duration::from_millis(delay_ms), clocks, true);
        fitness.unfit().into_iter().collect()
    }

    #[test]
    fn the_clock_that_is_off_knows_it_and_the_others_do_not_doubt_theirs() {
        let (wrong, right) = (Fitness::default(), Fitness::default());
        assert_eq!(note(&wrong, 1, &[-2_000, -2_001, 0]), [Unfit::ClockOff]);
        assert_eq!(note(&right, 1, &[0, 2_000, 3]), []);
        assert_eq!(note(&wrong, 1, &[-400, -401, 0]), [Unfit::ClockOff], "not quite right again");
        assert_eq!(note(&wrong, 1, &[-100, -101, 0]), []);
    }

    #[test]
    fn of_two_clocks_nobody_knows_which_is_wrong() {
        let fitness = Fitness::default();
        assert_eq!(note(&fitness, 1, &[-9_000, 0]), []);
        assert_eq!(note(&fitness, 1, &[0]), []);
    }

    #[test]
    fn a_clock_that_was_off_is_believed_where_nobody_can_tell_any_more() {
        let fitness = Fitness::default();
        assert_eq!(note(&fitness, 1, &[1_205, 1_205, 0]), [Unfit::ClockOff]);
        assert_eq!(note(&fitness, 1, &[2, 0]), [], "one of three is gone, and the two have to go on");
    }

    #[test]
    fn a_disk_is_slow_when_it_stays_slow() {
        let fitness = Fitness::default();
        assert_eq!(note(&fitness, 900, &[0]), []);
        assert_eq!(note(&fitness, 10, &[0]), [], "a hiccup");
        for _ in 1..SLOW_LOOKS {
            assert_eq!(note(&fitness, 900, &[0]), []);
        }
        assert_eq!(note(&fitness, 900, &[0]), [Unfit::DiskSlow]);
        for _ in 1..GOOD_LOOKS {
            assert_eq!(note(&fitness, 10, &[0]), [Unfit::DiskSlow]);
        }
        assert_eq!(note(&fitness, 10, &[0]), []);
    }

    #[tokio::test(start_paused = true)]
    async fn what_lasts_is_no_hiccup() {
        let mut since = Since::default();
        since.note([1, 2].into_iter());
        assert!(!since.lasts(2) && since.is_new());
        tokio::time::advance(HICCUP).await;
        assert!(!since.is_new());
        since.note([2, 3].into_iter());
        assert!(since.lasts(2) && !since.lasts(3) && !since.lasts(1) && since.is_new());
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_the_others_cannot_call_should_not_lead() {
        assert!(is_called(0, 0) && is_called(2, 1) && is_called(4, 2));
        assert!(!is_called(1, 0) && !is_called(2, 0) && !is_called(4, 1));
        let fitness = Fitness::default();
        let note = |called| fitness.note(DiskRoom::Ample, Duration::ZERO, &[0], called);
        assert!(note(false).is_empty(), "it has just come back");
        assert!(fitness.is_in_doubt(), "it is looked again soon");
        tokio::time::advance(HICCUP).await;
        assert_eq!(note(false), BTreeSet::from([Unfit::CutOff]));
        assert!(!fitness.is_in_doubt());
        assert!(fitness.is_cut_off());
        assert_eq!(note(true), BTreeSet::from([Unfit::CutOff]));
        assert!(fitness.unfit().is_empty() && !fitness.is_cut_off());
        let (voters, cut_off) = (BTreeSet::from([1, 2, 3]), BTreeSet::from([Unfit::CutOff]));
        assert!(can_do_without(&cut_off, &voters, &BTreeSet::from([2, 3, 4])));
        assert!(!can_do_without(&cut_off, &voters, &BTreeSet::from([2, 4])), "they would need its vote");
        assert!(can_do_without(&BTreeSet::from([Unfit::DiskFull]), &voters, &BTreeSet::from([2])));
    }

    #[test]
    fn a_full_disk_should_not_lead() {
        let fitness = Fitness::default();
        fitness.note(DiskRoom::Full, Duration::ZERO, &[0], true);
        assert!(fitness.unfit().contains(&Unfit::DiskFull));
        assert_eq!(Ability::of(&fitness.unfit()), Ability::Poor);
        fitness.note(DiskRoom::Scarce, Duration::ZERO, &[0], true);
        assert_eq!(fitness.unfit(), BTreeSet::from([Unfit::DiskScarce]));
        assert_eq!(Ability::of(&fitness.unfit()), Ability::Fair, "better than none at all");
        fitness.note(DiskRoom::Ample, Duration::ZERO, &[0], true);
        assert_eq!(Ability::of(&fitness.unfit()), Ability::Good);
    }
}
