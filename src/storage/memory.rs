//! A store that forgets like a disk: for the simulation and for tests of crashes.
//!
//! It keeps the map that readers see and the map that the last sync left behind. [`MemoryStore::lose_unsynced`]
//! is the power cut: of the batches written since the last sync, a chosen prefix survives, because a disk may
//! have written any of them out by itself. Failure points stop it after so many writes, which is how the crash
//! at every write prefix is played.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::store::{Change, Pair};
use super::{Direction, Error, Result, Store, WriteBatch};

/// A store in memory. Clones share the content, as two openings of one disk would.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default)]
struct Disk {
    visible: BTreeMap<Vec<u8>, Vec<u8>>,
    durable: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Batches that are visible and not durable, oldest first.
    unsynced: Vec<Vec<Change>>,
    writes: u64,
    syncs: u64,
    /// After so many more writes and syncs every one fails.
    fails_after: Option<u64>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The power fails: what was not synced is gone. The store works again afterwards.
    pub fn lose_unsynced(&self) {
        self.lose_unsynced_after(0);
    }

    /// The power fails, after the disk had written out the first `survive` unsynced batches by itself.
    pub fn lose_unsynced_after(&self, survive: usize) {
        let mut disk = self.disk();
        let unsynced = std::mem::take(&mut disk.unsynced);
        for batch in unsynced.into_iter().take(survive) {
            apply(&mut disk.durable, batch);
        }
        disk.visible = disk.durable.clone();
        disk.fails_after = None;
    }

    /// After `operations` more writes and syncs, each of them fails and changes nothing, until the power was
    /// cut or this is called with `None`.
    pub fn fail_after(&self, operations: Option<u64>) {
        self.disk().fails_after = operations;
    }

    /// How many batches wait for a sync.
    pub fn unsynced(&self) -> usize {
        self.disk().unsynced.len()
    }

    /// How many writes and syncs there were.
    pub fn operations(&self) -> u64 {
        let disk = self.disk();
        disk.writes + disk.syncs
    }

    /// Changes the stored bytes of `key` behind everyone's back, durably: a fault of the medium. Returns
    /// whether the key was there.
    pub fn corrupt(&self, key: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut disk = self.disk();
        let Some(value) = disk.visible.get_mut(key) else { return false };
        change(value);
        let value = value.clone();
        disk.durable.insert(key.to_vec(), value);
        true
    }

    /// All keys, in order.
    pub fn keys(&self) -> Vec<Vec<u8>> {
        self.disk().visible.keys().cloned().collect()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    fn operate(&mut self, doing: &str) -> Result<()> {
        match &mut self.fails_after {
            None => Ok(()),
            Some(0) => Err(Error::Io { doing: doing.into(), source: io::Error::other("planned failure") }),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.disk().visible.get(key).cloned())
    }

    fn scan(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>> {
        if is_void(from, to) {
            return Ok(Vec::new());
        }
        let disk = self.disk();
        let range = disk.visible.range::<[u8], _>((from, to));
        let owned = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        Ok(match direction {
            Direction::Forward => range.take(limit).map(owned).collect(),
            Direction::Backward => range.rev().take(limit).map(owned).collect(),
        })
    }

    fn write(&self, batch: WriteBatch) -> Result<()> {
        let mut disk = self.disk();
        disk.operate("write a batch to memory")?;
        let changes = batch.into_changes();
        apply(&mut disk.visible, changes.clone());
        disk.unsynced.push(changes);
        disk.writes += 1;
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let mut disk = self.disk();
        disk.operate("sync memory")?;
        for batch in std::mem::take(&mut disk.unsynced) {
            apply(&mut disk.durable, batch);
        }
        disk.syncs += 1;
        Ok(())
    }
}

fn apply(map: &mut BTreeMap<Vec<u8>, Vec<u8>>, changes: Vec<Change>) {
    for (key, value) in changes {
        match value {
            Some(value) => map.insert(key, value),
            None => map.remove(&key),
        };
    }
}

/// Whether no key lies between the bounds; the range of a map panics on such bounds.
pub(super) fn is_void(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => {
            from >= to
        }
    }
}
