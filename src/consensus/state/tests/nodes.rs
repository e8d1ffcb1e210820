//! What the catalogue knows of the nodes.

use crate::storage::Start;

use super::super::super::command::{NodeChange, NodeConflict};
use super::super::super::view::{Membership, NodeRecord};
use super::*;

struct Roll {
    store: MemoryStore,
    machine: Arc<Machine>,
    index: u64,
}

impl Roll {
    /// Nodes 1 and 2.
    fn new() -> Self {
        let store = MemoryStore::new();
        let mut roll = Self { machine: open(&store, 0, &tight()), store, index: 0 };
        (1..=2).for_each(|id| drop(roll.change(register(id)).unwrap()));
        roll
    }

    fn change(&mut self, change: NodeChange) -> Result<NodeRecord, NodeConflict> {
        self.index += 1;
        match self.machine.apply(self.index, &Command::Node { at: at(START_MS), change }) {
            Reply::Node(outcome) => outcome,
            other => panic!("a change of the nodes answers a node, not {other:?}"),
        }
    }

    fn started(&mut self, id: u64, count: u64, drawn: u64) -> Result<NodeRecord, NodeConflict> {
        self.change(NodeChange::Started {
            id,
            incarnation: 100 + u128::from(id),
            start: Start { count, drawn },
        })
    }
}

fn register(id: u64) -> NodeChange {
    let (peer, public) = (format!("n{id}:1"), format!("http://n{id}"));
    NodeChange::Register { id, incarnation: 100 + u128::from(id), peer, public }
}

#[test]
fn the_last_start_of_a_node_is_kept_and_an_older_one_is_refused() {
    let mut roll = Roll::new();
    roll.started(2, 3, 7).unwrap();
    assert_eq!(roll.started(2, 3, 7).unwrap().start, Start { count: 3, drawn: 7 }, "it may say so twice");
    assert_eq!(roll.started(2, 2, 6), Err(NodeConflict::OlderCopy { id: 2 }));
    assert_eq!(roll.started(2, 3, 8), Err(NodeConflict::OlderCopy { id: 2 }));
    roll.started(2, 4, 1).unwrap();
    assert_eq!(roll.change(register(2)).unwrap().start.count, 4, "an address has nothing to do with it");
    assert_eq!(roll.started(9, 1, 1), Err(NodeConflict::NotFound));
    while roll.machine.durable() < roll.index {
        roll.machine.checkpoint(&meta_at).unwrap();
    }
    roll.store.lose_unsynced();
    let starts: Vec<_> = open(&roll.store, 0, &tight()).nodes().iter().map(|node| node.start.count).collect();
    assert_eq!(starts, [0, 4]);
}

#[test]
fn the_last_active_node_is_not_drained() {
    let mut roll = Roll::new();
    let drain = |id| NodeChange::Set { id, membership: Membership::Draining };
    roll.change(drain(1)).unwrap();
    assert_eq!(roll.change(drain(2)), Err(NodeConflict::Last { id: 2 }));
    roll.change(drain(1)).expect("it drains already");
    roll.change(NodeChange::Reserve).unwrap();
    assert_eq!(roll.change(drain(2)), Err(NodeConflict::Last { id: 2 }), "who has not come yet is nobody");
    roll.change(NodeChange::Register { id: 3, incarnation: 103, peer: "n3:1".into(), public: String::new() })
        .unwrap();
    roll.change(drain(2)).unwrap();
}
