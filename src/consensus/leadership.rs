//! Who leads: an announcement in the log, and a watch of it.
//!
//! Raft says that a node leads as soon as a quorum has granted its vote. That is too early to act: entries of
//! earlier leaders may not be applied yet, and nothing fences the leader before. So a new leader appends an
//! announcement. Once that is applied here the state is complete, and the index of the announcement is the
//! epoch that every append carries.
//!
//! Caveat: to lead is a belief. A leader that was cut off goes on believing for a while; nothing it appends
//! is committed, but what it reads may be old. `Handle::linearize` asks a quorum.

use std::sync::Arc;
use std::time::Duration;

use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use tokio::sync::watch;

use crate::engine::model::{Epoch, PartitionId};
use crate::world::World;

use super::applied::Applied;
use super::fatal::Fatal;
use super::state_machine::Raft;
use super::types::{Answer, LeaderId, Proposal};
use super::{Command, Leadership, Reply};

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
    pub(super) watch: watch::Sender<Leadership>,
    pub(super) fatal: Fatal,
}

/// What Raft believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Belief {
    Leading(LeaderId),
    Following(Option<u64>),
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
        let mut metrics = self.raft.server_metrics();
        let mut announced = None;
        loop {
            let belief = {
                let metrics = metrics.borrow_watched();
                match metrics.state {
                    ServerState::Leader => Belief::Leading(metrics.vote.leader_id),
                    ServerState::Learner
                    | ServerState::Follower
                    | ServerState::Candidate
                    | ServerState::Shutdown => Belief::Following(metrics.current_leader),
                }
            };
            match belief {
                Belief::Leading(leader) if announced == Some(leader) => {}
                Belief::Leading(leader) => {
                    self.tell(Leadership::Following { leader: None });
                    let Some(epoch) = self.announce(leader).await else { continue };
                    announced = Some(leader);
                    self.tell(Leadership::Leading { epoch });
                }
                Belief::Following(leader) => {
                    announced = None;
                    self.tell(Leadership::Following { leader });
                }
            }
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }

    /// Appends the announcement and waits until it is applied. `None`: look again who leads.
    async fn announce(&self, leader: LeaderId) -> Option<Epoch> {
        let at = self.world.clock.now().max(self.applied.at());
        let command = Command::LeaderEpoch { node: self.node, boot: self.boot, at };
        let (responder, applied) = openraft::impls::ProgressResponder::complete_only();
        let write = async {
            self.raft.write(Proposal::new(command)).with_leader(leader).responder(responder).await.ok()?;
            applied.await.ok()?.ok()
        };
        match tokio::time::timeout(self.patience, write).await {
            Ok(Some(response)) => match response.data {
                Answer(Reply::Epoch(epoch)) => Some(epoch),
                Answer(other) => unreachable!("an announcement is answered by {other:?}"),
            },
            Ok(None) => {
                // Leadership is gone again; its loss will be told in a moment.
                tokio::time::sleep(Duration::from_millis(1)).await;
                None
            }
            Err(_) => None,
        }
    }

    fn tell(&self, leadership: Leadership) {
        self.watch.send_if_modified(|known| std::mem::replace(known, leadership) != leadership);
    }
}
