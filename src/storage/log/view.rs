//! What readers see of the log: everything appended, also what the writer has not written yet.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::record::LogEntry;
use super::recovery::GroupBounds;

#[derive(Debug, Default)]
pub(super) struct View {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    groups: BTreeMap<u16, Group>,
    sequence: u64,
    /// What the writer has put into its batch and not yet into the store.
    staged: Vec<(u16, u64, u64)>,
}

#[derive(Debug, Default)]
struct Group {
    first: Option<u64>,
    last: Option<u64>,
    purged: Option<u64>,
    /// What the next entry has to follow: the last one, or the purged one.
    end: Option<u64>,
    /// Not in the store yet, with the number of the append. An append that replaced another one has a higher
    /// number, so that the end of the first does not end the second.
    pending: BTreeMap<u64, (u64, LogEntry)>,
}

/// A range of a group, as far as it exists.
pub(super) struct Window {
    pub(super) from: u64,
    pub(super) until: u64,
    pub(super) pending: BTreeMap<u64, LogEntry>,
}

impl View {
    pub(super) fn open(&self, group: u16, bounds: &GroupBounds) {
        let GroupBounds { first, last, purged_index: purged, .. } = *bounds;
        let it = Group { first, last, purged, end: last.max(purged), pending: BTreeMap::new() };
        self.lock().groups.insert(group, it);
    }

    /// Makes the entries readable and gives the append its number.
    ///
    /// Errors: `InvalidInput` if they do not follow the last one; nothing is changed then.
    pub(super) fn append(&self, group: u16, entries: &[LogEntry]) -> io::Result<u64> {
        let mut inner = self.lock();
        inner.sequence += 1;
        let sequence = inner.sequence;
        let it = inner.groups.entry(group).or_default();
        let mut end = it.end;
        for entry in entries {
            if end.is_some_and(|end| end.checked_add(1) != Some(entry.index)) {
                let text = format!("append of index {} behind {end:?} in group {group}", entry.index);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
            end = Some(entry.index);
        }
        for entry in entries {
            it.first.get_or_insert(entry.index);
            it.last = Some(entry.index);
            it.pending.insert(entry.index, (sequence, entry.clone()));
        }
        it.end = end;
        Ok(sequence)
    }

    pub(super) fn truncate_after(&self, group: u16, keep: Option<u64>) {
        let mut inner = self.lock();
        let it = inner.groups.entry(group).or_default();
        if it.end.is_none_or(|end| keep.is_some_and(|keep| keep >= end)) || it.end == it.purged {
            return;
        }
        match keep {
            Some(keep) if it.first.is_some_and(|first| first <= keep) => {
                it.end = Some(keep);
                it.last = it.last.min(Some(keep));
                it.pending.split_off(&(keep + 1));
            }
            _ => {
                (it.first, it.last, it.end) = (None, None, it.purged);
                it.pending.clear();
            }
        }
    }

    pub(super) fn purge_through(&self, group: u16, index: u64) {
        let mut inner = self.lock();
        let it = inner.groups.entry(group).or_default();
        if it.purged.is_some_and(|purged| purged > index) {
            return;
        }
        it.purged = Some(index);
        it.end = it.end.max(Some(index));
        if it.last.is_none_or(|last| last <= index) {
            (it.first, it.last) = (None, None);
        } else {
            it.first = it.first.max(Some(index + 1));
        }
    }

    pub(super) fn staged(&self, group: u16, index: u64, sequence: u64) {
        self.lock().staged.push((group, index, sequence));
    }

    /// What was staged is in the store now.
    pub(super) fn written(&self) {
        let mut inner = self.lock();
        for (group, index, sequence) in std::mem::take(&mut inner.staged) {
            let Some(it) = inner.groups.get_mut(&group) else { continue };
            if it.pending.get(&index).is_some_and(|(of, _)| *of == sequence) {
                it.pending.remove(&index);
            }
        }
    }

    pub(super) fn bounds(&self, group: u16) -> (Option<u64>, Option<u64>) {
        self.lock().groups.get(&group).map_or((None, None), |it| (it.first, it.last))
    }

    /// The part of `from..until` that exists; `None` if nothing of it does.
    pub(super) fn window(&self, group: u16, from: u64, until: u64) -> Option<Window> {
        let inner = self.lock();
        let it = inner.groups.get(&group)?;
        let (from, until) = (from.max(it.first?), until.min(it.last? + 1));
        if from >= until {
            return None;
        }
        let pending =
            it.pending.range(from..until).map(|(index, (_, entry))| (*index, entry.clone())).collect();
        Some(Window { from, until, pending })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
