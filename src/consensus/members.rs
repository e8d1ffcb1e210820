//! Who holds a partition: how it is seen, and how it is changed, one step at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::{BasicNode, ChangeMembers};
use serde::{Deserialize, Serialize};

use crate::engine::model::{Epoch, PartitionId};
use crate::points::{self, Point};

use super::handle::Handle;
use super::types::Types;
use super::{Error, Leadership};

/// How long a step may take. A new voter has caught up before it votes, so this is a few commits.
const STEP_DEADLINE: Duration = Duration::from_secs(10);

/// How long a leader waits for its successor. It stays what it is if none comes.
const TRANSFER_DEADLINE: Duration = Duration::from_secs(2);

/// A transfer that was lost on the way is asked for again.
const TRANSFER_AGAIN: Duration = Duration::from_millis(100);

/// Entries a new replica may lack and still count as caught up: it gets the rest while it becomes a voter.
const CAUGHT_UP: u64 = 256;

/// A partition as one of its replicas sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Which.
    pub partition: u16,
    /// Who leads it.
    pub leader: Option<u64>,
    /// The fence of its leadership; 0 if it is not led here.
    pub epoch: u64,
    /// Who votes.
    pub voters: BTreeSet<u64>,
    /// Who follows without a vote.
    pub learners: BTreeSet<u64>,
    /// Where each member listens.
    pub addresses: BTreeMap<u64, String>,
    /// A change of the voters is under way.
    pub changing: bool,
    /// The last entry of this replica's log.
    pub last: u64,
    /// The last entry this replica has applied.
    pub applied: u64,
    /// How many entries each member lacks, as the leader knows; only there. Without who has not told a new leader yet.
    pub behind: BTreeMap<u64, u64>,
}

impl Group {
    /// Whether a member has all but the newest entries.
    #[must_use]
    pub fn caught_up(&self, node: u64) -> bool {
        self.behind.get(&node).is_some_and(|behind| *behind <= CAUGHT_UP)
    }
}

/// One change of a partition's members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Begin to send it everything.
    AddLearner {
        /// Which node.
        node: u64,
        /// Where it listens.
        address: String,
    },
    /// These vote from now on; whoever voted before follows.
    SetVoters(BTreeSet<u64>),
    /// It is sent nothing any more.
    RemoveLearner(u64),
    /// It listens elsewhere.
    Move {
        /// Which node.
        node: u64,
        /// Where it listens now.
        address: String,
    },
    /// Another voter leads.
    Transfer {
        /// Which.
        to: u64,
    },
}

impl Handle {
    /// A partition as this node sees it.
    #[must_use]
    pub fn group_view(&self, partition: PartitionId) -> Group {
        let group = self.group(partition);
        let (leader, Epoch(epoch)) = match *group.leadership.borrow() {
            Leadership::Leading { epoch } => (Some(self.node()), epoch),
            Leadership::Following { leader } => (leader, Epoch(0)),
        };
        let metrics = group.raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let index = |id: Option<super::types::LogId>| id.map_or(0, |id| id.index);
        let applied = index(metrics.last_applied);
        // Raft tells of the log a moment later than of what was applied.
        let last = metrics.last_log_index.unwrap_or(0).max(applied);
        let replication = metrics.replication.iter().flatten();
        Group {
            partition: partition.0,
            leader,
            epoch,
            voters: membership.voter_ids().collect(),
            learners: membership.learner_ids().collect(),
            addresses: membership.nodes().map(|(id, node)| (*id, node.addr.clone())).collect(),
            changing: membership.get_joint_config().len() > 1,
            last,
            applied,
            behind: replication
                .filter_map(|(node, matched)| Some((*node, last.saturating_sub((*matched)?.index))))
                .collect(),
        }
    }

    /// Whether this node is a member of a partition, as far as its log tells.
    #[must_use]
    pub fn is_member(&self, partition: PartitionId) -> bool {
        let metrics = self.group(partition).raft.server_metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.membership().get_node(&self.node()).is_some()
    }

    /// Changes the members of a partition this node leads. When this answers, the change is committed.
    ///
    /// # Errors
    /// [`Error::NoLeader`] if another node leads; [`Error::Timeout`] if the outcome is unknown.
    pub async fn reshape(&self, partition: PartitionId, step: Step) -> Result<(), Error> {
        let raft = &self.group(partition).raft;
        let node = |id: u64, addr: String| BTreeMap::from([(id, BasicNode { addr })]);
        let change = match step {
            Step::AddLearner { node: id, address } => ChangeMembers::AddNodes(node(id, address)),
            Step::SetVoters(voters) => ChangeMembers::ReplaceAllVoters(voters),
            Step::RemoveLearner(id) => ChangeMembers::RemoveNodes(BTreeSet::from([id])),
            Step::Move { node: id, address } => ChangeMembers::SetNodes(node(id, address)),
            Step::Transfer { to } => return self.transfer(partition, to).await,
        };
        let late = |_| Error::Timeout { ms: u64::try_from(STEP_DEADLINE.as_millis()).unwrap_or(u64::MAX) };
        points::cross(Point::MembersBefore).await;
        let changed = tokio::time::timeout(STEP_DEADLINE, raft.change_membership(change, true)).await;
        points::cross(Point::MembersChanged).await;
        match changed.map_err(late)? {
            Ok(_) => Ok(()),
            Err(error) => Err(refusal(partition, error)),
        }
    }

    /// Hands the leadership of a partition to another voter, and waits until it leads.
    ///
    /// # Errors
    /// [`Error::NoLeader`] if another node leads already, [`Error::Timeout`] if the other one did not take it.
    pub async fn transfer(&self, partition: PartitionId, to: u64) -> Result<(), Error> {
        let group = self.group(partition);
        let mut leadership = group.leadership.clone();
        let moved = async {
            loop {
                let known = *leadership.borrow_and_update();
                match known {
                    Leadership::Following { leader: Some(leader) } if leader != self.node() => return Ok(()),
                    Leadership::Following { .. } | Leadership::Leading { .. } => {}
                }
                points::cross(Point::HandOverBefore).await;
                group.lease.give_back();
                group.raft.trigger().transfer_leader(to).await.map_err(|_| Error::Stopped)?;
                points::cross(Point::HandOverAsked).await;
                if let Ok(Err(_)) = tokio::time::timeout(TRANSFER_AGAIN, leadership.changed()).await {
                    // Nobody tells any more who leads: without this the loop would not pause.
                    return Err(Error::Stopped);
                }
            }
        };
        let ms = u64::try_from(TRANSFER_DEADLINE.as_millis()).unwrap_or(u64::MAX);
        tokio::time::timeout(TRANSFER_DEADLINE, moved).await.unwrap_or(Err(Error::Timeout { ms }))
    }

    /// Says in which partitions this node stands for election, by which it is and who votes there. It goes on voting, and
    /// leads what it leads.
    pub fn set_electable(&self, stands: impl Fn(PartitionId, &BTreeSet<u64>) -> bool) {
        for group in self.all_groups() {
            group.raft.runtime_config().elect(stands(group.partition, &group.applied.voters()));
        }
    }

    /// Hands over every partition this node leads, each to the voter that lacks least among those that will do, as far as
    /// its voters tell. Those that nobody takes in time are kept.
    pub async fn hand_over(&self, will_do: impl Fn(&BTreeSet<u64>, u64) -> bool) {
        let all = std::iter::once(PartitionId::CATALOGUE).chain(self.partitions());
        let led = all.filter(|id| matches!(*self.leadership(*id).borrow(), Leadership::Leading { .. }));
        let moves = led.filter_map(|id| {
            let view = self.group_view(id);
            let will_do = |voter: &&u64| **voter != self.node() && will_do(&view.voters, **voter);
            let others = view.voters.iter().filter(will_do);
            let next = others.min_by_key(|voter| view.behind.get(*voter).copied().unwrap_or(u64::MAX))?;
            Some((id, *next))
        });
        let moves = moves.map(|(id, next)| async move {
            if let Err(error) = self.transfer(id, next).await {
                tracing::warn!(partition = %id, to = next, %error, "not handed over");
            }
        });
        futures_util::future::join_all(moves).await;
    }
}

fn refusal(partition: PartitionId, error: RaftError<Types, ClientWriteError<Types>>) -> Error {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(to)) => {
            Error::NoLeader { partition, hint: to.leader_id }
        }
        RaftError::APIError(ClientWriteError::LogEntryDiscarded(to)) => {
            Error::LeadershipLost { partition, hint: to.leader_id }
        }
        RaftError::APIError(
            error @ (ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_)),
        ) => Error::Members { partition, reason: error.to_string() },
        RaftError::Fatal(_) => Error::Stopped,
    }
}
