//! Copying the state to another replica.
//!
//! A checkpoint is a consistent copy already, so a snapshot is a walk over its rows while no other checkpoint is
//! written. The receiver writes them beside what it has and swaps ([`super::staging`]).

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::engine::planted::{self, Bug};
use crate::points::{self, Point};
use crate::storage::Direction;

use super::error::Result;
use super::keys;
use super::machine::Machine;
use super::stored::{self, Chunk};

/// A consistent copy of the state, read in chunks. Checkpoints wait while one exists, so it should be read
/// without a pause and dropped.
pub struct SnapshotReader {
    machine: Arc<Machine>,
    _stream: Stream,
    index: u64,
    meta: Option<Vec<u8>>,
    after: Bound<Vec<u8>>,
    number: u64,
    done: bool,
}

/// Holds checkpoints back.
struct Stream(Arc<AtomicUsize>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Rows asked of the store at a time.
const ROWS_PER_SCAN: usize = 16;

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
    /// Errors: the store fails or is damaged.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>> {
        if self.done {
            return Ok(None);
        }
        let bytes_max = self.machine.limits.chunk_bytes_max;
        let mut rows = Vec::new();
        let mut bytes = 0;
        'full: while bytes < bytes_max {
            let reading = self.machine.disk.reading();
            let after = self.after.as_ref().map(Vec::as_slice);
            let page = reading.scan(after, &[u8::MAX], Direction::Forward, ROWS_PER_SCAN)?;
            self.done = page.is_empty();
            if self.done {
                break;
            }
            for (suffix, value) in page {
                if planted::is(Bug::ClaimsForgotten) && suffix[0] == keys::CLAIM {
                    self.after = Bound::Excluded(suffix);
                    continue;
                }
                let size = suffix.len() + value.len();
                if !rows.is_empty() && bytes + size > bytes_max {
                    break 'full;
                }
                bytes += size;
                self.after = Bound::Excluded(suffix.clone());
                rows.push((Bytes::from(suffix), Bytes::from(value)));
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
        self.streams.fetch_add(1, Ordering::SeqCst);
        let stream = Stream(Arc::clone(&self.streams));
        points::reach(Point::SnapshotOpened);
        let meta = match self.disk.reading().get(&keys::meta())? {
            Some(row) => stored::decode_meta(&row)?,
            None => stored::Meta::default(),
        };
        Ok(SnapshotReader {
            machine: Arc::clone(self),
            _stream: stream,
            index: meta.index,
            meta: meta.meta.map(Vec::from),
            after: Bound::Included(Vec::new()),
            number: 0,
            done: false,
        })
    }
}
