//! Whoever looks after the cluster: takes nodes out of it for a while, and lets them in again.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use everstep::actors;

use super::node::Doors;
use crate::journal::Journal;

/// Before the next thing to do is looked for, or the same is asked again.
const AGAIN: Duration = Duration::from_millis(50);
/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is to be asked of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Drain(u64),
    Undrain(u64),
}

/// The operator. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Operator {
    wishes: Rc<RefCell<VecDeque<Wish>>>,
    drained: Rc<RefCell<BTreeSet<u64>>>,
    doors: Doors,
    journal: Journal,
}

impl Operator {
    pub(crate) fn new(doors: Doors, journal: Journal) -> Self {
        Self { wishes: Rc::default(), drained: Rc::default(), doors, journal }
    }

    pub(crate) fn drain(&self, node: u64) {
        self.drained.borrow_mut().insert(node);
        self.wishes.borrow_mut().push_back(Wish::Drain(node));
    }

    pub(crate) fn undrain(&self, node: u64) {
        self.wishes.borrow_mut().push_back(Wish::Undrain(node));
    }

    /// A node is drained, or about to be.
    pub(crate) fn drains(&self) -> bool {
        !self.drained.borrow().is_empty()
    }

    /// Nothing is drained any more.
    pub(crate) fn undrain_all(&self) {
        *self.wishes.borrow_mut() = self.drained.borrow().iter().copied().map(Wish::Undrain).collect();
    }

    /// Does what is wished, for ever.
    pub(crate) async fn work(&self) {
        let mut turn = 0;
        loop {
            let wish = self.wishes.borrow().front().copied();
            if let Some(wish) = wish
                && self.try_once(wish, turn).await
            {
                self.journal.say(&format!("operator: {wish:?} is done"));
                if let Wish::Undrain(node) = wish {
                    self.drained.borrow_mut().remove(&node);
                }
                // It may have been replaced meanwhile.
                self.wishes.borrow_mut().pop_front_if(|first| *first == wish);
            }
            turn += 1;
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Asks one node after the other.
    async fn try_once(&self, wish: Wish, turn: usize) -> bool {
        let open = self.doors.open();
        let Some((node, _)) = open.get(turn % open.len().max(1)) else { return false };
        let asked = self.doors.ask(*node, move |handle: actors::Handle| async move {
            match wish {
                Wish::Drain(node) => handle.drain_node(node).await,
                Wish::Undrain(node) => handle.undrain_node(node).await,
            }
        });
        matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Some(Ok(_))))
    }
}
