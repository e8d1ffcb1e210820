//! Keeps this node in the catalogue, and the catalogue's nodes in reach.
//!
//! At each start a node tells the catalogue its disk, its addresses and its last mark, again and again until that is
//! recorded, and from then on the marks that it makes. Whenever the catalogue's nodes change it reads there who the
//! others are: where to dial them, which disk each one has and which mark was its last, so that one that was replaced
//! or went back is turned away at once. Every second, and more often at a start, it asks them how they stand.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::consensus::peer::{Disk, Incarnation, Peers};
use crate::consensus::{Membership, NodeChange, NodeRecord};
use crate::engine::model::PartitionId;

use super::handle::Handle;
use super::request::Error;

/// Between two looks at the others.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Between two looks while it is not known who leads, or whether somebody is gone or this node cannot be called: at a
/// start, after the fall of a node, and when a network begins to fail.
const LOOK_SOON: Duration = Duration::from_millis(200);

/// Between two marks: a copy of the directory that is older than that is known when it comes back.
const MARK_EVERY: Duration = Duration::from_secs(30);

/// How this node wants to be known.
#[derive(Debug, Clone)]
pub struct Roster {
    /// Where other nodes reach it; empty if it is alone.
    pub peer: String,
    /// Where users reach it.
    pub public: String,
    /// How many replicas each partition has, if there are as many nodes.
    pub replicas: usize,
}

impl Default for Roster {
    fn default() -> Self {
        Self { peer: String::new(), public: String::new(), replicas: 3 }
    }
}

/// Runs until the node stops.
pub(super) async fn keep(handle: Handle, peers: Peers, roster: Roster) {
    // Side by side: the catalogue may be led by a node that only the catalogue tells where to find.
    tokio::join!(register(&handle, &peers, &roster), follow(&handle, &peers), look_around(&handle));
}

/// Tells the catalogue of this node, and from then on of the marks it makes.
async fn register(handle: &Handle, peers: &Peers, roster: &Roster) {
    let me = peers.me();
    let (id, incarnation) = (me.node, me.incarnation.0);
    let (peer, public) = (roster.peer.clone(), roster.public.clone());
    record(handle, NodeChange::Register { id, incarnation, peer, public }).await;
    let mut marks = me.marks;
    loop {
        record(handle, NodeChange::Marked { id, incarnation, marks }).await;
        marks = loop {
            tokio::time::sleep(MARK_EVERY).await;
            match peers.make_mark().await {
                Ok(Some(marks)) => break marks,
                Ok(None) => return,
                // The disk may be full.
                Err(error) => tracing::warn!(%error, "no mark can be made in the data directory now"),
            }
        };
    }
}

/// Asks for a change until it is recorded.
async fn record(handle: &Handle, change: NodeChange) {
    loop {
        match handle.change_nodes(change.clone()).await {
            Ok(_) => return,
            Err(error @ (Error::NodeRefused(_) | Error::NodeNotFound { .. })) => {
                tracing::error!(%error, "the cluster does not take this node");
            }
            Err(error) => tracing::debug!(%error, "not registered yet"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Learns who the others are, whenever that changes.
async fn follow(handle: &Handle, peers: &Peers) {
    let machine = handle.inner.consensus.machine(PartitionId::CATALOGUE);
    let mut changes = machine.watch_nodes();
    loop {
        introduce(peers, &machine.nodes());
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Learns again and again what the others hold.
async fn look_around(handle: &Handle) {
    loop {
        if handle.inner.consensus.machine(PartitionId::CATALOGUE).nodes().len() > 1 {
            ask_around(handle).await;
        }
        let all_led = handle.health().iter().all(|partition| partition.leader.is_some());
        let settled = all_led && !handle.inner.fitness.is_in_doubt();
        tokio::time::sleep(if settled { LOOK_EVERY } else { LOOK_SOON }).await;
    }
}

/// Learns from their leaders who holds the partitions, because this node may hold only some of them; and how this
/// node stands among the others.
async fn ask_around(handle: &Handle) {
    let view = handle.cluster().await;
    view.partitions.iter().for_each(|partition| handle.inner.table.learn(partition));
    handle.judge_fitness(&view).await;
}

/// Tells the connections what the catalogue knows of the nodes.
pub fn introduce(peers: &Peers, nodes: &[NodeRecord]) {
    let (gone, there): (Vec<_>, Vec<_>) =
        nodes.iter().partition(|node| node.membership == Membership::Removed);
    peers.expel(gone.iter().map(|node| node.id).collect());
    let there = there.iter();
    let addresses: BTreeMap<_, _> =
        there.filter(|node| !node.peer.is_empty()).map(|node| (node.id, node.peer.clone())).collect();
    peers.learn(addresses);
    let came = nodes.iter().filter(|node| node.incarnation != 0);
    let disk = |node: &NodeRecord| Disk { incarnation: Incarnation(node.incarnation), mark: node.mark };
    peers.learn_disks(came.map(|node| (node.id, disk(node))).collect());
}
