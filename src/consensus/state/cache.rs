//! Clean records that were used lately.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::view::Record;
use super::tenants::Key;

struct Entry {
    record: Arc<Record>,
    bytes: usize,
    used: u64,
}

/// A cache bounded by count and by bytes; what was used longest ago leaves first.
pub(super) struct Cache {
    entries: BTreeMap<Key, Entry>,
    /// Invariant: exactly the `used` and key of every entry.
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
    records_max: usize,
    bytes_max: usize,
}

impl Cache {
    pub(super) fn new(records_max: usize, bytes_max: usize) -> Self {
        Self { entries: BTreeMap::new(), by_use: BTreeMap::new(), uses: 0, bytes: 0, records_max, bytes_max }
    }

    pub(super) fn get(&mut self, key: Key) -> Option<Arc<Record>> {
        let entry = self.entries.get_mut(&key)?;
        self.uses += 1;
        self.by_use.remove(&entry.used);
        entry.used = self.uses;
        self.by_use.insert(entry.used, key);
        Some(Arc::clone(&entry.record))
    }

    pub(super) fn take(&mut self, key: Key) -> Option<(Arc<Record>, usize)> {
        let entry = self.entries.remove(&key)?;
        self.by_use.remove(&entry.used);
        self.bytes -= entry.bytes;
        Some((entry.record, entry.bytes))
    }

    pub(super) fn put(&mut self, key: Key, record: Arc<Record>, bytes: usize) {
        if bytes > self.bytes_max || self.records_max == 0 {
            return;
        }
        self.take(key);
        self.uses += 1;
        self.by_use.insert(self.uses, key);
        self.bytes += bytes;
        self.entries.insert(key, Entry { record, bytes, used: self.uses });
        while self.entries.len() > self.records_max || self.bytes > self.bytes_max {
            let (_, oldest) = self.by_use.pop_first().expect("a full cache is not empty");
            let entry = self.entries.remove(&oldest).expect("what is listed is there");
            self.bytes -= entry.bytes;
        }
    }

    pub(super) fn contains(&self, key: Key) -> bool {
        self.entries.contains_key(&key)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
