//! The one writer of the log: takes what waits, makes it durable in one go, then tells.
//!
//! The order within a commit is what recovery relies on. Votes and lowered indexes reach the hard state before
//! the entries reach the store: consensus may find a vote without the entries of its term, never entries without
//! their vote, and a cut log is never shorter than the hard state says. Then one sync of the store for all groups,
//! then the hint, then the callbacks in the order of the operations.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::Bound;
use std::sync::Arc;

use super::keys::{self, Purged};
use super::record::{self, CHAIN_START, LogEntry};
use super::view::View;
use super::{COMMITS_PER_SAVE, Done, PURGES_PER_COMMIT, TRUNCATES_PER_WRITE};
use crate::engine::planted::{self, Bug};
use crate::points::{self, Point};
use crate::storage::hard_state::{HardRecord, HardState};
use crate::storage::{Direction, Result, Store, WriteBatch, codec, told};

/// What the owner asks for, in order.
pub(super) struct Operation {
    pub(super) group: u16,
    pub(super) change: Change,
    pub(super) done: Done,
}

pub(super) enum Change {
    Append {
        entries: Vec<LogEntry>,
        sequence: u64,
    },
    Vote(Vec<u8>),
    Meta(u8, Vec<u8>),
    Truncate {
        keep: Option<u64>,
    },
    Purge {
        index: u64,
        marker: Vec<u8>,
    },
    /// Nothing, but a sync of everything before.
    Sync,
}

/// What the writer knows of a group.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    /// The last entry, or the purged one.
    pub(super) last: Option<u64>,
    /// Its checksum.
    pub(super) crc: u32,
    pub(super) purged: Option<u64>,
}

pub(super) struct Writer {
    pub(super) store: Arc<dyn Store>,
    pub(super) hard_state: Arc<dyn HardState>,
    pub(super) hard: HardRecord,
    pub(super) groups: BTreeMap<u16, Group>,
    /// Ranges of purged keys that are still there, both ends included.
    pub(super) leftovers: VecDeque<(u16, u64, u64)>,
    pub(super) view: Arc<View>,
    pub(super) commits: u64,
    /// Set once something failed: nothing is known about the disk any more.
    pub(super) failed: Option<String>,
    pub(super) on_fatal: Arc<dyn Fn(&str) + Send + Sync>,
    batch: WriteBatch,
    /// The store has something that is not synced and that somebody waits for.
    dirty: bool,
    hard_dirty: bool,
}

impl Writer {
    pub(super) fn new(
        store: Arc<dyn Store>,
        hard_state: Arc<dyn HardState>,
        hard: HardRecord,
        view: Arc<View>,
        on_fatal: Arc<dyn Fn(&str) + Send + Sync>,
    ) -> Self {
        Self {
            store,
            hard_state,
            hard,
            groups: BTreeMap::new(),
            leftovers: VecDeque::new(),
            view,
            commits: 0,
            failed: None,
            on_fatal,
            batch: WriteBatch::new(),
            dirty: false,
            hard_dirty: false,
        }
    }

    /// Makes `operations` durable together and calls them back in order.
    pub(super) fn commit(&mut self, operations: Vec<Operation>) {
        points::reach(Point::CommitBegins);
        let mut answers = Vec::with_capacity(operations.len());
        for Operation { group, change, done } in operations {
            if self.failed.is_none()
                && let Err(error) = self.stage(group, change)
            {
                self.fail(&error);
            }
            answers.push(done);
        }
        if self.failed.is_none()
            && let Err(error) = self.finish()
        {
            self.fail(&error);
        }
        for done in answers {
            done(match &self.failed {
                Some(why) => Err(io::Error::other(why.clone())),
                None => Ok(()),
            });
        }
        points::reach(Point::CommitTold);
    }

    /// Removes a few purged keys. Returns whether more are left.
    pub(super) fn sweep(&mut self) -> bool {
        if self.failed.is_some() {
            return false;
        }
        let Some((group, from, to)) = self.leftovers.pop_front() else { return false };
        let until = to.min(from.saturating_add(PURGES_PER_COMMIT - 1));
        let mut batch = WriteBatch::new();
        for index in from..=until {
            batch.delete(keys::entry(group, index));
        }
        if let Err(error) = self.store.write(batch) {
            self.fail(&error);
            return false;
        }
        points::reach(Point::SweptSome);
        if until < to {
            self.leftovers.push_front((group, until + 1, to));
        }
        !self.leftovers.is_empty()
    }

    fn fail(&mut self, error: &dyn std::error::Error) {
        let text = format!("the log cannot be written: {}", told(error));
        (self.on_fatal)(&text);
        self.failed = Some(text);
    }

    /// Takes one operation into the commit.
    fn stage(&mut self, group: u16, change: Change) -> Result<()> {
        match change {
            Change::Append { entries, sequence } => {
                self.append(group, entries, sequence);
                Ok(())
            }
            Change::Vote(vote) => {
                self.hard.groups.entry(group).or_default().vote = Some(vote);
                self.hard_dirty = !planted::is(Bug::VoteLost);
                Ok(())
            }
            Change::Meta(key, bytes) => {
                self.batch.put(keys::meta(group, key), codec::encode(keys::META, keys::VERSION, &bytes));
                Ok(())
            }
            Change::Truncate { keep } => self.truncate(group, keep),
            Change::Purge { index, marker } => self.purge(group, index, marker),
            Change::Sync => Ok(()),
        }
    }

    fn append(&mut self, group: u16, entries: Vec<LogEntry>, sequence: u64) {
        let it = self.groups.entry(group).or_default();
        for entry in entries {
            assert!(it.last.is_none_or(|last| entry.index == last + 1), "the view lets no gap through");
            let (bytes, crc) = record::encode(group, &entry, it.crc);
            self.batch.put(keys::entry(group, entry.index), bytes);
            (it.last, it.crc) = (Some(entry.index), crc);
            self.view.staged(group, entry.index, sequence);
        }
    }

    /// Hands what is staged to the store: votes first. Not durable yet, except for the hard state.
    fn write(&mut self) -> Result<()> {
        if self.hard_dirty {
            points::reach(Point::HardStateBefore);
            self.hard_state.save(&self.hard)?;
            self.hard_dirty = false;
            points::reach(Point::HardStateSaved);
        }
        if !self.batch.is_empty() {
            metrics::counter!("everstep_log_bytes_total").increment(self.batch.bytes() as u64);
            self.store.write(std::mem::take(&mut self.batch))?;
            self.dirty = true;
            points::reach(Point::EntriesWritten);
            self.view.written();
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.write()?;
        // A vote alone is durable by now, and an election should not wait for one more sync.
        if !self.dirty {
            return Ok(());
        }
        if !planted::is(Bug::LogNotSynced) {
            self.store.sync()?;
        }
        points::reach(Point::LogSynced);
        self.dirty = false;
        self.commits += 1;
        for (group, it) in &self.groups {
            self.hard.groups.entry(*group).or_default().last = it.last;
        }
        if self.commits.is_multiple_of(COMMITS_PER_SAVE) {
            return self.hard_state.save(&self.hard);
        }
        let last = self.groups.iter().filter_map(|(group, it)| Some((*group, it.last?))).collect();
        self.hard_state.hint(&last)?;
        points::reach(Point::HintWritten);
        Ok(())
    }

    fn truncate(&mut self, group: u16, keep: Option<u64>) -> Result<()> {
        let it = self.groups.entry(group).or_default().clone();
        let Some(last) = it.last else { return Ok(()) };
        if keep.is_some_and(|keep| keep >= last) || it.purged == Some(last) {
            return Ok(());
        }
        let keep = keep.max(it.purged);
        // What is staged goes first, so that the entries to remove and the checksum to go on from are in the store.
        self.write()?;
        let kept = match keep {
            Some(keep) if it.purged != Some(keep) => self.entry_crc(group, keep)?.map(|crc| (keep, crc)),
            Some(_) | None => None,
        };
        // If nothing is left, the group begins again where it was purged, or anywhere.
        let (keep, crc) = match (kept, it.purged) {
            (Some((keep, crc)), _) => (Some(keep), crc),
            (None, Some(purged)) => (Some(purged), self.purged_crc(group)?),
            (None, None) => (None, CHAIN_START),
        };
        // Nobody may be told of a loss because of this cut.
        let hard = self.hard.groups.entry(group).or_default();
        hard.last = hard.last.min(keep);
        self.hard_state.save(&self.hard)?;
        points::reach(Point::CutNoted);
        self.groups.insert(group, Group { last: keep, crc, purged: it.purged });
        self.remove_after(group, keep, last)
    }

    /// Removes the entries behind `keep` from the end, so that a crash in between leaves no hole.
    fn remove_after(&mut self, group: u16, keep: Option<u64>, last: u64) -> Result<()> {
        let end = keys::entry(group, last);
        let from = keep
            .map_or(Bound::Included(keys::entry(group, 0)), |keep| Bound::Excluded(keys::entry(group, keep)));
        loop {
            let from = from.as_ref().map(<[u8; 11]>::as_slice);
            let pairs =
                self.store.scan(from, Bound::Included(&end), Direction::Backward, TRUNCATES_PER_WRITE)?;
            if pairs.is_empty() {
                return Ok(());
            }
            let mut batch = WriteBatch::new();
            for (key, _) in pairs {
                batch.delete(key);
            }
            self.store.write(batch)?;
            points::reach(Point::CutHalf);
            self.dirty = true;
        }
    }

    fn purge(&mut self, group: u16, index: u64, marker: Vec<u8>) -> Result<()> {
        let it = self.groups.entry(group).or_default().clone();
        if it.purged.is_some_and(|purged| purged > index) {
            return Ok(());
        }
        self.write()?;
        let crc = match it.purged == Some(index) {
            true => self.purged_crc(group)?,
            false => self.entry_crc(group, index)?.unwrap_or(CHAIN_START),
        };
        let from = it.purged.map_or_else(|| self.first_key(group), |purged| Ok(Some(purged + 1)))?;
        let to = it.last.map(|last| last.min(index));
        let beyond = it.last.is_none_or(|last| last < index);
        let group_now = if beyond {
            Group { last: Some(index), crc, purged: Some(index) }
        } else {
            Group { purged: Some(index), ..it }
        };
        self.groups.insert(group, group_now);
        let purged = Purged { index, crc, marker };
        self.batch.put(keys::purged(group), codec::encode(keys::PURGED, keys::VERSION, &purged));
        points::reach(Point::PurgeStaged);
        if let (Some(from), Some(to)) = (from, to)
            && from <= to
        {
            self.leftovers.push_back((group, from, to));
        }
        Ok(())
    }

    fn first_key(&self, group: u16) -> Result<Option<u64>> {
        let (from, to) = (keys::entry(group, 0), keys::entry(group, u64::MAX));
        let pairs = self.store.scan(Bound::Included(&from), Bound::Included(&to), Direction::Forward, 1)?;
        Ok(pairs.first().and_then(|(key, _)| keys::parse_entry(key)).map(|(_, index)| index))
    }

    fn purged_crc(&self, group: u16) -> Result<u32> {
        let Some(value) = self.store.get(&keys::purged(group))? else { return Ok(CHAIN_START) };
        let (_, purged): (_, Purged) = codec::decode(keys::PURGED, &value)?;
        Ok(purged.crc)
    }

    fn entry_crc(&self, group: u16, index: u64) -> Result<Option<u32>> {
        let Some(value) = self.store.get(&keys::entry(group, index))? else { return Ok(None) };
        let record = record::decode(value)
            .map_err(|what| crate::storage::Error::corrupt(what, format!("group {group}, index {index}")))?;
        Ok(Some(record.crc))
    }
}
