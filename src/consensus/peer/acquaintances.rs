//! Who the other nodes are, and which of them are not talked to any more.
//!
//! A node that lost its disk is told by another incarnation. A node whose disk went back, because an older copy of it
//! took its place, still has the incarnation: it is told by its marks. The catalogue keeps the last mark of each node,
//! and a node that does not have it has forgotten what it acknowledged since. Between two marks a leader notices who
//! has less than it acknowledged.
//!
//! A copy that is started while the original runs is turned away as long as the original is heard. If both run all the
//! same, the one that answers where the node is known to listen is the node: it is asked for votes there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::storage::{Mark, Marks};

use super::link::{LastHeard, Link};

/// Who was heard within this time runs. Nodes ask each other every second.
const HEARD_LATELY: Duration = Duration::from_secs(3);

/// Which disk a node works on: drawn when its data directory is made, and gone with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Incarnation(pub u128);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What a node shows of itself on each connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// Its id.
    pub node: u64,
    /// Its disk.
    pub incarnation: Incarnation,
    /// The latest marks of its disk.
    pub marks: Marks,
}

/// The disk of a node, as the others know it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disk {
    /// Which.
    pub incarnation: Incarnation,
    /// The last mark on it that is known.
    pub mark: Mark,
}

/// What a node knows of another one's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Known {
    /// Never heard of it.
    Stranger,
    /// The one it always had.
    Same,
}

/// Why a node is not talked to any more, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Dismissal {
    /// The cluster has removed it.
    #[error(
        "node {node} was removed from this cluster; it has to join under a new id, with an empty data directory"
    )]
    Removed {
        /// Which.
        node: u64,
    },
    /// It comes with another disk.
    #[error(
        "storage_lost: node {node} has another disk than it had: it has lost what it acknowledged and has to join under a new id (`everstep cluster add`, then `serve --join`)"
    )]
    OtherDisk {
        /// Which.
        node: u64,
    },
    /// It comes with an older copy of its disk.
    #[error(
        "storage_lost: node {node} has an older copy of its data directory: what it acknowledged after that copy is lost, and it has to join under a new id, with an empty one (`everstep cluster add`, then `serve --join`)"
    )]
    OlderCopy {
        /// Which.
        node: u64,
    },
}

/// Why another node is not talked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// It passes by itself.
    #[error("{0}")]
    Later(String),
    /// Somebody has to mend it.
    #[error("{0}")]
    ForNow(String),
    /// It will never be again.
    #[error(transparent)]
    ForGood(#[from] Dismissal),
}

/// The nodes this node knows. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Acquaintances {
    nodes: Arc<RwLock<Nodes>>,
    ends: Arc<Mutex<BTreeMap<u64, Ends>>>,
    /// The others have dismissed this node.
    dismissed: Arc<watch::Sender<Option<Dismissal>>>,
}

#[derive(Debug, Default)]
struct Nodes {
    disks: BTreeMap<u64, Disk>,
    removed: BTreeSet<u64>,
    /// Runs of nodes that had less than was acknowledged from them. The original that such a copy was made of is as good
    /// as ever.
    went_back: BTreeMap<u64, Mark>,
}

/// The connections with a node. All of them should be with one process.
#[derive(Debug, Default)]
struct Ends {
    /// On which it asks here.
    callers: Vec<Weak<Presence>>,
    /// On which it is asked, and the last mark it showed there.
    reached: Vec<(Mark, Weak<Link>)>,
}

impl Ends {
    fn tidy(&mut self) {
        self.callers.retain(|it| it.strong_count() > 0);
        self.reached.retain(|(_, it)| it.strong_count() > 0);
    }

    fn callers(&self) -> impl Iterator<Item = Arc<Presence>> {
        self.callers.iter().filter_map(Weak::upgrade).filter(|it| it.lately() && !it.is_displaced())
    }

    /// The marks of those that are there now.
    fn marks(&self) -> impl Iterator<Item = Mark> {
        let answers = |link: &Weak<Link>| {
            link.upgrade().is_some_and(|link| link.is_open() && link.has_heard_within(HEARD_LATELY))
        };
        let reached = self.reached.iter().filter(move |(_, link)| answers(link)).map(|(mark, _)| *mark);
        self.callers().map(|caller| caller.mark).chain(reached)
    }
}

/// A node that asks here.
#[derive(Debug)]
pub(super) struct Presence {
    mark: Mark,
    heard: LastHeard,
    displaced: AtomicBool,
}

impl Presence {
    /// It has just said something.
    pub(super) fn heard(&self) {
        self.heard.note();
    }

    fn lately(&self) -> bool {
        self.heard.is_within(HEARD_LATELY)
    }

    /// Another process has turned out to be this node: this one is not listened to any more.
    pub(super) fn is_displaced(&self) -> bool {
        self.displaced.load(Ordering::Relaxed)
    }
}

impl Default for Acquaintances {
    fn default() -> Self {
        let (dismissed, _) = watch::channel(None);
        Self { nodes: Arc::default(), ends: Arc::default(), dismissed: Arc::new(dismissed) }
    }
}

impl Acquaintances {
    pub(super) fn set(&self, all: BTreeMap<u64, Disk>) {
        self.write().disks = all;
    }

    pub(super) fn learn(&self, more: BTreeMap<u64, Disk>) {
        self.write().disks.extend(more);
    }

    pub(super) fn expel(&self, removed: BTreeSet<u64>) {
        self.write().removed = removed;
    }

    /// A node has less than it had acknowledged.
    pub(super) fn went_back(&self, who: &Introduction) {
        let node = who.node;
        if self.write().went_back.insert(node, who.marks.last()).is_none() {
            tracing::error!(
                node,
                "a node has less in its log than it had acknowledged; it is not talked to any more"
            );
        }
    }

    /// What is known of the disk of whoever shows this.
    pub(super) fn check(&self, who: &Introduction) -> Result<Known, Dismissal> {
        let nodes = self.read();
        let node = who.node;
        if nodes.removed.contains(&node) {
            return Err(Dismissal::Removed { node });
        }
        if nodes.went_back.get(&node).is_some_and(|mark| who.marks.include_run_of(*mark)) {
            return Err(Dismissal::OlderCopy { node });
        }
        match nodes.disks.get(&node) {
            None => Ok(Known::Stranger),
            Some(disk) if disk.incarnation != who.incarnation => Err(Dismissal::OtherDisk { node }),
            // On a connection that lasts it does not show the marks that it makes later.
            Some(disk) if who.marks.are_of_run(disk.mark) || who.marks.have(disk.mark) => Ok(Known::Same),
            Some(_) => Err(Dismissal::OlderCopy { node }),
        }
    }

    /// Error: another process with the same disk is connected.
    pub(super) fn check_twin(&self, who: &Introduction) -> Result<(), String> {
        let ends = self.ends();
        let mut there = ends.get(&who.node).into_iter().flat_map(Ends::marks);
        // Those who have no id yet are any number.
        if who.node != 0 && there.any(|mark| !who.marks.are_of_run(mark)) {
            return Err(format!("node {} is connected already, and runs as another process", who.node));
        }
        Ok(())
    }

    /// Somebody asks here as long as this is kept.
    pub(super) fn connected(&self, who: &Introduction) -> Arc<Presence> {
        let (heard, displaced) = (LastHeard::default(), AtomicBool::new(false));
        let presence = Arc::new(Presence { mark: who.marks.last(), heard, displaced });
        let mut ends = self.ends();
        let ends = ends.entry(who.node).or_default();
        ends.tidy();
        ends.callers.push(Arc::downgrade(&presence));
        presence
    }

    /// A node answers where it is known to listen. Another process that asks in its name is displaced: with both of
    /// them the node would have two votes.
    pub(super) fn reached(&self, who: &Introduction, link: &Arc<Link>) {
        let mark = who.marks.last();
        // One that has no place in a cluster yet has no marks.
        if mark == Mark::default() {
            return;
        }
        let mut ends = self.ends();
        let ends = ends.entry(who.node).or_default();
        ends.tidy();
        ends.reached.push((mark, Arc::downgrade(link)));
        let twins = ends.callers().filter(|caller| !who.marks.are_of_run(caller.mark));
        twins.for_each(|twin| twin.displaced.store(true, Ordering::Relaxed));
    }

    /// Another node says that this one is dismissed. It is believed if it is known.
    pub(super) fn heed(&self, from: &Introduction, dismissal: Dismissal) {
        if self.check(from) == Ok(Known::Same) {
            self.dismissed.send_replace(Some(dismissal));
        }
    }

    pub(super) fn dismissed(&self) -> watch::Receiver<Option<Dismissal>> {
        self.dismissed.subscribe()
    }

    fn ends(&self) -> MutexGuard<'_, BTreeMap<u64, Ends>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Nodes> {
        self.nodes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Nodes> {
        self.nodes.write().unwrap_or_else(PoisonError::into_inner)
    }
}
