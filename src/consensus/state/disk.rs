//! The part of the state database that belongs to one partition.
//!
//! Readers hold a [`Reading`] for as long as their look-ups have to fit together; a write waits for them. So
//! nobody sees an execution in neither of two places while it moves from one to the other.
//!
//! Lock order: the machine's state first, then this. Never ask for the state while reading, and never for a
//! second `Reading`.

use std::ops::Bound;
use std::sync::{Arc, RwLock, RwLockReadGuard};

use crate::engine::model::PartitionId;
use crate::points::{self, Point};
use crate::storage::{Direction, Store, WriteBatch};

use super::error::Result;
use super::keys::{self, Suffix};
use super::stored;

const NOT_POISONED: &str = "nobody panics while writing the state";

/// The rows of one partition.
pub(super) struct Disk {
    store: Arc<dyn Store>,
    partition: PartitionId,
    generation: RwLock<u8>,
}

/// Changes of rows, by suffix, that become visible together.
#[derive(Default)]
pub(super) struct Changes {
    rows: Vec<(Suffix, Option<Vec<u8>>)>,
    bytes: usize,
}

impl Changes {
    pub(super) fn put(&mut self, suffix: Suffix, value: Vec<u8>) {
        self.bytes += suffix.len() + value.len();
        self.rows.push((suffix, Some(value)));
    }

    pub(super) fn delete(&mut self, suffix: Suffix) {
        self.bytes += suffix.len();
        self.rows.push((suffix, None));
    }

    /// The rows that change.
    pub(super) fn suffixes(&self) -> impl Iterator<Item = &Suffix> {
        self.rows.iter().map(|(suffix, _)| suffix)
    }
}

impl Disk {
    /// Finds the current generation; a fresh partition begins with the first.
    pub(super) fn open(store: Arc<dyn Store>, partition: PartitionId) -> Result<Self> {
        let generation = match store.get(&keys::root(partition))? {
            Some(row) => stored::decode_root(&row)?,
            None => 1,
        };
        Ok(Self { store, partition, generation: RwLock::new(generation) })
    }

    pub(super) fn reading(&self) -> Reading<'_> {
        let current = self.generation.read().expect(NOT_POISONED);
        Reading { disk: self, generation: *current, _current: Some(current) }
    }

    /// Reads the generation that is not current. Nobody else knows of it, so nothing waits.
    pub(super) fn reading_other(&self, other: u8) -> Reading<'_> {
        Reading { disk: self, generation: other, _current: None }
    }

    /// Makes the changes visible.
    pub(super) fn write(&self, changes: Changes) -> Result<()> {
        let generation = self.generation.write().expect(NOT_POISONED);
        Ok(self.store.write(self.batch(*generation, changes))?)
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> Result<()> {
        Ok(self.store.sync()?)
    }

    /// Removes every row of the generation that is not current, a few at a time.
    pub(super) fn clear_other(&self) -> Result<u8> {
        let generation = *self.generation.read().expect(NOT_POISONED);
        let other = if generation == 1 { 2 } else { 1 };
        let prefix = keys::prefix(self.partition, other);
        let end = keys::after(&prefix);
        let upper = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        loop {
            let rows =
                self.store.scan(Bound::Included(&prefix), upper, Direction::Forward, ROWS_PER_CLEAR)?;
            if rows.is_empty() {
                return Ok(other);
            }
            let mut batch = WriteBatch::new();
            for (key, _) in rows {
                batch.delete(key);
            }
            self.store.write(batch)?;
        }
    }

    /// Writes rows of the generation that is not current.
    pub(super) fn write_other(&self, other: u8, changes: Changes) -> Result<()> {
        Ok(self.store.write(self.batch(other, changes))?)
    }

    /// Makes the other generation the current one, durably and at once. Whoever reads waits meanwhile.
    pub(super) fn swap_to(&self, other: u8) -> Result<()> {
        let mut generation = self.generation.write().expect(NOT_POISONED);
        self.store.sync()?;
        points::reach(Point::SwapBefore);
        let mut batch = WriteBatch::new();
        batch.put(keys::root(self.partition), stored::encode_root(other));
        self.store.write(batch)?;
        points::reach(Point::SwapWritten);
        self.store.sync()?;
        points::reach(Point::SwapDone);
        *generation = other;
        Ok(())
    }

    fn batch(&self, generation: u8, changes: Changes) -> WriteBatch {
        let prefix = keys::prefix(self.partition, generation);
        let mut batch = WriteBatch::new();
        for (suffix, value) in changes.rows {
            let key = full(&prefix, &suffix);
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        batch
    }
}

/// Removing many rows at once stalls the store for everyone.
const ROWS_PER_CLEAR: usize = 64;

/// A time in which no write becomes visible.
pub(super) struct Reading<'a> {
    disk: &'a Disk,
    generation: u8,
    _current: Option<RwLockReadGuard<'a, u8>>,
}

impl Reading<'_> {
    pub(super) fn get(&self, suffix: &[u8]) -> Result<Option<Vec<u8>>> {
        let prefix = keys::prefix(self.disk.partition, self.generation);
        Ok(self.disk.store.get(&full(&prefix, suffix))?)
    }

    /// Rows from `from` to below `to`, without partition and generation, up to `limit`.
    pub(super) fn scan(
        &self,
        from: Bound<&[u8]>,
        to: &[u8],
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Suffix, Vec<u8>)>> {
        let prefix = keys::prefix(self.disk.partition, self.generation);
        let from = from.map(|suffix| full(&prefix, suffix));
        let to = full(&prefix, to);
        let bounds = (from.as_ref().map(Vec::as_slice), Bound::Excluded(to.as_slice()));
        let rows = self.disk.store.scan(bounds.0, bounds.1, direction, limit)?;
        Ok(rows.into_iter().map(|(key, value)| (key[prefix.len()..].to_vec(), value)).collect())
    }

    /// All rows that begin with `prefix`, which are known to be few.
    pub(super) fn all(&self, prefix: &[u8], direction: Direction) -> Result<Vec<(Suffix, Vec<u8>)>> {
        let end = keys::after(prefix).expect("a prefix begins with a letter");
        self.scan(Bound::Included(prefix), &end, direction, usize::MAX)
    }

    /// Shows every row that begins with `prefix`, in order, a page at a time.
    pub(super) fn each(
        &self,
        prefix: &[u8],
        mut show: impl FnMut(Suffix, Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let end = keys::after(prefix).expect("a prefix begins with a letter");
        let mut from = Bound::Included(prefix.to_vec());
        loop {
            let lower = from.as_ref().map(Vec::as_slice);
            let rows = self.scan(lower, &end, Direction::Forward, ROWS_PER_PAGE)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            from = Bound::Excluded(last.clone());
            for (suffix, value) in rows {
                show(suffix, value)?;
            }
        }
    }
}

/// So that a page of live rows stays around a megabyte.
const ROWS_PER_PAGE: usize = 256;

fn full(prefix: &[u8; 3], suffix: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + suffix.len());
    key.extend_from_slice(prefix);
    key.extend_from_slice(suffix);
    key
}
