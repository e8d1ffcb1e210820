//! The little that a node must never forget, in a file of its own.
//!
//! It holds the node's id, how often it has booted, and for each group the vote and the last log index that was
//! durable. The last one is how a log that has lost its end is told from a log that never was longer.
//!
//! ```text
//! slot A | slot B | hint       64 KiB each
//! magic u32 | version u16 | 0 u16 | generation u64 | length u32 | CRC32C u32 | body
//! ```
//!
//! A save writes slot A and syncs, then writes slot B and syncs, and only then is acknowledged: a torn write and
//! a rotten slot both leave the other one, which has everything that was acknowledged. The hint carries the last
//! indexes after every commit without a sync of its own; it counts only for the generation it was written for,
//! so that a save may also lower an index.
//!
//! Caveat: after a power cut (not after a crash of the process) the newest hint may be gone. What protects the
//! end of the log then is the last save, at most [`super::COMMITS_PER_SAVE`] commits before.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Error, Result};

/// The size of a slot. Thousands of groups fit; a node holds at most some dozens.
const SLOT_BYTES: usize = 64 * 1024;
const HEADER_BYTES: usize = 24;
const MAGIC: u32 = u32::from_le_bytes(*b"EVHS");
const VERSION: u16 = 1;
const SLOTS: [u64; 2] = [0, SLOT_BYTES as u64];
const HINT: u64 = 2 * SLOT_BYTES as u64;
const FILE_BYTES: u64 = 3 * SLOT_BYTES as u64;

/// What a node must never forget.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardRecord {
    /// Who the node is.
    pub node: u64,
    /// How often it was opened, this time included.
    pub boot: u64,
    /// By group.
    pub groups: BTreeMap<u16, HardGroup>,
}

/// What a group must never forget.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardGroup {
    /// The vote, as consensus encodes it.
    pub vote: Option<Vec<u8>>,
    /// The log was durable up to this index.
    pub last: Option<u64>,
}

/// What was found where the hard state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded {
    /// Nothing was ever saved.
    Missing,
    /// Something was saved, and no slot can be read any more.
    Damaged,
    /// The newest acknowledged state, with the last indexes of the hint.
    Found {
        /// The state.
        record: HardRecord,
        /// One slot was unreadable or older; the next save writes it anew.
        repaired: bool,
    },
}

/// Where the hard state is kept.
pub trait HardState: Send + Sync + std::fmt::Debug + 'static {
    /// What was saved.
    ///
    /// Errors: `Io`, `Newer`.
    fn load(&self) -> Result<Loaded>;

    /// Saves durably.
    ///
    /// Errors: `Io`, after which the caller must not go on; `TooLarge`.
    fn save(&self, record: &HardRecord) -> Result<()>;

    /// Notes the last durable index of each group, without making that durable.
    ///
    /// Errors: `Io`.
    fn hint(&self, last: &BTreeMap<u16, u64>) -> Result<()>;
}

/// The hard state in a file.
#[derive(Debug)]
pub struct FileHardState {
    file: File,
    path: PathBuf,
    /// Of the newest save.
    generation: Mutex<u64>,
}

impl FileHardState {
    /// Makes the file at `path`, unless it is there. It has its full size from the start, so that a file that has
    /// lost its end is not mistaken for a new one.
    ///
    /// Errors: `Open`.
    pub fn create(path: &Path) -> Result<Self> {
        let make = || {
            let new = path.with_extension("new");
            let file = File::create(&new)?;
            file.set_len(FILE_BYTES)?;
            file.sync_all()?;
            fs::rename(&new, path)
        };
        if !path.exists() {
            make().map_err(Error::open(path))?;
        }
        Self::open(path)
    }

    /// Opens the file at `path`. If it is not there, something is lost, and it says so from then on.
    ///
    /// Errors: `Open`.
    pub fn open(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(Error::open(path))?;
        if let Some(parent) = path.parent() {
            File::open(parent).and_then(|parent| parent.sync_all()).map_err(Error::open(parent))?;
        }
        Ok(Self { file, path: path.to_owned(), generation: Mutex::new(0) })
    }

    /// Opens the file at `path` to look at it: nothing is made, and a save fails.
    ///
    /// Errors: `Open`.
    pub(super) fn look(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::open(path))?;
        Ok(Self { file, path: path.to_owned(), generation: Mutex::new(0) })
    }

    /// Whether something was noted as a hint and cannot be read any more. The ends of the groups are then protected as
    /// far as the last save.
    ///
    /// Errors: `Io`, `Newer`.
    pub(super) fn hint_is_damaged(&self) -> Result<bool> {
        let slot = self.slot(HINT)?;
        Ok(!matches!(slot, Slot::Empty) && slot.decode::<BTreeMap<u16, u64>>().is_none())
    }

    fn slot(&self, at: u64) -> Result<Slot> {
        let mut bytes = vec![0; SLOT_BYTES];
        let mut filled = 0;
        while filled < SLOT_BYTES {
            match self.file.read_at(&mut bytes[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Io { doing: "read the hard state".into(), source }),
            }
        }
        bytes.truncate(filled);
        self.parse(&bytes)
    }

    fn parse(&self, bytes: &[u8]) -> Result<Slot> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(Slot::Empty);
        }
        if bytes.len() < HEADER_BYTES {
            return Ok(Slot::Damaged);
        }
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let length = word(16) as usize;
        if word(0) != MAGIC || length > bytes.len() - HEADER_BYTES {
            return Ok(Slot::Damaged);
        }
        let body = &bytes[HEADER_BYTES..HEADER_BYTES + length];
        if word(20) != crc32c::crc32c_append(crc32c::crc32c(&bytes[..20]), body) {
            return Ok(Slot::Damaged);
        }
        let version = u16::from_le_bytes([bytes[4], bytes[5]]);
        if version > VERSION {
            let (found, supported) = (version.into(), VERSION.into());
            return Err(Error::Newer { path: self.path.clone(), found, supported });
        }
        let generation = u64::from(word(8)) | u64::from(word(12)) << 32;
        Ok(Slot::Filled { generation, body: body.to_vec() })
    }

    fn write(&self, at: u64, generation: u64, body: &impl Serialize) -> Result<()> {
        let bytes = slot_bytes(generation, body)?;
        self.file.write_all_at(&bytes, at).map_err(Error::io("write the hard state"))
    }
}

#[derive(Debug)]
enum Slot {
    Empty,
    Damaged,
    Filled { generation: u64, body: Vec<u8> },
}

impl Slot {
    fn decode<T: serde::de::DeserializeOwned>(&self) -> Option<(u64, T)> {
        match self {
            Self::Filled { generation, body } => Some((*generation, super::codec::decode_body(body).ok()?)),
            Self::Empty | Self::Damaged => None,
        }
    }
}

fn slot_bytes(generation: u64, body: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER_BYTES];
    bincode::serde::encode_into_std_write(body, &mut bytes, bincode::config::standard())
        .expect("the hard state is plain data");
    if bytes.len() > SLOT_BYTES {
        return Err(Error::TooLarge { bytes: bytes.len(), bytes_max: SLOT_BYTES });
    }
    let length = u32::try_from(bytes.len() - HEADER_BYTES).expect("a slot is small");
    bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
    bytes[8..16].copy_from_slice(&generation.to_le_bytes());
    bytes[16..20].copy_from_slice(&length.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..20]), &bytes[HEADER_BYTES..]);
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
    Ok(bytes)
}

impl HardState for FileHardState {
    fn load(&self) -> Result<Loaded> {
        let length = self.file.metadata().map_err(Error::io("read the hard state"))?.len();
        if length < FILE_BYTES {
            return Ok(Loaded::Damaged);
        }
        let slots = [self.slot(SLOTS[0])?, self.slot(SLOTS[1])?];
        // The first save was never finished, or never begun.
        let is_new = matches!(slots, [Slot::Empty | Slot::Damaged, Slot::Empty]);
        if is_new {
            return Ok(Loaded::Missing);
        }
        let [a, b] = [slots[0].decode::<HardRecord>(), slots[1].decode::<HardRecord>()];
        let repaired = a != b;
        // Both slots are complete once a save was acknowledged; the newer one may be ahead of that, never behind.
        let newest = a.into_iter().chain(b).max_by_key(|(generation, _)| *generation);
        let Some((generation, mut record)) = newest else { return Ok(Loaded::Damaged) };
        *lock(&self.generation) = generation;
        if let Some((of, last)) = self.slot(HINT)?.decode::<BTreeMap<u16, u64>>()
            && of == generation
        {
            raise(&mut record, &last);
        }
        Ok(Loaded::Found { record, repaired })
    }

    fn save(&self, record: &HardRecord) -> Result<()> {
        let mut generation = lock(&self.generation);
        for slot in SLOTS {
            self.write(slot, *generation + 1, record)?;
            self.file.sync_data().map_err(Error::io("sync the hard state"))?;
        }
        *generation += 1;
        Ok(())
    }

    fn hint(&self, last: &BTreeMap<u16, u64>) -> Result<()> {
        let generation = *lock(&self.generation);
        self.write(HINT, generation, last)
    }
}

/// The hard state in memory, which forgets its hint like a disk: for the simulation and for tests of crashes.
#[derive(Debug, Clone, Default)]
pub struct MemoryHardState {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    saved: Option<HardRecord>,
    hint: BTreeMap<u16, u64>,
    damaged: bool,
}

impl MemoryHardState {
    /// Nothing saved yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The power fails: the hint is gone.
    pub fn lose_unsynced(&self) {
        lock(&self.kept).hint.clear();
    }

    /// The medium fails: nothing can be read any more.
    pub fn damage(&self) {
        lock(&self.kept).damaged = true;
    }
}

impl HardState for MemoryHardState {
    fn load(&self) -> Result<Loaded> {
        let kept = lock(&self.kept);
        if kept.damaged {
            return Ok(Loaded::Damaged);
        }
        let Some(mut record) = kept.saved.clone() else { return Ok(Loaded::Missing) };
        raise(&mut record, &kept.hint);
        Ok(Loaded::Found { record, repaired: false })
    }

    fn save(&self, record: &HardRecord) -> Result<()> {
        let mut kept = lock(&self.kept);
        kept.saved = Some(record.clone());
        kept.hint.clear();
        Ok(())
    }

    fn hint(&self, last: &BTreeMap<u16, u64>) -> Result<()> {
        lock(&self.kept).hint.clone_from(last);
        Ok(())
    }
}

fn raise(record: &mut HardRecord, last: &BTreeMap<u16, u64>) {
    for (group, last) in last {
        let known = &mut record.groups.entry(*group).or_default().last;
        *known = (*known).max(Some(*last));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
