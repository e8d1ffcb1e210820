//! Keeps this node in the catalogue, and the catalogue's nodes in reach.
//!
//! At each start a node tells the catalogue its disk and its addresses, again and again until that is recorded.
//! Every second it reads there who the others are: where to dial them, and which disk each one has, so that a
//! replaced one is turned away.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::consensus::peer::{Incarnation, Peers};
use crate::consensus::{Membership, NodeChange};
use crate::engine::model::PartitionId;

use super::handle::Handle;
use super::request::Error;

/// Between two looks at the catalogue.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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
    let me = peers.me();
    let register = NodeChange::Register {
        id: me.node,
        incarnation: me.incarnation.0,
        peer: roster.peer.clone(),
        public: roster.public.clone(),
    };
    let mut registered = false;
    loop {
        if !registered {
            match handle.change_nodes(register.clone()).await {
                Ok(_) => registered = true,
                Err(error @ (Error::NodeRefused(_) | Error::NodeNotFound { .. })) => {
                    tracing::error!(%error, "the cluster does not take this node");
                }
                Err(error) => tracing::debug!(%error, "not registered yet"),
            }
        }
        look(&handle, &peers);
        // However few nodes there are: one that was drained, or is being let in again, holds less than all.
        if handle.inner.consensus.machine(PartitionId::CATALOGUE).nodes().len() > 1 {
            ask_around(&handle).await;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Learns from their leaders who holds the partitions: this node may hold only some of them.
async fn ask_around(handle: &Handle) {
    let view = handle.cluster().await;
    view.partitions.iter().for_each(|partition| handle.inner.table.learn(partition));
}

fn look(handle: &Handle, peers: &Peers) {
    let nodes = handle.inner.consensus.machine(PartitionId::CATALOGUE).nodes();
    let there = nodes.iter().filter(|node| node.membership != Membership::Removed);
    let addresses: BTreeMap<_, _> =
        there.filter(|node| !node.peer.is_empty()).map(|node| (node.id, node.peer.clone())).collect();
    peers.learn(addresses);
    let came = nodes.iter().filter(|node| node.incarnation != 0);
    peers.learn_disks(came.map(|node| (node.id, Incarnation(node.incarnation))).collect());
}
