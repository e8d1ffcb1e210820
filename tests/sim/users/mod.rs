//! The users of a simulated cluster: they submit, read and change executions through any node, and write down what
//! they were told.
//!
//! Each request carries a tag of its own as who asked, so that a change can be found in a history whatever its
//! user was told. A request that got no answer may have happened. At the end `settle` lets everything finish:
//! what is paused is resumed, what is uncertain is tried again.

mod settle;
mod shapes;
mod wishes;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use everstep::actors::Caller;
use everstep::engine::model::{ExecutionId, TenantId};

use crate::cluster::{Doors, Plan};
use crate::journal::Journal;
use crate::world::Dice;

pub(crate) use shapes::specs;
pub(crate) use wishes::KEY;

/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What everybody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Users come and go.
    Work,
    /// They end what they have begun.
    Settle,
    /// Everything has ended.
    Settled,
}

/// The users. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Users {
    pub(crate) phase: Rc<Cell<Phase>>,
    /// What the last look at everything found unfinished.
    pub(crate) open: Rc<RefCell<Vec<ExecutionId>>>,
    known: Rc<RefCell<Vec<ExecutionId>>>,
    doors: Doors,
    journal: Journal,
    dice: Arc<Dice>,
    nodes: u64,
    seats: u64,
    users: u64,
    think_ms: u64,
}

impl Users {
    pub(crate) fn new(plan: &Plan, doors: Doors, journal: Journal) -> Self {
        Self {
            phase: Rc::new(Cell::new(Phase::Work)),
            open: Rc::default(),
            known: Rc::default(),
            doors,
            journal,
            dice: Arc::new(Dice::new(plan.seed ^ 0x05e25)),
            nodes: plan.nodes,
            seats: *plan.seats().end(),
            users: plan.users,
            think_ms: plan.think_ms,
        }
    }

    /// Works until told to settle, then until everything has ended.
    pub(crate) async fn work(&self) {
        let at_work: Vec<_> = (1..=self.users)
            .map(|user| {
                let users = self.clone();
                tokio::task::spawn_local(async move { users.one(user).await })
            })
            .collect();
        for user in at_work {
            user.await.unwrap();
        }
        self.settle().await;
        self.phase.set(Phase::Settled);
    }

    async fn one(&self, user: u64) {
        for turn in 1_u64.. {
            tokio::time::sleep(Duration::from_millis(self.dice.below(2 * self.think_ms))).await;
            if self.phase.get() != Phase::Work {
                return;
            }
            self.wish(format!("u{user}-{turn}"), turn).await;
        }
    }

    /// How many executions they know of.
    pub(crate) fn begun(&self) -> usize {
        self.known.borrow().iter().collect::<BTreeSet<_>>().len()
    }

    fn any_node(&self) -> u64 {
        let node = self.dice.between(1, self.seats);
        // One that has not joined yet has no users.
        if node > self.nodes && self.doors.of(node).is_none() { 1 } else { node }
    }
}

fn caller(user: &str) -> Caller {
    Caller { tenant: tenant(), user: user.to_owned() }
}

pub(crate) fn tenant() -> TenantId {
    TenantId::new("default").unwrap()
}
