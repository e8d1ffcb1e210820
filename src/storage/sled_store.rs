//! sled, made durable.
//!
//! sled's own `flush` hands its buffers to the kernel and asks for `sync_file_range`, which promises nothing
//! after a power cut. So a sync here is a flush and then an `fdatasync` of the database file. sled's timer that
//! flushes in the background is off: the log and the checkpoint say when.
//!
//! sled moves a page that outgrows a quarter of a segment into a file of its own, which nothing syncs. A page is a
//! leaf of up to [`LEAF_ITEMS_MAX`] values, so no value may be larger than [`PIECE_BYTES_MAX`]: larger ones are cut
//! into pieces under keys that scans do not see, and the value itself becomes a stub with their checksum. Keys
//! are stored behind a byte that tells values from pieces:
//!
//! ```text
//! 0x00 key              -> value 0x00 | length u32, CRC32C u32 0x01
//! 0x01 key piece u16    -> piece
//! 0x02                  -> number of syncs u64, if stamped
//! ```
//!
//! Damage in the middle of sled's file makes sled forget what came later, without a word. The log notices by itself.
//! A database that is opened *stamped* counts its syncs, in itself and in a small file beside it, and is refused
//! when it is behind that file.
//!
//! sled writes a new index beside the old one before it takes its place, and at the next start takes the newest by
//! name: also one that a kill or a full disk has left half written. So such a one is removed before it looks. One that
//! was finished and not renamed stays: what came after it counts on it.
//!
//! Caveats: sled panics on some damage, so opening and reading run behind `catch_unwind`. Its pages are cached by
//! their size on disk; the memory in use is up to twice the cache capacity.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use super::memory::is_void;
use super::stamp::{self, Stamp};
use super::store::Pair;
use super::{Direction, Error, Result, Store, WriteBatch};

/// Small, so that an idle database holds little memory and a start reads little at a time; large enough that a
/// leaf full of the largest pieces stays below a quarter of it.
const SEGMENT_BYTES: usize = 2 * 1024 * 1024;

/// sled splits a leaf once it has more than 16 items, and merges leaves below four into their neighbour.
const LEAF_ITEMS_MAX: usize = 16 + 1 + 4;

/// What sled adds around a page and around each item, at the most.
const OVERHEAD_BYTES_MAX: usize = 1024 + LEAF_ITEMS_MAX * (KEY_BYTES_MAX + 64);

/// The largest value that sled itself is given, in bytes.
pub const PIECE_BYTES_MAX: usize = 22 * 1024;

/// After so many bytes without a sync there is one. sled gives a segment away once what replaces it was written and a
/// later segment was begun, and takes written for durable; so less than a segment may be written at a time.
const UNSYNCED_BYTES_MAX: usize = SEGMENT_BYTES / 2;

/// The longest key, in bytes. Keys repeat in every leaf that is written.
pub const KEY_BYTES_MAX: usize = 1024;

/// The largest value, in bytes: what one log entry or one packed checkpoint record may need, with room.
pub const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;

const _: () = assert!(
    LEAF_ITEMS_MAX * (PIECE_BYTES_MAX + 1) + OVERHEAD_BYTES_MAX < SEGMENT_BYTES / 4 - 64,
    "a leaf full of pieces must not become a file of its own"
);
const _: () = assert!(VALUE_BYTES_MAX / PIECE_BYTES_MAX < u16::MAX as usize, "pieces are numbered by a u16");

const VALUES: u8 = 0;
const PIECES: u8 = 1;
const STAMP: u8 = 2;
const WHOLE: u8 = 0;
const STUB: u8 = 1;
const STUB_BYTES: usize = 9;

/// How often a reader tries again when a value in pieces is replaced under it.
const READ_ATTEMPTS_MAX: usize = 16;

/// How often a lock is tried, and the pause between: longer than sled needs to finish its last write, and than a
/// process needs to start.
pub(super) const OPEN_ATTEMPTS_MAX: usize = 100;
pub(super) const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// A sled database in a directory.
#[derive(Debug)]
pub struct SledStore {
    tree: sled::Db,
    file: File,
    path: PathBuf,
    /// Bytes written since the last sync.
    unsynced: AtomicUsize,
    /// There may be values in pieces. While there are none, a write need not look at what it replaces.
    pieces: AtomicBool,
    /// The number of syncs, if they are counted.
    stamp: Option<Mutex<Stamp>>,
}

/// What the tree is told, in order: keys with what they get, or with nothing if they go.
type Changes = Vec<(Vec<u8>, Option<sled::IVec>)>;

/// What is done about the count of syncs.
enum Stamping {
    /// There is none.
    None,
    /// It is looked at.
    Check,
    /// It is looked at and kept.
    Keep,
}

/// Makes durable which files are in a database's directory, and the directory itself.
fn sync_directories(path: &Path) -> Result<()> {
    for directory in [Some(path), path.parent()].into_iter().flatten() {
        File::open(directory).and_then(|it| it.sync_all()).map_err(Error::open(directory))?;
    }
    Ok(())
}

/// Removes what sled began to write when it was opened last and did not finish. Whoever opens the database is alone with
/// it.
fn remove_unfinished(path: &Path) -> Result<()> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(Error::open(path))?,
    };
    for entry in entries {
        let file = entry.map_err(Error::open(path))?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let begun = name.starts_with("snap.") && name.ends_with(".generating");
        if begun && !is_finished(&fs::read(&file).map_err(Error::open(&file))?) {
            fs::remove_file(&file).map_err(Error::open(&file))?;
        }
    }
    Ok(())
}

/// Whether sled wrote all of an index: its length in eight bytes and its checksum in four come last.
fn is_finished(file: &[u8]) -> bool {
    let Some((rest, checksum)) = file.split_last_chunk::<4>() else { return false };
    let Some((index, _length)) = rest.split_last_chunk::<8>() else { return false };
    !index.is_empty() && crc32fast::hash(index) == u32::from_le_bytes(*checksum)
}

impl SledStore {
    /// Opens or creates the database in the directory `path`, with a page cache of `cache_bytes`.
    ///
    /// Errors: `Locked` if another process has it open, `Corrupt` if sled cannot make sense of it, `Open`.
    pub fn open(path: &Path, cache_bytes: u64) -> Result<Self> {
        Self::open_with(path, cache_bytes, Stamping::None)
    }

    /// As `open`, and counts syncs, so that a database that has gone back in time is noticed.
    ///
    /// Errors: as `open`; `Corrupt` also if syncs are missing.
    pub fn open_stamped(path: &Path, cache_bytes: u64) -> Result<Self> {
        Self::open_with(path, cache_bytes, Stamping::Keep)
    }

    /// As `open_stamped`, to look at it: syncs are not counted, and the file beside it stays as it is.
    ///
    /// Errors: as `open_stamped`.
    pub(super) fn look_stamped(path: &Path, cache_bytes: u64) -> Result<Self> {
        Self::open_with(path, cache_bytes, Stamping::Check)
    }

    fn open_with(path: &Path, cache_bytes: u64, stamping: Stamping) -> Result<Self> {
        remove_unfinished(path)?;
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(cache_bytes)
            .segment_size(SEGMENT_BYTES)
            .flush_every_ms(None);
        let tree = open_tree(path, &config)?;
        // sled has just renamed a new snapshot into place and removed the old one, and syncs neither.
        sync_directories(path)?;
        let file = File::open(path.join("db")).map_err(Error::open(path.join("db")))?;
        // sled never syncs its own settings, without which it would guess the size of its segments.
        let settings = path.join("conf");
        File::open(&settings).and_then(|it| it.sync_all()).map_err(Error::open(settings))?;
        let (unsynced, pieces) = (AtomicUsize::new(0), AtomicBool::new(true));
        let mut store = Self { tree, file, path: path.to_owned(), unsynced, pieces, stamp: None };
        let pieces = [PIECES].as_slice()..[STAMP].as_slice();
        let first = store.guarded(|| store.tree.range(pieces).next().transpose())?;
        store.pieces.store(first.is_some(), Ordering::Relaxed);
        match stamping {
            Stamping::None => {}
            Stamping::Check => drop(stamp::check(path, store.syncs()?)?),
            Stamping::Keep => store.stamp = Some(Mutex::new(Stamp::open(path, store.syncs()?)?)),
        }
        store.sync()?;
        sync_directories(path)?;
        Ok(store)
    }

    fn guarded<T>(&self, work: impl FnOnce() -> sled::Result<T>) -> Result<T> {
        guarded(&self.path, "read or write", work)
    }

    /// The value that the tree has behind `key`, put together from its pieces; `None` if they do not fit the
    /// stub, which is damage or a write in between.
    fn whole(&self, key: &[u8], stored: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some((tag, value)) = stored.split_last() else { return Ok(None) };
        if *tag == WHOLE {
            return Ok(Some(value.to_vec()));
        }
        let Some((length, crc)) = stub_parts(stored) else { return Ok(None) };
        let mut value = Vec::with_capacity(length.min(VALUE_BYTES_MAX));
        for number in 0..length.div_ceil(PIECE_BYTES_MAX) {
            let piece = piece_key(key, number);
            let Some(piece) = self.guarded(|| self.tree.get(piece))? else { return Ok(None) };
            value.extend_from_slice(&piece);
        }
        let whole = value.len() == length && crc32c::crc32c(&value) == crc;
        Ok(whole.then_some(value))
    }

    /// How many syncs the database itself remembers.
    fn syncs(&self) -> Result<u64> {
        let Some(stored) = self.guarded(|| self.tree.get([STAMP]))? else { return Ok(0) };
        let bytes = <[u8; 8]>::try_from(stored.as_ref()).map_err(|_| self.damaged(b"syncs"))?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn damaged(&self, key: &[u8]) -> Error {
        Error::corrupt(format!("the value of a key in {}", self.path.display()), hex(key))
    }

    /// Adds the removal of the pieces of what `key` holds now, from piece `keep` on.
    fn drop_pieces(&self, changes: &mut Changes, key: &[u8], keep: usize) -> Result<()> {
        let Some(stored) = self.guarded(|| self.tree.get(value_key(key)))? else { return Ok(()) };
        let Some((length, _)) = stub_parts(&stored) else { return Ok(()) };
        for number in keep..length.min(VALUE_BYTES_MAX).div_ceil(PIECE_BYTES_MAX) {
            changes.push((piece_key(key, number), None));
        }
        Ok(())
    }

    fn put(&self, changes: &mut Changes, key: &[u8], mut value: Vec<u8>) -> Result<()> {
        let large = value.len() > PIECE_BYTES_MAX;
        if large {
            self.pieces.store(true, Ordering::Relaxed);
        }
        let pieces = if large { value.len().div_ceil(PIECE_BYTES_MAX) } else { 0 };
        if self.pieces.load(Ordering::Relaxed) {
            self.drop_pieces(changes, key, pieces)?;
        }
        if !large {
            value.push(WHOLE);
            changes.push((value_key(key), Some(value.into())));
            return Ok(());
        }
        for (number, piece) in value.chunks(PIECE_BYTES_MAX).enumerate() {
            changes.push((piece_key(key, number), Some(piece.into())));
        }
        changes.push((value_key(key), Some(stub(&value).into())));
        Ok(())
    }

    /// All of `changes` or none. One alone is that without a batch, for which sled seals a buffer before and one after
    /// and waits for each.
    fn apply(&self, mut changes: Changes) -> Result<()> {
        if changes.len() > 1 {
            let mut batch = sled::Batch::default();
            for (key, value) in changes {
                match value {
                    Some(value) => batch.insert(key, value),
                    None => batch.remove(key),
                }
            }
            return self.guarded(|| self.tree.apply_batch(batch));
        }
        let Some((key, value)) = changes.pop() else { return Ok(()) };
        self.guarded(|| match value {
            Some(value) => self.tree.insert(key, value),
            None => self.tree.remove(key),
        })?;
        Ok(())
    }
}

impl Store for SledStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        for _ in 0..READ_ATTEMPTS_MAX {
            let Some(stored) = self.guarded(|| self.tree.get(value_key(key)))? else { return Ok(None) };
            if let Some(value) = self.whole(key, &stored)? {
                return Ok(Some(value));
            }
        }
        Err(self.damaged(key))
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
        let from = match from {
            Bound::Unbounded => Bound::Included(vec![VALUES]),
            Bound::Included(key) => Bound::Included(value_key(key)),
            Bound::Excluded(key) => Bound::Excluded(value_key(key)),
        };
        let to = match to {
            Bound::Unbounded => Bound::Excluded(vec![PIECES]),
            Bound::Included(key) => Bound::Included(value_key(key)),
            Bound::Excluded(key) => Bound::Excluded(value_key(key)),
        };
        let found = self.guarded(|| {
            let range = self.tree.range::<Vec<u8>, _>((from, to));
            match direction {
                Direction::Forward => range.take(limit).collect::<sled::Result<Vec<_>>>(),
                Direction::Backward => range.rev().take(limit).collect(),
            }
        })?;
        let mut pairs = Vec::with_capacity(found.len());
        for (key, stored) in found {
            let key = key[1..].to_vec();
            let value = match self.whole(&key, &stored)? {
                Some(value) => value,
                // Replaced or removed since; the value of now is as good an answer.
                None => match self.get(&key)? {
                    Some(value) => value,
                    None => continue,
                },
            };
            pairs.push((key, value));
        }
        Ok(pairs)
    }

    fn write(&self, batch: WriteBatch) -> Result<()> {
        let bytes = batch.bytes();
        let changes = batch.into_changes();
        for (key, value) in &changes {
            within(key.len(), KEY_BYTES_MAX)?;
            within(value.as_ref().map_or(0, Vec::len), VALUE_BYTES_MAX)?;
        }
        let mut told = Changes::with_capacity(changes.len());
        for (key, value) in changes {
            match value {
                Some(value) => self.put(&mut told, &key, value)?,
                None => {
                    if self.pieces.load(Ordering::Relaxed) {
                        self.drop_pieces(&mut told, &key, 0)?;
                    }
                    told.push((value_key(&key), None));
                }
            }
        }
        self.apply(told)?;
        if self.unsynced.fetch_add(bytes, Ordering::Relaxed) + bytes > UNSYNCED_BYTES_MAX {
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let mut stamp = self.stamp.as_ref().map(|it| it.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(stamp) = &mut stamp {
            let syncs = stamp.next();
            self.guarded(|| self.tree.insert([STAMP], &syncs.to_le_bytes()))?;
        }
        self.unsynced.store(0, Ordering::Relaxed);
        self.guarded(|| self.tree.flush())?;
        self.file.sync_data().map_err(Error::io(format!("sync {}", self.path.display())))?;
        stamp.map_or(Ok(()), |stamp| stamp.note())
    }
}

fn within(bytes: usize, bytes_max: usize) -> Result<()> {
    if bytes > bytes_max { Err(Error::TooLarge { bytes, bytes_max }) } else { Ok(()) }
}

fn value_key(key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len() + 1);
    bytes.push(VALUES);
    bytes.extend_from_slice(key);
    bytes
}

fn piece_key(key: &[u8], number: usize) -> Vec<u8> {
    let number = u16::try_from(number).expect("the size of a value was checked");
    let mut bytes = Vec::with_capacity(key.len() + 3);
    bytes.push(PIECES);
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes
}

fn stub(value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).expect("the size of a value was checked");
    let mut bytes = Vec::with_capacity(STUB_BYTES);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(value).to_le_bytes());
    bytes.push(STUB);
    bytes
}

fn stub_parts(stored: &[u8]) -> Option<(usize, u32)> {
    let [a, b, c, d, e, f, g, h, STUB] = *stored else { return None };
    Some((u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h])))
}

/// Opens the tree. sled's threads may hold the lock for a moment after an earlier opening was dropped.
fn open_tree(path: &Path, config: &sled::Config) -> Result<sled::Db> {
    for _ in 1..OPEN_ATTEMPTS_MAX {
        match guarded(path, "open", || config.open()) {
            Err(Error::Locked { .. }) => std::thread::sleep(OPEN_PAUSE),
            outcome => return outcome,
        }
    }
    guarded(path, "open", || config.open())
}

thread_local! {
    static IN_SLED: Cell<bool> = const { Cell::new(false) };
}

/// Catches a panic, which is not printed: it becomes an error that says the same.
fn quietly<T>(work: impl FnOnce() -> T) -> std::thread::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !IN_SLED.get() {
                print(panic);
            }
        }));
    });
    IN_SLED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    IN_SLED.set(false);
    outcome
}

/// Runs sled, whose panics on damaged files become errors.
fn guarded<T>(path: &Path, doing: &str, work: impl FnOnce() -> sled::Result<T>) -> Result<T> {
    let outcome = quietly(work);
    let error = match outcome {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error,
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            let (what, why) = (format!("the database {}", path.display()), text.unwrap_or("no reason"));
            return Err(Error::corrupt(what, format!("an unknown place (sled says: {why})")));
        }
    };
    Err(match error {
        sled::Error::Corruption { at, .. } => {
            let at = at.map_or_else(|| "an unknown place".into(), |at| format!("{at:?}"));
            Error::corrupt(format!("the database {}", path.display()), at)
        }
        // sled wraps the failed lock into an error of kind Other; its text is all that tells it apart.
        sled::Error::Io(source) if source.to_string().starts_with("could not acquire lock") => {
            Error::Locked { path: path.to_owned() }
        }
        sled::Error::Io(source) => Error::Io { doing: format!("{doing} {}", path.display()), source },
        other @ (sled::Error::CollectionNotFound(_)
        | sled::Error::Unsupported(_)
        | sled::Error::ReportableBug(_)) => {
            let source = io::Error::other(other);
            Error::Io { doing: format!("{doing} {}", path.display()), source }
        }
    })
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
