//! Where a node keeps everything: one directory, one owner.
//!
//! ```text
//! DIR/format      the version of this layout, as text
//! DIR/lock        held by the process that works here
//! DIR/hard-state  votes, last durable indexes, node id, boot count
//! DIR/log/        the log of all groups, a sled database
//! DIR/state/      what the log adds up to, a sled database
//! ```
//!
//! It holds what workflows are given and what they answer, so nobody but the node's user reads it: whatever
//! is found here more open than that is closed at each start. A directory that somebody else made keeps its own
//! mode.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sled_store::{OPEN_ATTEMPTS_MAX, OPEN_PAUSE};
use super::{Error, FileHardState, Result, SledStore};

/// The layout this release writes.
pub const FORMAT: u32 = 1;

/// Of every directory: its owner alone.
const DIR_MODE: u32 = 0o700;
/// Of every file: its owner alone.
pub(super) const FILE_MODE: u32 = 0o600;

/// Memory for pages of the log, in bytes, unless configured otherwise. The log is written at its end and read in order: a few leaves are
/// enough, and consensus keeps the recent entries itself.
pub const LOG_CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// Memory for pages of the state, in bytes, unless configured otherwise. The kernel caches the file as well, and what
/// is at work is in memory anyway.
pub const STATE_CACHE_BYTES: u64 = 12 * 1024 * 1024;

/// An open data directory. The directory stays locked as long as this lives.
#[derive(Debug)]
pub struct DataDir {
    /// Where it is.
    pub path: PathBuf,
    /// The database of the log.
    pub log: Arc<SledStore>,
    /// The database of the state.
    pub state: Arc<SledStore>,
    /// The hard state.
    pub hard_state: Arc<FileHardState>,
    _lock: File,
}

/// Memory for pages of the databases, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheBytes {
    /// Of the log.
    pub log: u64,
    /// Of the state.
    pub state: u64,
}

impl Default for CacheBytes {
    fn default() -> Self {
        Self { log: LOG_CACHE_BYTES, state: STATE_CACHE_BYTES }
    }
}

/// How much room there is on the disk of a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What the node may still use, in bytes.
    pub free_bytes: u64,
    /// The size of the file system, in bytes.
    pub total_bytes: u64,
}

impl DataDir {
    pub(super) const HARD_STATE: &str = "hard-state";
    pub(super) const DATABASES: [&str; 2] = ["log", "state"];

    /// Opens the directory at `path`, or makes one, with so much memory for pages of its databases.
    ///
    /// Errors: `Locked` if another process works on it, `Newer` if a later release wrote it, `Corrupt` if a database is
    /// unreadable or the state has lost what was synced, `Open`.
    pub fn open(path: &Path, caches: CacheBytes) -> Result<Self> {
        make_private(path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Error::open(path)(ErrorKind::NotADirectory.into()),
            _ => Error::open(path)(error),
        })?;
        let lock = lock(path)?;
        let hard_state = path.join(Self::HARD_STATE);
        let hard_state = match read_format(path)? {
            // Without its format the directory was never in use, and a hard state that is missing is just new.
            None => {
                refuse_without_format(path)?;
                FileHardState::create(&hard_state)?
            }
            Some(_) => FileHardState::open(&hard_state)?,
        };
        let hard_state = Arc::new(hard_state);
        claim_format(path)?;
        for part in Self::DATABASES {
            let at = path.join(part);
            make_private(&at).map_err(Error::open(at))?;
        }
        let log = Arc::new(SledStore::open(&path.join("log"), caches.log)?);
        let state = Arc::new(SledStore::open_stamped(&path.join("state"), caches.state)?);
        if let Err(error) = close_to_others(path) {
            tracing::warn!(%error, path = %path.display(), "others may be able to read the data directory");
        }
        Ok(Self { path: path.to_owned(), log, state, hard_state, _lock: lock })
    }

    /// How much room is left. A write that finds none ends the process, so whoever admits work asks before.
    ///
    /// Errors: `Io`.
    pub fn space(&self) -> Result<Space> {
        let found = nix::sys::statvfs::statvfs(&self.path)
            .map_err(|error| Error::io("ask for the free space of the data directory")(error.into()))?;
        let block_bytes = found.fragment_size();
        Ok(Space {
            free_bytes: found.blocks_available() * block_bytes,
            total_bytes: found.blocks() * block_bytes,
        })
    }
}

/// Takes the lock of a directory, for as long as the file is open.
pub(super) fn lock(path: &Path) -> Result<File> {
    let at = path.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(&at)
        .map_err(Error::open(at.clone()))?;
    hold(file, path, at)
}

/// Whether a process works on a directory just now.
#[must_use]
pub fn is_in_use(path: &Path) -> bool {
    let file = File::open(path.join("lock"));
    file.is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)))
}

/// Takes the lock of a directory that must not change. One without a lock file is nobody's.
pub(super) fn lock_unchanged(path: &Path) -> Result<Option<File>> {
    let at = path.join("lock");
    match File::open(&at) {
        Ok(file) => hold(file, path, at).map(Some),
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Open { path: at, source }),
    }
}

/// Takes a lock. A process that this one starts has the lock as well until it runs its own program, so whoever has
/// just let go of the lock may find it taken for a moment.
fn hold(file: File, path: &Path, at: PathBuf) -> Result<File> {
    for _ in 1..OPEN_ATTEMPTS_MAX {
        match file.try_lock() {
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(OPEN_PAUSE),
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::Error(source)) => return Err(Error::Open { path: at, source }),
        }
    }
    Err(Error::Locked { path: path.to_owned() })
}

/// Makes a directory, unless it is there, that only the node's user can enter.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(path)
}

/// Takes from others what they may do with the files of a node.
fn close_to_others(path: &Path) -> io::Result<()> {
    let close = |at: &Path| {
        let found = fs::metadata(at)?;
        let mode = if found.is_dir() { DIR_MODE } else { FILE_MODE };
        if found.permissions().mode() & 0o077 == 0 {
            return Ok(());
        }
        fs::set_permissions(at, Permissions::from_mode(mode))
    };
    for file in ["format", "lock", DataDir::HARD_STATE, super::identity::NAME] {
        match close(&path.join(file)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            closed => closed?,
        }
    }
    for part in DataDir::DATABASES {
        let part = path.join(part);
        close(&part)?;
        for entry in fs::read_dir(&part)? {
            close(&entry?.path())?;
        }
    }
    Ok(())
}

/// Checks the format of a directory; `None` if it has none yet.
pub(super) fn read_format(path: &Path) -> Result<Option<u32>> {
    let at = path.join("format");
    let bytes = match fs::read(&at) {
        Ok(bytes) => bytes,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Open { path: at, source }),
    };
    let place = at.display().to_string();
    let text = str::from_utf8(&bytes).ok().map(|text| text.strip_suffix('\n').unwrap_or(text));
    let found = text.and_then(|text| text.parse::<u32>().ok()).filter(|found| *found > 0);
    let found = found.ok_or_else(|| Error::corrupt("the format file", place))?;
    if found > FORMAT {
        return Err(Error::Newer { path: at, found, supported: FORMAT });
    }
    Ok(Some(found))
}

/// A directory that was in use has a format: without it, it has lost more than that file, and nothing may be
/// written over what is left.
fn refuse_without_format(path: &Path) -> Result<()> {
    // The databases are made after the format; a hard state may be older, left by a start that was cut off.
    for part in DataDir::DATABASES {
        if path.join(part).exists() {
            let at = path.join("format").display().to_string();
            return Err(Error::corrupt(format!("the format file is missing beside `{part}`"), at));
        }
    }
    Ok(())
}

fn claim_format(path: &Path) -> Result<()> {
    if read_format(path)?.is_some() {
        return Ok(());
    }
    // Renamed into place, so that a crash leaves no half of it.
    let (new, at) = (path.join("format.new"), path.join("format"));
    let write = || {
        let mut file = File::create(&new)?;
        writeln!(file, "{FORMAT}")?;
        file.sync_all()?;
        fs::rename(&new, &at)?;
        File::open(path)?.sync_all()
    };
    write().map_err(Error::open(at.clone()))
}
