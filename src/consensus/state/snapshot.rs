//! Copying the state to another replica.
//!
//! A checkpoint is a consistent copy already, so a snapshot is a walk over its rows; those that later checkpoints
//! replace meanwhile are put aside for it ([`super::walks`]). The receiver writes them beside what it has and swaps
//! ([`super::staging`]).

use std::sync::Arc;

use bytes::Bytes;

use crate::engine::planted::{self, Bug};
use crate::points::{self, Point};

use super::error::Result;
use super::keys;
use super::machine::Machine;
use super::stored::{self, Chunk};
use super::walks;

/// A consistent copy of the state, read in chunks. What checkpoints replace is kept for it, up to a limit at which
/// they wait, so it should be read without long pauses and dropped.
pub struct SnapshotReader {
    machine: Arc<Machine>,
    walk: walks::Shared,
    index: u64,
    meta: Option<Vec<u8>>,
    number: u64,
    done: bool,
}

impl Drop for SnapshotReader {
    fn drop(&mut self) {
        self.machine.walks.end(&self.walk);
    }
}

impl SnapshotReader {
    /// The entry through which the snapshot is complete; it may have some of what came after.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// What the caller of the checkpoint kept with that entry.
    pub fn meta(&self) -> Option<&[u8]> {
        self.meta.as_deref()
    }

    /// The next chunk, with its own checksum; `None` after the last. A chunk is about
    /// [`super::Limits::chunk_bytes_max`] bytes, or one larger row.
    ///
    /// Errors: `Snapshot` if the state was replaced meanwhile; the store fails or is damaged.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>> {
        if self.done {
            return Ok(None);
        }
        let bytes_max = self.machine.limits.chunk_bytes_max;
        let mut rows = Vec::new();
        let mut bytes = 0;
        'full: while bytes < bytes_max {
            let mut walk = walks::lock(&self.walk);
            let page = walk.page(&self.machine.disk)?;
            for (suffix, value) in page.rows {
                if planted::is(Bug::ClaimsForgotten) && suffix[0] == keys::CLAIM {
                    continue;
                }
                let size = suffix.len() + value.len();
                if !rows.is_empty() && bytes + size > bytes_max {
                    break 'full;
                }
                bytes += size;
                walk.pass(suffix.clone());
                rows.push((Bytes::from(suffix), Bytes::from(value)));
            }
            match page.until {
                Some(suffix) => walk.pass(suffix),
                None => {
                    self.done = true;
                    break;
                }
            }
        }
        let chunk = Chunk { number: self.number, last: self.done, rows };
        self.number += 1;
        points::reach(Point::ChunkRead);
        Ok(Some(stored::encode_chunk(&chunk)))
    }
}

impl Machine {
    /// A copy of the state as of the last checkpoint.
    ///
    /// Errors: the store fails or is damaged.
    pub fn snapshot(self: &Arc<Self>) -> Result<SnapshotReader> {
        let _turn = self.turn();
        points::reach(Point::SnapshotOpened);
        let meta = match self.disk.reading().get(&keys::meta())? {
            Some(row) => stored::decode_meta(&row)?,
            None => stored::Meta::default(),
        };
        Ok(SnapshotReader {
            machine: Arc::clone(self),
            walk: self.walks.begin(meta.index),
            index: meta.index,
            meta: meta.meta.map(Vec::from),
            number: 0,
            done: false,
        })
    }
}
