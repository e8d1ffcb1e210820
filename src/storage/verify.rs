//! Walks through a data directory and says everything that is wrong with it.
//!
//! The node must be stopped. Nothing of the log, the state or the hard state is changed, and no file is added;
//! sled itself tidies its file when it is opened, as it does at each start, and an index that a start left half written
//! goes. Where that cannot be written, in a backup that was mounted for reading for example, a copy of both databases is
//! looked at in its place.
//!
//! What counts is what would be served: every entry of the log, every value of the state, the hard state with its hint,
//! the identity, the format. Damage where nothing is kept is none: in the room of a file that is not in use, in what a
//! later write has replaced, in a table of pages, which the database makes anew from its file.
//!
//! Caveat: the copy takes as much room as the databases do.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io};

use nix::unistd::{AccessFlags, access};
use serde::{Deserialize, Serialize};

use super::data_dir::{self, DataDir, STATE_CACHE_BYTES};
use super::hard_state::{FileHardState, HardRecord, HardState, Loaded};
use super::log::{Found, Loss, read_groups};
use super::stamp::{self, Noted};
use super::{Direction, Error, Result, SledStore, Store, codec, identity};

/// Values of the state read at once. Records are packed, so a page is some megabytes at most.
const PAGE_LEN: usize = 64;

/// Problems that are listed. A directory with more is beyond repair, and the list should stay readable.
pub const PROBLEMS_MAX: usize = 1000;

/// What a walk through a data directory found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// There is no problem.
    pub ok: bool,
    /// The storage format of the directory.
    pub format: Option<u32>,
    /// The node that it belongs to.
    pub node: Option<u64>,
    /// How often the node has started.
    pub boots: Option<u64>,
    /// The log, by group.
    pub groups: BTreeMap<u16, VerifiedGroup>,
    /// Values of the state that were read.
    pub state_values: u64,
    /// Their size in bytes.
    pub state_bytes: u64,
    /// Why the other nodes do not take the directory any more, whole or not.
    pub refused: Option<String>,
    /// Everything that is wrong, at most [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// There were more problems than are listed.
    pub truncated: bool,
}

/// One group of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedGroup {
    /// The first entry.
    pub first: Option<u64>,
    /// The last entry that is whole and chained to all before it.
    pub last: Option<u64>,
    /// Everything up to this index is purged.
    pub purged: Option<u64>,
    /// The index that the hard state knows to be durable.
    pub durable: Option<u64>,
    /// The first index of an end that was never acknowledged. The next start cuts it; this is no problem.
    pub torn_from: Option<u64>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Where: `format`, `hard-state`, `identity`, `log`, `state`, and what part of it.
    pub place: String,
    /// What.
    pub what: String,
}

/// Checks the data directory at `path`, in whose state every value is an envelope. `scratch` is a directory for
/// copies of what cannot be opened where it is.
///
/// Errors: `Locked` if a node works on it, `Newer` if a later release wrote it, `Open` if there is no directory.
/// Damage is part of the report, and so is that nothing is there.
pub fn verify(path: &Path, scratch: &Path) -> Result<VerifyReport> {
    verify_with(path, scratch, &[])
}

/// As [`verify`], for a state in which the values of keys that begin with one of `raw` are no envelopes.
///
/// Errors: as [`verify`].
pub fn verify_with(path: &Path, scratch: &Path, raw: &[&[u8]]) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    fs::metadata(path).map_err(Error::open(path))?;
    let _lock = data_dir::lock_unchanged(path)?;
    match data_dir::read_format(path) {
        Ok(Some(format)) => report.format = Some(format),
        Ok(None) if is_foreign(path) => {
            report
                .add("format", &"this is no data directory: it has neither a format nor anything of a node");
            return Ok(report);
        }
        Ok(None) => report.add("format", &"the file is missing"),
        Err(error @ Error::Corrupt { .. }) => report.add("format", &error),
        Err(error) => return Err(error),
    }
    let hard = report.hard_state(path)?;
    match identity::read(path) {
        Ok(found) => report.refused = found.and_then(|identity| identity.lost),
        Err(error) => report.add("identity", &error),
    }
    let place = Place::of(path, scratch)?;
    if let Some(log) = report.database(place.path(), "log", false)? {
        let found = read_groups(&log, &hard)?;
        report.log(&hard, found);
    }
    if let Some(state) = report.database(place.path(), "state", true)? {
        report.state(&state, raw);
    }
    report.ok = report.problems.is_empty();
    Ok(report)
}

fn is_foreign(path: &Path) -> bool {
    let mut parts = DataDir::DATABASES.into_iter().chain([DataDir::HARD_STATE]);
    parts.all(|part| !path.join(part).exists())
}

/// Where the databases are opened.
enum Place {
    /// Where they are.
    Own(PathBuf),
    /// In copies, which are removed again.
    Copy(PathBuf),
}

impl Place {
    fn of(path: &Path, scratch: &Path) -> Result<Self> {
        let writable = |at: &Path| !at.exists() || access(at, AccessFlags::W_OK).is_ok();
        let databases = DataDir::DATABASES.map(|part| path.join(part));
        if databases.iter().all(|at| writable(at) && writable(&at.join("db"))) {
            return Ok(Self::Own(path.to_owned()));
        }
        // Several may be at it, also in one process.
        static COPIES: AtomicU64 = AtomicU64::new(0);
        let (process, copy) = (std::process::id(), COPIES.fetch_add(1, Ordering::Relaxed));
        Self::copied(path, &scratch.join(format!("everstep-verify-{process}-{copy}")))
    }

    fn copied(path: &Path, to: &Path) -> Result<Self> {
        let copy = Self::Copy(to.to_owned());
        for part in DataDir::DATABASES {
            let from = path.join(part);
            if from.exists() {
                let doing = format!("copy {} to {}", from.display(), to.display());
                copy_tree(&from, &to.join(part)).map_err(Error::io(doing))?;
            }
        }
        Ok(copy)
    }

    fn path(&self) -> &Path {
        match self {
            Self::Own(path) | Self::Copy(path) => path,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Copy(path) = self {
            // What stays behind stays in a directory for what is thrown away.
            let _ = fs::remove_dir_all(path);
        }
    }
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    data_dir::make_private(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_tree(&from, &to)?;
        } else {
            // Its content alone: a copy that could not be written either would be of no use.
            io::copy(&mut fs::File::open(&from)?, &mut fs::File::create(&to)?)?;
        }
    }
    Ok(())
}

impl VerifyReport {
    fn add(&mut self, place: impl Into<String>, what: &dyn std::fmt::Display) {
        if self.problems.len() == PROBLEMS_MAX {
            self.truncated = true;
            return;
        }
        self.problems.push(Problem { place: place.into(), what: what.to_string() });
    }

    fn hard_state(&mut self, path: &Path) -> Result<HardRecord> {
        let file = path.join(DataDir::HARD_STATE);
        if !file.exists() {
            self.add("hard-state", &"the file is missing");
            return Ok(HardRecord::default());
        }
        let state = FileHardState::look(&file)?;
        match state.load()? {
            Loaded::Found { record, repaired } => {
                if repaired {
                    self.add("hard-state", &"one of its two copies is damaged; the next save writes it anew");
                }
                if state.hint_is_damaged()? {
                    self.add("hard-state", &"its hint is damaged; the next commit writes it anew");
                }
                (self.node, self.boots) = (Some(record.node), Some(record.boot));
                return Ok(record);
            }
            Loaded::Missing => self.add("hard-state", &"it is empty"),
            Loaded::Damaged => self.add("hard-state", &"both copies are damaged"),
        }
        Ok(HardRecord::default())
    }

    fn database(&mut self, path: &Path, name: &str, stamped: bool) -> Result<Option<SledStore>> {
        let at = path.join(name);
        if !at.exists() {
            self.add(name, &"the database is missing");
            return Ok(None);
        }
        match stamped.then(|| stamp::read(&at)).transpose()? {
            None | Some(Noted::Syncs(_)) => {}
            Some(Noted::Missing) => self.add(format!("{name}, synced"), &"the file is missing"),
            Some(Noted::Damaged) => {
                let what = "it is damaged: whether the database has lost its end cannot be told; the next start writes it anew";
                self.add(format!("{name}, synced"), &what);
            }
        }
        let opened = match stamped {
            true => SledStore::look_stamped(&at, STATE_CACHE_BYTES),
            false => SledStore::open(&at, STATE_CACHE_BYTES),
        };
        match opened {
            Ok(store) => Ok(Some(store)),
            Err(error @ Error::Locked { .. }) => Err(error),
            Err(error) => {
                self.add(name, &error);
                Ok(None)
            }
        }
    }

    fn log(&mut self, hard: &HardRecord, found: BTreeMap<u16, Found>) {
        for (group, it) in found {
            for loss in &it.losses {
                self.add("log", loss);
            }
            let durable = hard.groups.get(&group).and_then(|it| it.last);
            // Without a hard state nobody knows what was acknowledged.
            let torn = it.torn.filter(|_| it.losses.is_empty());
            if let Some((index, what)) = torn.filter(|_| self.node.is_none()) {
                self.add("log", &Loss { group: Some(group), index: Some(index), what: what.into() });
            }
            let verified = VerifiedGroup {
                first: it.bounds.first,
                last: it.bounds.last,
                purged: it.bounds.purged_index,
                durable,
                torn_from: torn.map(|(index, _)| index),
            };
            self.groups.insert(group, verified);
        }
    }

    fn state(&mut self, state: &SledStore, raw: &[&[u8]]) {
        let mut from = Bound::Unbounded;
        loop {
            let from_ref = from.as_ref().map(Vec::as_slice);
            let page = match state.scan(from_ref, Bound::Unbounded, Direction::Forward, PAGE_LEN) {
                Ok(page) => page,
                Err(error) => {
                    let at = match &from {
                        Bound::Excluded(key) => format!("state, after key {}", key.escape_ascii()),
                        Bound::Included(_) | Bound::Unbounded => "state, at its beginning".into(),
                    };
                    self.add(at, &format!("{error}; what follows was not read"));
                    return;
                }
            };
            let Some((last, _)) = page.last() else { return };
            from = Bound::Excluded(last.clone());
            for (key, value) in &page {
                self.state_values += 1;
                self.state_bytes += value.len() as u64;
                if raw.iter().any(|prefix| key.starts_with(prefix)) {
                    continue;
                }
                if let Err(error) = codec::open(value) {
                    self.add(format!("state, key {}", key.escape_ascii()), &error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_looked_at_where_nothing_can_be_written_and_is_removed() {
        let (home, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        drop(DataDir::open(home.path(), data_dir::CacheBytes::default()).unwrap());
        let to = scratch.path().join("copy");
        let copy = Place::copied(home.path(), &to).unwrap();
        let mut report = VerifyReport::default();
        for part in DataDir::DATABASES {
            assert!(report.database(copy.path(), part, part == "state").unwrap().is_some());
        }
        assert_eq!(report.problems, []);
        drop(copy);
        assert!(!to.exists());
    }
}
