//! Records that have changed since the store last saw them.
//!
//! The oldest change of any of them bounds how far the state is durable, so they are kept by age as well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::view::Record;
use super::keys::Suffix;
use super::tenants::Key;

/// A record that the store does not have as it is.
#[derive(Debug)]
pub(super) struct Dirty {
    pub record: Arc<Record>,
    /// Its size, about, in bytes.
    pub bytes: usize,
    /// The first entry whose change the store lacks.
    pub since: u64,
    /// How many rounds of checkpoints have passed it over.
    pub rounds: u32,
    /// The store has a live row of it.
    pub row_stored: bool,
    /// The row of the idempotency claim that came with its creation. It is written no later than the record.
    pub claim: Option<Suffix>,
    /// A checkpoint is writing it as it was.
    pub picked: bool,
    /// The first entry that changed it after it was picked.
    pub again: Option<u64>,
}

/// The dirty records of a partition.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    records: BTreeMap<Key, Dirty>,
    /// Invariant: exactly the `since` and key of every dirty record.
    by_age: BTreeSet<(u64, Key)>,
    bytes: usize,
}

impl Overlay {
    pub(super) fn get(&self, key: Key) -> Option<&Dirty> {
        self.records.get(&key)
    }

    /// A dirty record for a change by entry `index`, and how many bytes it adds.
    pub(super) fn change(&mut self, key: Key, index: u64, added: usize) -> Option<&mut Dirty> {
        let dirty = self.records.get_mut(&key)?;
        self.bytes += added;
        dirty.bytes += added;
        if dirty.picked && dirty.again.is_none() {
            dirty.again = Some(index);
        }
        Some(dirty)
    }

    /// Takes in a record that was clean, or did not exist, and is changed by entry `index` now.
    pub(super) fn insert(
        &mut self,
        key: Key,
        record: Arc<Record>,
        bytes: usize,
        index: u64,
        row_stored: bool,
    ) {
        let dirty = Dirty {
            record,
            bytes,
            since: index,
            rounds: 0,
            row_stored,
            claim: None,
            picked: false,
            again: None,
        };
        let before = self.records.insert(key, dirty);
        assert!(before.is_none(), "a record becomes dirty once");
        self.by_age.insert((index, key));
        self.bytes += bytes;
    }

    /// A picked record was written. Answers it if it is clean now; otherwise it stays, with its first change
    /// since it was picked as its age.
    pub(super) fn written(&mut self, key: Key) -> Option<Dirty> {
        let dirty = self.records.get_mut(&key).expect("a picked record stays until it is written");
        assert!(dirty.picked, "only picked records are written");
        self.by_age.remove(&(dirty.since, key));
        if let Some(again) = dirty.again.take() {
            dirty.picked = false;
            dirty.rounds = 0;
            dirty.since = again;
            self.by_age.insert((again, key));
            return None;
        }
        self.bytes -= dirty.bytes;
        self.records.remove(&key)
    }

    /// For records that stay dirty.
    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Dirty> {
        self.records.get_mut(&key)
    }

    /// Gives back the bytes of events that were sealed.
    pub(super) fn shrink(&mut self, key: Key, bytes: usize) {
        if let Some(dirty) = self.records.get_mut(&key) {
            dirty.bytes -= bytes;
            self.bytes -= bytes;
        }
    }

    /// Keys from the longest dirty on.
    pub(super) fn by_age(&self) -> impl Iterator<Item = (u64, Key)> {
        self.by_age.iter().copied()
    }

    /// The first entry that the store would lack if everything picked were written.
    pub(super) fn oldest_kept(&self) -> Option<u64> {
        self.by_age.iter().find(|(_, key)| !self.records[key].picked).map(|(since, _)| *since)
    }

    /// Keys below `before` of the same tenant, newest first.
    pub(super) fn below(&self, before: Key) -> impl Iterator<Item = (Key, &Arc<Record>)> {
        let newest_first = self.records.range(..before).rev();
        newest_first
            .take_while(move |(key, _)| key.tenant == before.tenant)
            .map(|(key, dirty)| (*key, &dirty.record))
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
