//! The nodes of the cluster: part of the catalogue, so every node knows all of them.
//!
//! A node is never forgotten: its id is spent for good, so that what an old disk acknowledged is never asked of a
//! new one.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::engine::model::{PartitionId, Timestamp};
use crate::storage::Marks;

use super::super::command::{NodeChange, NodeConflict, Reply};
use super::super::view::{Membership, NodeRecord};
use super::apply::Fold;
use super::keys;
use super::machine::Machine;
use super::stored::{self, StoredNode};

/// A node in memory.
#[derive(Debug)]
pub(super) struct Slot {
    pub node: NodeRecord,
    /// The entry that changed it last.
    pub changed: u64,
    /// The entry that gave it its id.
    pub born: u64,
    /// It is as the store had it at the start: entries up to `changed` are in it already.
    pub loaded: bool,
}

/// All nodes there ever were; only partition 0 has any.
#[derive(Debug, Default)]
pub(super) struct Nodes(BTreeMap<u64, Slot>);

impl Nodes {
    pub(super) fn insert(&mut self, slot: Slot) {
        self.0.insert(slot.node.id, slot);
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Slot> {
        self.0.values()
    }
}

impl Machine {
    /// All nodes there ever were, by id. Only the catalogue knows any.
    pub fn nodes(&self) -> Vec<NodeRecord> {
        self.state().nodes.all().map(|slot| slot.node.clone()).collect()
    }

    /// Tells of each change of the nodes from now on. Several may be told once.
    pub fn watch_nodes(&self) -> watch::Receiver<()> {
        self.watches.watch_nodes()
    }
}

impl Fold<'_> {
    pub(super) fn node(&mut self, partition: PartitionId, at: Timestamp, change: &NodeChange) -> Reply {
        if partition != PartitionId::CATALOGUE {
            return Reply::Node(Err(NodeConflict::NotFound));
        }
        let at = self.advance(at);
        Reply::Node(match change {
            NodeChange::Register { id, incarnation, peer, public } => {
                self.register(at, *id, *incarnation, peer, public)
            }
            NodeChange::Reserve => {
                // After a restart the entry may be in the store already.
                let born = self.state.nodes.all().find(|slot| slot.born == self.index);
                match born.map(|slot| slot.node.clone()) {
                    Some(node) => Ok(node),
                    None => {
                        let id = self.next_node();
                        Ok(self.keep_node(NodeRecord { id, added_at: at, ..NodeRecord::default() }))
                    }
                }
            }
            NodeChange::Set { id, membership } => self.set_membership(*id, *membership),
            NodeChange::Marked { id, incarnation, marks } => self.marked(*id, *incarnation, marks),
        })
    }

    fn register(
        &mut self,
        at: Timestamp,
        id: u64,
        incarnation: u128,
        peer: &str,
        public: &str,
    ) -> Result<NodeRecord, NodeConflict> {
        let known = self.state.nodes.all().find(|slot| slot.node.incarnation == incarnation);
        let id = match (known, id) {
            // It asks again, or has moved to another address.
            (Some(slot), _) if slot.node.membership == Membership::Removed => {
                return Err(NodeConflict::Removed { id: slot.node.id });
            }
            (Some(slot), _) if slot.loaded && slot.changed >= self.index => return Ok(slot.node.clone()),
            (Some(slot), _) => slot.node.id,
            (None, 0) => self.next_node(),
            (None, id) => match self.state.nodes.0.get(&id).map(|slot| &slot.node) {
                Some(node) if node.membership != Membership::Reserved => {
                    return Err(NodeConflict::Taken { id });
                }
                Some(_) | None => id,
            },
        };
        let before = self.state.nodes.0.get(&id).map(|slot| slot.node.clone()).unwrap_or_default();
        let membership = match before.membership {
            Membership::Reserved => Membership::Active,
            kept => kept,
        };
        let added_at = if before.id == id { before.added_at } else { at };
        let (peer, public) = (peer.to_owned(), public.to_owned());
        let mark = before.mark;
        Ok(self.keep_node(NodeRecord { id, incarnation, peer, public, membership, added_at, mark }))
    }

    fn set_membership(&mut self, id: u64, membership: Membership) -> Result<NodeRecord, NodeConflict> {
        let slot = self.state.nodes.0.get(&id).ok_or(NodeConflict::NotFound)?;
        let node = slot.node.clone();
        if slot.loaded && slot.changed >= self.index {
            return Ok(node);
        }
        if node.membership == Membership::Removed && membership != Membership::Removed {
            return Err(NodeConflict::Removed { id });
        }
        if node.membership == Membership::Reserved && membership != Membership::Removed {
            return Err(NodeConflict::NotCome { id });
        }
        Ok(self.keep_node(NodeRecord { membership, ..node }))
    }

    fn marked(&mut self, id: u64, incarnation: u128, marks: &Marks) -> Result<NodeRecord, NodeConflict> {
        let slot = self.state.nodes.0.get(&id).ok_or(NodeConflict::NotFound)?;
        let node = slot.node.clone();
        if slot.loaded && slot.changed >= self.index {
            return Ok(node);
        }
        if node.membership == Membership::Removed {
            return Err(NodeConflict::Removed { id });
        }
        if node.incarnation != incarnation {
            return Err(NodeConflict::Taken { id });
        }
        if !marks.have(node.mark) {
            return Err(NodeConflict::OlderCopy { id });
        }
        Ok(self.keep_node(NodeRecord { mark: marks.last(), ..node }))
    }

    /// An id no node ever had.
    fn next_node(&self) -> u64 {
        self.state.nodes.0.last_key_value().map_or(1, |(id, _)| id + 1)
    }

    fn keep_node(&mut self, node: NodeRecord) -> NodeRecord {
        let born = self.state.nodes.0.get(&node.id).map_or(self.index, |slot| slot.born);
        let stored = StoredNode { changed: self.index, born, node: node.clone() };
        self.state.loose.set(self.index, keys::node(node.id), Some(stored::encode_node(&stored)));
        self.state.nodes.insert(Slot { node: node.clone(), changed: self.index, born, loaded: false });
        node
    }
}
