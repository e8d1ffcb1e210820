//! Walks over the state that go on while checkpoints are written.
//!
//! A walk shows the rows as they were when it began. Before a checkpoint replaces a row that a walk has not come to, it
//! puts the old one aside for it. Most of what a checkpoint writes is new and leaves only its key; finished work moves
//! into packs of which each is one row.
//!
//! Lock order: the machine's turn first, then a walk, then the disk.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::storage::Direction;

use super::disk::{Changes, Disk};
use super::error::{Error, Result};
use super::keys::Suffix;

/// Rows asked of the store at a time, and taken of those put aside.
const ROWS_PER_SCAN: usize = 16;

/// What a row costs that is put aside, beside its bytes.
const ROW_BYTES: usize = 96;

/// One walk, shared by who reads and who writes checkpoints.
pub(super) type Shared = Arc<Mutex<Walk>>;

pub(super) fn lock(walk: &Shared) -> MutexGuard<'_, Walk> {
    walk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far it has come, and what of the rest is not on the disk any more.
pub(super) struct Walk {
    /// The entry through which its rows are complete.
    index: u64,
    /// What was read last.
    after: Bound<Suffix>,
    /// Rows behind that one as they were; `None`: there was none.
    aside: BTreeMap<Suffix, Option<Vec<u8>>>,
    aside_bytes: usize,
    /// Somebody has begun to read.
    begun: bool,
    /// Another state has taken the place of the one it began in.
    broken: bool,
}

/// Some rows of a walk in order.
pub(super) struct Page {
    pub rows: Vec<(Suffix, Vec<u8>)>,
    /// All rows up to this one are in it; `None`: all there are.
    pub until: Option<Suffix>,
}

impl Walk {
    /// The next rows.
    ///
    /// Errors: `Snapshot` if the state was replaced; the store fails or is damaged.
    pub(super) fn page(&mut self, disk: &Disk) -> Result<Page> {
        if self.broken {
            return Err(Error::Snapshot { what: "the state was replaced while it was read".to_owned() });
        }
        self.begun = true;
        let after = self.after.as_ref().map(Vec::as_slice);
        let stored = disk.reading().scan(after, &[u8::MAX], Direction::Forward, ROWS_PER_SCAN)?;
        let mut until = stored.last().map(|(suffix, _)| suffix.clone());
        let mut rows: BTreeMap<_, _> = stored.into_iter().collect();
        let end = until.clone().map_or(Bound::Unbounded, Bound::Included);
        let aside = self.aside.range::<Suffix, _>((self.after.as_ref(), end.as_ref()));
        let aside: Vec<_> = aside.take(ROWS_PER_SCAN).collect();
        // There may be more of them before the next row of the store.
        if let Some((last, _)) = aside.get(ROWS_PER_SCAN - 1) {
            rows.retain(|suffix, _| suffix <= *last);
            until = Some((*last).clone());
        }
        for (suffix, old) in aside {
            match old {
                Some(value) => rows.insert(suffix.clone(), value.clone()),
                None => rows.remove(suffix),
            };
        }
        Ok(Page { rows: rows.into_iter().collect(), until })
    }

    /// Everything up to `suffix` is read.
    pub(super) fn pass(&mut self, suffix: Suffix) {
        while let Some(first) = self.aside.first_entry().filter(|it| *it.key() <= suffix) {
            let (suffix, old) = first.remove_entry();
            self.aside_bytes -= row_bytes(&suffix, old.as_ref());
        }
        self.after = Bound::Excluded(suffix);
    }

    /// Puts aside what `changes` are about to replace.
    fn keep(&mut self, changes: &Changes, disk: &Disk) -> Result<()> {
        for suffix in changes.suffixes() {
            let is_read = match &self.after {
                Bound::Excluded(after) => suffix <= after,
                Bound::Included(_) | Bound::Unbounded => false,
            };
            if is_read || self.aside.contains_key(suffix) {
                continue;
            }
            let old = disk.reading().get(suffix)?;
            self.aside_bytes += row_bytes(suffix, old.as_ref());
            self.aside.insert(suffix.clone(), old);
        }
        Ok(())
    }
}

fn row_bytes(suffix: &Suffix, old: Option<&Vec<u8>>) -> usize {
    ROW_BYTES + suffix.len() + old.map_or(0, Vec::len)
}

/// The walks over one partition that somebody has.
#[derive(Default)]
pub(super) struct Walks(Mutex<Vec<Shared>>);

impl Walks {
    fn all(&self) -> MutexGuard<'_, Vec<Shared>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, index: u64) -> Shared {
        let after = Bound::Included(Suffix::new());
        let walk = Walk { index, after, aside: BTreeMap::new(), aside_bytes: 0, begun: false, broken: false };
        let walk = Arc::new(Mutex::new(walk));
        self.all().push(Arc::clone(&walk));
        walk
    }

    pub(super) fn end(&self, walk: &Shared) {
        self.all().retain(|it| !Arc::ptr_eq(it, walk));
    }

    /// Whether so much is put aside for one of them that it has to go on first.
    pub(super) fn are_full(&self, bytes_max: usize) -> bool {
        self.all().iter().any(|walk| lock(walk).aside_bytes >= bytes_max)
    }

    /// The oldest entry of those that somebody has begun to read.
    pub(super) fn oldest(&self) -> Option<u64> {
        let all = self.all();
        let begun = all.iter().map(lock).filter(|walk| walk.begun);
        begun.map(|walk| walk.index).min()
    }

    /// None of them can go on.
    pub(super) fn spoil(&self) {
        self.all().iter().for_each(|walk| lock(walk).broken = true);
    }

    /// Writes a checkpoint while nobody reads on, and each walk keeps the rows it began with. A turn is held: no walk
    /// begins meanwhile.
    pub(super) fn write(&self, changes: Changes, disk: &Disk) -> Result<()> {
        let all = self.all().clone();
        let mut locked: Vec<_> = all.iter().map(lock).collect();
        for walk in &mut locked {
            walk.keep(&changes, disk)?;
        }
        disk.write(changes)
    }
}
