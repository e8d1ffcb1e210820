//! Traps at the points of the code: the node that comes to one dies at that very instant, or is late.
//!
//! A node that dies in the middle of a millisecond cannot be taken off the machine before the millisecond is over.
//! Until then it is a ghost: its disk takes nothing, what it sends goes nowhere, nobody hears its answers, and no
//! step it begins is seen outside.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

use everstep::points::{self, Fate, Point, Watch};
use tokio::runtime;

use super::disk::Disk;
use super::node::Doors;
use crate::journal::Journal;
use crate::world::Dice;

/// Of a hundred traps at points where it can wait, so many delay a node instead of killing it.
const LATE: u64 = 40;

/// A trap, from when it is set until the first node comes to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trap {
    pub(crate) point: Point,
    /// How often the point is passed unharmed before.
    skip: u64,
    /// How long a node is late, in milliseconds, where it can wait; none: it dies.
    late_ms: Option<u64>,
    /// What was not synced is lost too.
    pub(crate) power: bool,
    /// How long the node is down, in milliseconds.
    pub(crate) down: u64,
}

impl Trap {
    pub(crate) fn draw(dice: &Dice) -> Self {
        Self {
            point: *dice.pick(points::ALL),
            skip: *dice.pick(&[0, 0, 0, 0, 1, 3, 20]),
            late_ms: dice.percent(LATE).then(|| *dice.pick(&[5, 40, 150, 500, 1_000])),
            power: dice.percent(50),
            down: dice.between(20, 1_500),
        }
    }
}

/// What came of a point.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Met {
    /// How often a node came to it.
    pub(crate) hits: u64,
    /// How often one died there.
    pub(crate) deaths: u64,
    /// How often one was late there.
    pub(crate) delays: u64,
}

/// The traps of a simulation. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Traps(Rc<RefCell<State>>);

struct State {
    set: Vec<Trap>,
    /// Which node a runtime is of.
    lives: HashMap<runtime::Id, u64>,
    met: BTreeMap<(Point, u64), Met>,
    /// Who died of which trap, and has not been buried.
    ghosts: Vec<(u64, Trap)>,
    disks: BTreeMap<u64, Disk>,
    doors: Doors,
    journal: Journal,
}

impl Traps {
    /// Watches the points of this thread.
    pub(crate) fn new(disks: BTreeMap<u64, Disk>, doors: Doors, journal: Journal) -> Self {
        let state = State {
            set: Vec::new(),
            lives: HashMap::new(),
            met: BTreeMap::new(),
            ghosts: Vec::new(),
            disks,
            doors,
            journal,
        };
        let traps = Self(Rc::new(RefCell::new(state)));
        points::watch(Rc::new(traps.clone()));
        traps
    }

    /// A node begins a life on the runtime that is at work.
    pub(crate) fn born(&self, node: u64) {
        self.0.borrow_mut().lives.insert(runtime::Handle::current().id(), node);
    }

    pub(crate) fn set(&self, trap: Trap) {
        self.0.borrow_mut().set.push(trap);
    }

    /// Takes all traps away.
    pub(crate) fn clear(&self) {
        self.0.borrow_mut().set.clear();
    }

    /// Who has died since this was asked last.
    pub(crate) fn ghosts(&self) -> Vec<(u64, Trap)> {
        std::mem::take(&mut self.0.borrow_mut().ghosts)
    }

    /// What came of each point, on all nodes.
    pub(crate) fn met(&self) -> BTreeMap<Point, Met> {
        let mut all: BTreeMap<Point, Met> =
            points::ALL.iter().map(|point| (*point, Met::default())).collect();
        for ((point, _), met) in &self.0.borrow().met {
            let sum = all.get_mut(point).expect("every point is in the list");
            sum.hits += met.hits;
            sum.deaths += met.deaths;
            sum.delays += met.delays;
        }
        all
    }
}

impl Watch for Traps {
    fn at(&self, point: Point, can_wait: bool) -> Fate {
        // Whoever looks at a node from outside is on no node.
        let Ok(runtime) = runtime::Handle::try_current() else { return Fate::GoOn };
        let mut state = self.0.borrow_mut();
        let Some(node) = state.lives.get(&runtime.id()).copied() else { return Fate::GoOn };
        if state.doors.is_ghost(node) {
            return Fate::Never;
        }
        state.met.entry((point, node)).or_default().hits += 1;
        let Some(at) = state.set.iter().position(|trap| trap.point == point) else { return Fate::GoOn };
        if state.set[at].skip > 0 {
            state.set[at].skip -= 1;
            return Fate::GoOn;
        }
        let trap = state.set.remove(at);
        let met = state.met.entry((point, node)).or_default();
        if let Some(late_ms) = trap.late_ms.filter(|_| can_wait) {
            met.delays += 1;
            state.journal.say(&format!("trap: node {node} is {late_ms} ms late at {point:?}"));
            return Fate::Wait(Duration::from_millis(late_ms));
        }
        met.deaths += 1;
        state.journal.say(&format!("trap: node {node} dies at {point:?}"));
        state.disks[&node].die();
        state.doors.haunt(node);
        state.ghosts.push((node, trap));
        Fate::Never
    }
}
