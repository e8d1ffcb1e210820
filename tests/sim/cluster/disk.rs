//! A node's disk, which outlives the node and forgets what was not synced.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use everstep::storage::{self, HardRecord, HardState, Loaded, MemoryHardState, MemoryStore, Pace};

use crate::world::Dice;

/// How long a healthy disk takes for a commit at most, in microseconds.
const QUICK_US: u64 = 2_000;

/// The hard state of a node, which takes nothing of one that has died.
#[derive(Debug, Clone, Default)]
pub(crate) struct Votes {
    kept: MemoryHardState,
    dead: Arc<AtomicBool>,
}

impl Votes {
    fn unless_dead<T>(&self, work: impl FnOnce() -> storage::Result<T>) -> storage::Result<T> {
        if self.dead.load(Ordering::Relaxed) {
            let source = std::io::Error::other("the node has died");
            return Err(storage::Error::Io { doing: "write the hard state".into(), source });
        }
        work()
    }
}

impl HardState for Votes {
    fn load(&self) -> storage::Result<Loaded> {
        self.kept.load()
    }

    fn save(&self, record: &HardRecord) -> storage::Result<()> {
        self.unless_dead(|| self.kept.save(record))
    }

    fn hint(&self, last: &BTreeMap<u16, u64>) -> storage::Result<()> {
        self.unless_dead(|| self.kept.hint(last))
    }
}

/// What survives a node.
#[derive(Clone)]
pub(crate) struct Disk {
    pub(crate) log: MemoryStore,
    pub(crate) hard_state: Votes,
    pub(crate) state: MemoryStore,
    /// How long a commit takes at most, in microseconds.
    slow_us: Arc<AtomicU64>,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self {
            log: MemoryStore::new(),
            hard_state: Votes::default(),
            state: MemoryStore::new(),
            slow_us: Arc::new(AtomicU64::new(QUICK_US)),
        }
    }

    /// How long each commit takes.
    pub(crate) fn pace(&self, dice: Arc<Dice>) -> Pace {
        let slow_us = self.slow_us.clone();
        Arc::new(move || Duration::from_micros(dice.below(slow_us.load(Ordering::Relaxed) + 1)))
    }

    /// From now on commits take so long at most.
    pub(crate) fn slow(&self, ms: u64) {
        self.slow_us.store(ms * 1_000, Ordering::Relaxed);
    }

    pub(crate) fn quick(&self) {
        self.slow_us.store(QUICK_US, Ordering::Relaxed);
    }

    /// The power is gone: of what was not synced the disk had written some, from the oldest on. Returns how many
    /// writes are lost.
    pub(crate) fn cut_power(&self, dice: &Dice) -> u64 {
        let mut lost = 0;
        for store in [&self.log, &self.state] {
            let unsynced = store.unsynced();
            let survive = usize::try_from(dice.below(unsynced as u64 + 1)).unwrap();
            store.lose_unsynced_after(survive);
            lost += (unsynced - survive) as u64;
        }
        if dice.percent(50) {
            self.hard_state.kept.lose_unsynced();
        }
        self.hard_state.dead.store(false, Ordering::Relaxed);
        lost
    }

    /// Its node has died: nothing is written any more.
    pub(crate) fn die(&self) {
        self.log.fail_after(Some(0));
        self.state.fail_after(Some(0));
        self.hard_state.dead.store(true, Ordering::Relaxed);
    }

    /// The disk works again; what the kernel had is still there.
    pub(crate) fn mend(&self) {
        self.hard_state.dead.store(false, Ordering::Relaxed);
        self.log.fail_after(None);
        self.state.fail_after(None);
    }
}

#[test]
fn what_was_not_synced_is_lost_from_the_end() {
    use everstep::storage::{Store, WriteBatch};
    let (disk, dice) = (Disk::new(), Dice::new(1));
    let write = |key: u8| {
        let mut batch = WriteBatch::new();
        batch.put([key], [key]);
        disk.log.write(batch).unwrap();
    };
    write(1);
    disk.log.sync().unwrap();
    write(2);
    write(3);
    let lost = disk.cut_power(&dice);
    assert_eq!(disk.log.keys().len() as u64, 3 - lost);
    assert!(disk.log.get(&[1]).unwrap().is_some(), "it was synced");
}
