//! The newest entries of one group's log, in memory.
//!
//! Raft reads every entry again after it was appended, to replicate and to apply it. Those reads are served
//! from here; the database is read for followers that are far behind and after a restart.

use std::collections::VecDeque;
use std::ops::Range;

use super::types::{Entry, Payload};

/// Enough for every follower that keeps up, however small the entries.
const ENTRIES_MAX: usize = 2_048;

/// Large entries leave earlier, so that 32 groups stay at 32 MiB. A follower that keeps up is a few entries behind.
const BYTES_MAX: usize = 1 << 20;

/// A run of entries without gaps. Those that are not durable yet are never forgotten: only here can they be
/// read.
#[derive(Debug, Default)]
pub(super) struct Recent {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Entries below this index are durable.
    durable_next: u64,
}

impl Recent {
    /// The index of the oldest entry.
    pub(super) fn first(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.log_id.index)
    }

    /// Takes the next entry.
    pub(super) fn push(&mut self, entry: Entry) {
        let next = self.entries.back().map(|last| last.log_id.index + 1);
        if next.is_some_and(|next| next != entry.log_id.index) {
            // A snapshot has replaced what was here.
            self.entries.clear();
            self.bytes = 0;
        }
        self.bytes += weight(&entry);
        self.entries.push_back(entry);
    }

    /// Everything through `index` has become durable; what is beyond the limits is forgotten.
    pub(super) fn durable(&mut self, index: u64) {
        self.durable_next = self.durable_next.max(index + 1);
        while self.entries.len() > ENTRIES_MAX || self.bytes > BYTES_MAX {
            match self.entries.front() {
                Some(entry) if entry.log_id.index < self.durable_next => {}
                Some(_) | None => break,
            }
            self.forget_first();
        }
    }

    /// Drops the entries from `index` on.
    pub(super) fn truncate_from(&mut self, index: u64) {
        while self.entries.back().is_some_and(|entry| entry.log_id.index >= index) {
            if let Some(entry) = self.entries.pop_back() {
                self.bytes -= weight(&entry);
            }
        }
        self.durable_next = self.durable_next.min(index);
    }

    /// Drops the entries through `index`.
    pub(super) fn purge_through(&mut self, index: u64) {
        while self.first().is_some_and(|first| first <= index) {
            self.forget_first();
        }
    }

    /// Copies of the entries in `range`, up to about `bytes_max` but at least one; none unless the first of
    /// the range is here.
    pub(super) fn read(&self, range: &Range<u64>, bytes_max: usize) -> Vec<Entry> {
        let Some(skip) = self.first().and_then(|first| range.start.checked_sub(first)) else {
            return Vec::new();
        };
        let mut bytes = 0;
        let within = |entry: &&Entry| {
            let fits = entry.log_id.index < range.end && bytes < bytes_max;
            bytes += weight(entry);
            fits
        };
        self.entries
            .iter()
            .skip(usize::try_from(skip).unwrap_or(usize::MAX))
            .take_while(within)
            .cloned()
            .collect()
    }

    fn forget_first(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= weight(&entry);
        }
    }
}

/// About how much memory an entry holds, in bytes: its encoded form and as much again for the decoded one.
fn weight(entry: &Entry) -> usize {
    const FIXED: usize = 128;
    match &entry.payload {
        Payload::Normal(proposal) => FIXED + 2 * proposal.bytes().len(),
        Payload::Blank | Payload::Membership(_) => FIXED,
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::{LeaderId, LogId};
    use super::*;

    fn entry(index: u64) -> Entry {
        Entry { log_id: LogId::new(LeaderId { term: 1, node_id: 1 }, index), payload: Payload::Blank }
    }

    fn indexes(entries: &[Entry]) -> Vec<u64> {
        entries.iter().map(|entry| entry.log_id.index).collect()
    }

    #[test]
    fn what_is_not_durable_is_never_forgotten() {
        let mut recent = Recent::default();
        let count = ENTRIES_MAX as u64 + 10;
        (0..count).for_each(|index| recent.push(entry(index)));
        assert_eq!(recent.first(), Some(0));
        recent.durable(4);
        assert_eq!(recent.first(), Some(5));
        recent.durable(count - 1);
        assert_eq!(recent.first(), Some(10));
    }

    #[test]
    fn a_read_begins_at_its_start_or_is_empty() {
        let mut recent = Recent::default();
        (5..10).for_each(|index| recent.push(entry(index)));
        assert_eq!(indexes(&recent.read(&(6..8), usize::MAX)), [6, 7]);
        assert_eq!(indexes(&recent.read(&(8..99), usize::MAX)), [8, 9]);
        assert_eq!(indexes(&recent.read(&(5..10), 1)), [5]);
        assert!(recent.read(&(4..8), usize::MAX).is_empty());
    }

    #[test]
    fn truncation_and_purge_cut_both_ends() {
        let mut recent = Recent::default();
        (0..10).for_each(|index| recent.push(entry(index)));
        recent.truncate_from(7);
        recent.purge_through(2);
        assert_eq!(indexes(&recent.read(&(3..10), usize::MAX)), [3, 4, 5, 6]);
    }
}
