//! The door to the actors: the nodes of the cluster, and who holds what.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::consensus::peer::Peers;
use crate::consensus::{GroupView, Membership, NodeChange, NodeConflict, NodeRecord, Step, Unanswered};
use crate::engine::model::{PartitionId, Timestamp};
use crate::points::{self, Point};

use super::fitness::{Ability, Unfit};
use super::handle::Handle;
use super::passing::{Answer, Ask};
use super::request::Error;
use super::roster::Roster;
use super::route::{Repeat, misplaced};

/// How long the cluster may take to decide on a new node.
const JOIN_DEADLINE: Duration = Duration::from_secs(10);

/// How long another node may take to say how it stands. One that takes longer counts as out of reach.
const LOOK_DEADLINE: Duration = Duration::from_millis(700);

/// An answer that took longer tells nothing of a clock.
const CLOCK_ANSWER_MAX: Duration = Duration::from_millis(200);

/// Asks the cluster that a node at an address belongs to for a place in it. `peers` introduces this node, with the id it
/// wants or 0 for any.
///
/// Its place, or why the cluster will never take it.
///
/// # Errors
/// `Unavailable` if nobody there can decide it now.
pub async fn join(
    peers: &Peers,
    address: &str,
    roster: &Roster,
) -> Result<Result<NodeRecord, String>, Error> {
    let me = peers.me();
    let ask = Ask::Join(NodeChange::Register {
        id: me.node,
        incarnation: me.incarnation.0,
        peer: roster.peer.clone(),
        public: roster.public.clone(),
    });
    let unavailable = |reason: String| Error::Unavailable { reason };
    points::cross(Point::JoinBefore).await;
    let answer = match peers.ask_at(address, ask.encode(), JOIN_DEADLINE).await {
        Ok(answer) => answer,
        // Who is turned away at the door is another one than it says, or of another cluster.
        Err(Unanswered::Refused(why)) => return Ok(Err(why)),
        Err(why) => return Err(unavailable(why.to_string())),
    };
    points::cross(Point::JoinAnswered).await;
    match Answer::decode(&answer).map_err(|error| unavailable(error.to_string()))? {
        Answer::Node(node) => Ok(node.map_err(|conflict| conflict.to_string())),
        Answer::Failed(failure) => Err(failure.into()),
        other => Err(misplaced(&other)),
    }
}

/// The cluster, as this node sees it and as those it reaches see themselves.
#[derive(Debug, Clone)]
pub struct ClusterView {
    /// Its name.
    pub name: String,
    /// The node that was asked.
    pub node: u64,
    /// How many replicas each partition is to have, as that node was told.
    pub replicas: usize,
    /// All nodes, by id, but those that are gone for good.
    pub nodes: Vec<NodeView>,
    /// All partitions, the catalogue first.
    pub partitions: Vec<GroupView>,
}

impl ClusterView {
    /// The nodes that can lead instead of one, if they will do.
    pub(super) fn heirs(&self, of: u64, will_do: impl Fn(Ability) -> bool) -> BTreeSet<u64> {
        let will_do = |node: &&NodeView| node.reachable && will_do(Ability::of(&node.unfit));
        let able = self.nodes.iter().filter(will_do);
        able.map(|node| node.record.id).filter(|id| *id != of).collect()
    }
}

/// One node of it.
#[derive(Debug, Clone)]
pub struct NodeView {
    /// What the catalogue says of it.
    pub record: NodeRecord,
    /// It answers the node that was asked.
    pub reachable: bool,
    /// Why it does not.
    pub unreachable_reason: Option<String>,
    /// How many partitions it leads.
    pub leads: usize,
    /// How many partitions it has a vote in.
    pub votes: usize,
    /// Why it should not lead; nothing if it may, or does not answer.
    pub unfit: BTreeSet<Unfit>,
    /// Which of the partitions it leads have attempts in flight that should not be lost without need.
    pub(super) dear: BTreeSet<u16>,
    /// The nodes that do not answer it, be it a hiccup or not.
    pub(super) misses: BTreeSet<u64>,
    /// How far its clock is ahead of the asked node's, give or take the time an answer takes.
    pub clock_ahead_ms: Option<i64>,
}

/// How a node stands, as it says itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// All partitions, the catalogue first.
    pub(crate) groups: Vec<GroupView>,
    /// Why it should not lead.
    pub(crate) unfit: BTreeSet<Unfit>,
    /// What its clock says.
    pub(crate) now: Timestamp,
    /// In which partitions attempts are in flight that should not be lost without need.
    pub(crate) dear: BTreeSet<u16>,
    /// The nodes that do not answer it, be it a hiccup or not.
    pub(crate) misses: BTreeSet<u64>,
}

impl Handle {
    /// The cluster as it stands now. Nodes out of reach are waited for a moment.
    pub async fn cluster(&self) -> ClusterView {
        let machine = self.inner.consensus.machine(PartitionId::CATALOGUE);
        let records = machine.nodes().into_iter().filter(|node| node.membership != Membership::Removed);
        let asked = records.map(|record| async move {
            let asked = Instant::now();
            let standing = self.standing_of(record.id).await;
            let halfway =
                self.inner.world.clock.now().micros() as i64 - (asked.elapsed() / 2).as_micros() as i64;
            let ahead = |it: &Standing| (it.now.micros() as i64 - halfway) / 1_000;
            let clock = standing.as_ref().ok().filter(|_| asked.elapsed() < CLOCK_ANSWER_MAX).map(ahead);
            (record, standing, clock)
        });
        let answers = futures_util::future::join_all(asked).await;
        let mut partitions = self.group_views();
        for partition in &mut partitions {
            let told = answers.iter().flat_map(|(_, standing, _)| standing.iter().flat_map(|it| &it.groups));
            let told = told.filter(|view| view.partition == partition.partition);
            // Who leads under the newest fence knows best.
            if let Some(best) = told.filter(|view| view.epoch > 0).max_by_key(|view| view.epoch) {
                *partition = best.clone();
            }
        }
        let nodes = answers.into_iter().map(|(record, standing, clock_ahead_ms)| NodeView {
            reachable: standing.is_ok(),
            unreachable_reason: standing.as_ref().err().cloned(),
            leads: partitions.iter().filter(|partition| partition.leader == Some(record.id)).count(),
            votes: partitions.iter().filter(|partition| partition.voters.contains(&record.id)).count(),
            dear: standing.as_ref().map(|it| it.dear.clone()).unwrap_or_default(),
            misses: standing.as_ref().map(|it| it.misses.clone()).unwrap_or_default(),
            unfit: standing.map(|it| it.unfit).unwrap_or_default(),
            clock_ahead_ms,
            record,
        });
        ClusterView {
            name: self.inner.others.cluster_name(),
            node: self.inner.consensus.node(),
            replicas: self.inner.replicas,
            nodes: nodes.collect(),
            partitions,
        }
    }

    /// Hands every leadership over and takes none any more: the node is about to stop.
    pub async fn leave(&self) {
        self.inner.leaving.store(true, Ordering::SeqCst);
        points::cross(Point::LeaveBegun).await;
        let view = self.cluster().await;
        let heirs = |ability| view.heirs(self.inner.consensus.node(), |other| other == ability);
        let (good, fair) = (heirs(Ability::Good), heirs(Ability::Fair));
        let takes = |voters: &BTreeSet<u64>, node| {
            good.contains(&node) || fair.contains(&node) && good.is_disjoint(voters)
        };
        self.inner.consensus.hand_over(takes).await;
        points::cross(Point::LeaveDone).await;
    }

    /// Keeps an id for a node that will come.
    pub async fn reserve_node(&self) -> Result<NodeRecord, Error> {
        self.change_nodes(NodeChange::Reserve).await
    }

    /// Moves everything off a node.
    pub async fn drain_node(&self, id: u64) -> Result<NodeRecord, Error> {
        self.change_nodes(NodeChange::Set { id, membership: Membership::Draining }).await
    }

    /// Lets a node that drains hold replicas again.
    pub async fn undrain_node(&self, id: u64) -> Result<NodeRecord, Error> {
        self.change_nodes(NodeChange::Set { id, membership: Membership::Active }).await
    }

    /// Removes a node for good; its id is never used again. Errors: `StillHolds` while it votes and answers,
    /// unless `force`: then what it holds is held by the others alone.
    pub async fn remove_node(&self, id: u64, force: bool) -> Result<NodeRecord, Error> {
        let view = self.cluster().await;
        let node = view.nodes.iter().find(|node| node.record.id == id).ok_or(Error::NodeNotFound { id })?;
        if node.votes > 0 && node.reachable && !force {
            return Err(Error::StillHolds { id, partitions: node.votes });
        }
        self.change_nodes(NodeChange::Set { id, membership: Membership::Removed }).await
    }

    /// Changes the nodes, wherever the catalogue is led.
    pub(super) async fn change_nodes(&self, change: NodeChange) -> Result<NodeRecord, Error> {
        let id = match &change {
            NodeChange::Register { id, .. } | NodeChange::Set { id, .. } | NodeChange::Marked { id, .. } => {
                *id
            }
            NodeChange::Reserve => 0,
        };
        let repeat = match &change {
            NodeChange::Register { .. } | NodeChange::Set { .. } | NodeChange::Marked { .. } => {
                Repeat::Harmless
            }
            NodeChange::Reserve => Repeat::Never,
        };
        let here = || self.change_nodes_here(change.clone());
        let ask = || Ask::Nodes(change.clone());
        match self.carry_out(PartitionId::CATALOGUE, repeat, here, ask).await? {
            Answer::Node(Ok(node)) => Ok(node),
            Answer::Node(Err(NodeConflict::NotFound)) => Err(Error::NodeNotFound { id }),
            Answer::Node(Err(conflict)) => Err(Error::NodeRefused(conflict)),
            other => Err(misplaced(&other)),
        }
    }

    pub(super) async fn change_nodes_here(&self, change: NodeChange) -> Result<Answer, Error> {
        if let NodeChange::Set { id, membership: Membership::Draining } = change
            && is_last(id, &self.inner.consensus.machine(PartitionId::CATALOGUE).nodes())
        {
            return Err(Error::NodeRefused(NodeConflict::Last { id }));
        }
        if matches!(change, NodeChange::Reserve | NodeChange::Register { id: 0, .. }) {
            let voters = self.inner.consensus.group_view(PartitionId::CATALOGUE).voters;
            if let Some(node) =
                unrecorded(&voters, &self.inner.consensus.machine(PartitionId::CATALOGUE).nodes())
            {
                let reason = format!("the cluster is forming: node {node} has not registered yet");
                return Err(Error::Unavailable { reason });
            }
        }
        Ok(Answer::Node(self.inner.consensus.change_nodes(change).await?))
    }

    /// Changes the members of a partition, wherever it is led.
    pub(super) async fn reshape(&self, partition: PartitionId, step: Step) -> Result<(), Error> {
        let here = || self.reshape_here(partition, step.clone());
        let ask = || Ask::Reshape { partition, step: step.clone() };
        match self.carry_out(partition, Repeat::Never, here, ask).await? {
            Answer::Reshaped => Ok(()),
            other => Err(misplaced(&other)),
        }
    }

    pub(super) async fn reshape_here(&self, partition: PartitionId, step: Step) -> Result<Answer, Error> {
        self.inner.consensus.reshape(partition, step).await?;
        Ok(Answer::Reshaped)
    }

    /// All partitions as this node sees them, the catalogue first.
    pub(super) fn group_views(&self) -> Vec<GroupView> {
        let all = std::iter::once(PartitionId::CATALOGUE).chain(self.inner.consensus.partitions());
        all.map(|partition| self.inner.consensus.group_view(partition)).collect()
    }

    /// How this node stands.
    pub(super) fn standing(&self) -> Standing {
        let now = self.inner.world.clock.now();
        let dear = self.inner.partitions.iter().filter(|partition| partition.aloft.is_dear());
        let dear = dear.map(|partition| partition.id.0).collect();
        let (unfit, misses) = (self.unfit(), self.inner.fitness.misses());
        Standing { groups: self.group_views(), unfit, now, dear, misses }
    }

    /// How a node stands, or why it does not answer.
    async fn standing_of(&self, node: u64) -> Result<Standing, String> {
        if node == self.inner.consensus.node() {
            return Ok(self.standing());
        }
        match self.inner.others.ask(node, &Ask::Standing, LOOK_DEADLINE).await {
            Ok(Answer::Standing(standing)) => Ok(standing),
            Ok(other) => Err(misplaced(&other).to_string()),
            Err(Unanswered::Refused(why)) => Err(format!("it refuses this node: {why}")),
            Err(Unanswered::Unreachable(why) | Unanswered::Lost(why)) => Err(why),
        }
    }
}

/// Whether nobody else could hold what a node holds.
fn is_last(id: u64, nodes: &[NodeRecord]) -> bool {
    let stays = |node: &NodeRecord| node.id != id && node.membership == Membership::Active;
    nodes.iter().any(|node| node.id == id) && !nodes.iter().any(stays)
}

/// A node that votes without having registered. As long as there is one, nobody is given the next free id: it might be
/// that node's.
fn unrecorded(voters: &BTreeSet<u64>, nodes: &[NodeRecord]) -> Option<u64> {
    voters.iter().copied().find(|voter| nodes.iter().all(|node| node.id != *voter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_active_node_is_not_drained() {
        let node = |id, membership| NodeRecord { id, membership, ..NodeRecord::default() };
        let mut nodes = vec![node(1, Membership::Draining), node(2, Membership::Active)];
        nodes.push(node(3, Membership::Reserved));
        assert!(is_last(2, &nodes), "who has not come yet is nobody");
        assert!(!is_last(1, &nodes), "it drains already");
        assert!(!is_last(9, &nodes), "there is no such node");
        nodes.push(node(4, Membership::Active));
        assert!(!is_last(2, &nodes));
    }

    #[test]
    fn no_new_id_is_given_before_all_founders_are_known() {
        let node = |id| NodeRecord { id, ..NodeRecord::default() };
        let voters = BTreeSet::from([1, 2, 3]);
        assert_eq!(unrecorded(&voters, &[node(1), node(3)]), Some(2));
        assert_eq!(unrecorded(&voters, &[node(1), node(2), node(3), node(4)]), None);
    }
}
