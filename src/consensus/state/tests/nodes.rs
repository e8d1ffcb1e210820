//! What the catalogue knows of the nodes.

use crate::storage::Marks;

use super::super::super::command::{NodeChange, NodeConflict};
use super::super::super::view::NodeRecord;
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

    /// Node 2 has these marks.
    fn marked(&mut self, marks: &Marks) -> Result<NodeRecord, NodeConflict> {
        self.change(NodeChange::Marked { id: 2, incarnation: 102, marks: marks.clone() })
    }
}

fn register(id: u64) -> NodeChange {
    let (peer, public) = (format!("n{id}:1"), format!("http://n{id}"));
    NodeChange::Register { id, incarnation: 100 + u128::from(id), peer, public }
}

#[test]
fn the_last_mark_of_a_node_is_kept_and_an_older_copy_is_refused() {
    let mut roll = Roll::new();
    let mut marks = Marks::default();
    marks.begin(1);
    let mut copy = marks.clone();
    marks.begin(2);
    roll.marked(&marks).unwrap();
    assert_eq!(roll.marked(&marks).expect("it may say so twice").mark, marks.last());
    assert_eq!(roll.marked(&copy), Err(NodeConflict::OlderCopy { id: 2 }));
    for drawn in 3..6 {
        copy.begin(drawn);
        assert_eq!(roll.marked(&copy), Err(NodeConflict::OlderCopy { id: 2 }), "however often it starts");
    }
    marks.go_on(6);
    roll.marked(&marks).unwrap();
    assert_eq!(roll.change(register(2)).unwrap().mark, marks.last(), "an address has nothing to do with it");
    let nobody = NodeChange::Marked { id: 9, incarnation: 1, marks };
    assert_eq!(roll.change(nobody), Err(NodeConflict::NotFound));
    while roll.machine.durable() < roll.index {
        roll.machine.checkpoint(&meta_at).unwrap();
    }
    roll.store.lose_unsynced();
    let counts: Vec<_> = open(&roll.store, 0, &tight()).nodes().iter().map(|node| node.mark.count).collect();
    assert_eq!(counts, [0, 3]);
}
