//! Who leads: an announcement in the log, and a watch of it.
//!
//! Raft says that a node leads as soon as a quorum has granted its vote. That is too early to act: entries of
//! earlier leaders may not be applied yet, and nothing fences the leader before. So a new leader appends an
//! announcement. Once that is applied here the state is complete, and the index of the announcement is the
//! epoch that every append carries.
//!
//! A leader that hears nothing from a quorum for one lease says that it does not lead, until it does again or
//! has been replaced. If that lasts it asks another voter to lead: it may be the only one that hears nothing, and as
//! long as the others hear its heartbeats none of them would stand for election.
//!
//! Caveat: to lead is a belief. A leader that was cut off goes on believing for a lease; nothing it appends is
//! committed, but what it reads may be old. `Handle::linearize` asks a quorum.

use std::sync::Arc;
use std::time::Duration;

use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use tokio::sync::watch;

use crate::engine::model::{Epoch, PartitionId};
use crate::points::{self, Point};
use crate::world::World;

use super::applied::Applied;
use super::fatal::Fatal;
use super::lease::Lease;
use super::state_machine::Raft;
use super::types::{Answer, LeaderId, Proposal, Types};
use super::{Command, Leadership, Reply};

/// Leases after which a leader that hears nothing gives up: time for an election, in which it would have been replaced
/// if it were not heard.
const LEASES_DEAF_MAX: u32 = 2;

/// The wait before a leadership that could not be announced is looked at again.
const ANNOUNCE_AGAIN: Duration = Duration::from_millis(1);

/// Announces this node's leaderships of one partition and tells of everyone's.
pub(super) struct Herald {
    pub(super) partition: PartitionId,
    pub(super) node: u64,
    pub(super) boot: u64,
    pub(super) raft: Raft,
    pub(super) applied: Arc<Applied>,
    pub(super) world: World,
    /// How long an announcement may take before it is repeated.
    pub(super) patience: Duration,
    pub(super) lease: Lease,
    pub(super) watch: watch::Sender<Leadership>,
    pub(super) fatal: Fatal,
}

/// How long a leader has heard nothing.
#[derive(Debug, Default)]
struct Deafness {
    since: Option<tokio::time::Instant>,
    /// How often somebody was asked to lead instead.
    asked: usize,
}

impl Deafness {
    /// Whether it has lasted for `limit` once more.
    fn lasts(&mut self, hears: bool, limit: Duration) -> bool {
        if hears {
            *self = Self::default();
            return false;
        }
        let now = tokio::time::Instant::now();
        let lasts = now.duration_since(*self.since.get_or_insert(now)) >= limit;
        if lasts {
            self.since = Some(now);
            self.asked += 1;
        }
        lasts
    }
}

/// What Raft believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belief {
    Leading(LeaderId),
    Following(Option<u64>),
}

impl Belief {
    pub(super) fn of(metrics: &RaftServerMetrics<Types>) -> Self {
        match metrics.state {
            ServerState::Leader => Self::Leading(metrics.vote.leader_id),
            ServerState::Learner | ServerState::Follower | ServerState::Candidate | ServerState::Shutdown => {
                Self::Following(metrics.current_leader)
            }
        }
    }
}

impl Herald {
    /// Runs until the node stops.
    pub(super) async fn run(self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.follow() => self.fatal.raise(self.partition, "Raft has stopped"),
        }
        self.tell(Leadership::Following { leader: None });
    }

    /// Runs until Raft ends.
    async fn follow(&self) {
        let mut announced = None;
        let mut deafness = Deafness::default();
        let mut metrics = self.raft.server_metrics();
        loop {
            let belief = Belief::of(&metrics.borrow_watched());
            match (belief, announced) {
                (Belief::Leading(leader), Some((known, epoch))) if leader == known => {
                    let hears = self.lease.hears();
                    self.tell(if hears {
                        Leadership::Leading { epoch }
                    } else {
                        Leadership::Following { leader: None }
                    });
                    if deafness.lasts(hears, self.lease.length * LEASES_DEAF_MAX) {
                        self.give_up(deafness.asked).await;
                    }
                }
                (Belief::Leading(leader), _) => {
                    self.tell(Leadership::Following { leader: None });
                    self.lease.begin();
                    announced = self.announce(leader).await.map(|epoch| (leader, epoch));
                    if announced.is_some() {
                        continue;
                    }
                }
                (Belief::Following(leader), _) => {
                    announced = None;
                    deafness = Deafness::default();
                    self.tell(Leadership::Following { leader });
                }
            }
            let changed = metrics.changed();
            let look_again = match (belief, announced) {
                (Belief::Leading(_), None) => Some(ANNOUNCE_AGAIN),
                // Silence is a change too, and nobody tells of it.
                (_, Some(_)) if !self.applied.is_sole_voter(self.node) => Some(self.lease.length / 4),
                (_, Some(_) | None) => None,
            };
            let changed = match look_again {
                Some(wait) => tokio::time::timeout(wait, changed).await.unwrap_or(Ok(())),
                None => changed.await,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Asks another voter to lead, each time another one.
    async fn give_up(&self, asked: usize) {
        let others = self.applied.voters().into_iter().filter(|voter| *voter != self.node);
        let others: Vec<u64> = others.collect();
        let Some(to) = others.get(asked % others.len().max(1)) else { return };
        if asked == 0 {
            tracing::info!(partition = %self.partition, "a leader that hears nothing asks the others to lead");
        }
        self.lease.give_back();
        // If Raft has ended, so has this in a moment.
        let _asked = self.raft.trigger().transfer_leader(*to).await;
    }

    /// Appends the announcement and waits until it is applied. `None`: look again who leads.
    async fn announce(&self, leader: LeaderId) -> Option<Epoch> {
        points::cross(Point::Elected).await;
        let at = self.world.clock.now().max(self.applied.at());
        let command = Command::LeaderEpoch { node: self.node, boot: self.boot, at };
        let (responder, applied) = openraft::impls::ProgressResponder::complete_only();
        let write = async {
            self.raft.write(Proposal::new(command)).with_leader(leader).responder(responder).await.ok()?;
            applied.await.ok()?.ok()
        };
        let response = tokio::select! {
            biased;
            // After a restart everything since the last checkpoint is applied first.
            response = tokio::time::timeout(self.patience, write) => response.ok(),
            () = self.loses(leader) => None,
        };
        match response {
            Some(Some(response)) => match response.data {
                Answer(Reply::Epoch(epoch)) => {
                    points::cross(Point::EpochCommitted).await;
                    Some(epoch)
                }
                Answer(other) => unreachable!("an announcement is answered by {other:?}"),
            },
            // Leadership is gone again, or Raft has ended: it will say so in a moment.
            Some(None) | None => None,
        }
    }

    /// Waits until Raft does not believe any more that this leadership lasts.
    async fn loses(&self, leader: LeaderId) {
        let mut metrics = self.raft.server_metrics();
        while Belief::of(&metrics.borrow_watched()) == Belief::Leading(leader) {
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }

    fn tell(&self, leadership: Leadership) {
        self.watch.send_if_modified(|known| std::mem::replace(known, leadership) != leadership);
    }
}
