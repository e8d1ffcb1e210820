//! Floor 2: bytes that survive.
//!
//! Everything above thinks in entries and records; this floor knows about disks. A [`Store`] is an ordered map
//! with atomic batches and an explicit `sync`, on sled or in memory. The [`Log`] keeps the entries of all groups
//! of a node in one store and makes them durable together. The [`codec`] wraps what is stored, so that damage is
//! seen and later releases can read it. A [`DataDir`] is where a node keeps all of it, and [`verify()`] walks
//! through one and says what is wrong.
//!
//! What is acknowledged is on the disk: a sync is a flush of sled and an `fdatasync` of its file. What is read is
//! checked: entries by their own checksum and the chain, records by their envelope.
//!
//! Caveat: after a failed write or sync nothing is known about the disk. Whoever sees that error ends the process.

pub mod codec;
mod data_dir;
mod error;
mod hard_state;
mod identity;
mod log;
mod marks;
mod memory;
mod sled_store;
mod stamp;
mod store;
mod verify;

pub use data_dir::{CacheBytes, DataDir, FORMAT, LOG_CACHE_BYTES, STATE_CACHE_BYTES, Space, is_in_use};
pub use error::{Error, Result, told};
pub use hard_state::{FileHardState, HardGroup, HardRecord, HardState, Loaded, MemoryHardState};
pub use identity::Identity;
pub use log::{
    COMMITS_PER_SAVE, Done, Driver, GroupBounds, HEADER_BYTES as RECORD_HEADER_BYTES, Log, LogEntry,
    LogOptions, Loss, PURGES_PER_COMMIT, Pace, QUEUE_BYTES_MAX, QUEUE_LEN_MAX, Recovered, encode_record,
};
pub use marks::{Mark, Marks};
pub use memory::MemoryStore;
pub use sled_store::{KEY_BYTES_MAX, PIECE_BYTES_MAX, SledStore, VALUE_BYTES_MAX};
pub use store::{Direction, Pair, Store, WriteBatch};
pub use verify::{PROBLEMS_MAX, Problem, VerifiedGroup, VerifyReport, verify, verify_with};
