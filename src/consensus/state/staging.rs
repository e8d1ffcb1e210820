//! A snapshot that arrives: its rows are written beside the state, and take its place in one go.
//!
//! The state goes on being read and changed while the chunks come in, for as long as that takes; only the swap
//! keeps readers waiting. What was staged and not installed is cleared away when the next snapshot begins.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::engine::planted::{self, Bug};
use crate::points::{self, Point};

use super::disk::Changes;
use super::error::{Error, Result};
use super::keys;
use super::machine::{Machine, State};
use super::stored;

/// The part of a snapshot that has arrived. Dropping it changes nothing.
pub struct Staging {
    machine: Arc<Machine>,
    /// The generation that is not current.
    other: u8,
    next: u64,
    complete: bool,
    /// The entry that the rows name.
    found: u64,
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.machine.staging.store(false, Ordering::SeqCst);
    }
}

impl Staging {
    /// The number of the chunk that comes next.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Writes the next chunk beside the state. Blocks on the disk.
    ///
    /// Errors: `Snapshot` if it is damaged or another one; the store fails.
    pub fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let number = self.next;
        let broken = |what: &str| Error::Snapshot { what: format!("{what} in chunk {number}") };
        let chunk = stored::decode_chunk(bytes).map_err(|_| broken("wrong checksum"))?;
        if chunk.number != number || self.complete {
            return Err(broken("wrong order"));
        }
        self.complete = chunk.last;
        let mut changes = Changes::default();
        let half = if planted::is(Bug::SnapshotHalved) { 2 } else { 1 };
        for (suffix, value) in chunk.rows.into_iter().step_by(half) {
            if suffix[..] == keys::meta() {
                self.found = stored::decode_meta(&value)?.index;
            }
            changes.put(suffix.into(), value.into());
        }
        self.machine.disk.write_other(self.other, changes)?;
        points::reach(Point::ChunkStaged);
        self.next += 1;
        Ok(())
    }

    /// Makes it the state. `index` is the one its reader named. Blocks on the disk.
    ///
    /// Errors: `Snapshot` if it is incomplete or of another index, and nothing has changed; the store fails.
    pub fn install(self, index: u64) -> Result<()> {
        if !self.complete || self.found != index {
            return Err(Error::Snapshot { what: format!("it is not all of the state at entry {index}") });
        }
        let machine = &self.machine;
        let _turn = machine.turn();
        // Most of the work is done while the old state is still read.
        machine.disk.sync()?;
        let mut arrived = State::load(&machine.disk.reading_other(self.other), &machine.limits)?;
        let replaced = {
            let mut state = machine.state();
            machine.walks.spoil();
            machine.disk.swap_to(self.other)?;
            // Nothing that was read of the old state comes into the cache of the new one.
            arrived.checkpoints = state.checkpoints + 1;
            std::mem::replace(&mut *state, arrived)
        };
        drop(replaced);
        points::reach(Point::StateReloaded);
        machine.watches.ring_all();
        machine.disk.clear_other()?;
        Ok(())
    }
}

impl Machine {
    /// Begins to take in a snapshot. Blocks on the disk.
    ///
    /// Errors: `Snapshot` while another one arrives; the store fails.
    pub fn stage(self: &Arc<Self>) -> Result<Staging> {
        if self.staging.swap(true, Ordering::SeqCst) {
            return Err(Error::Snapshot { what: "another one is arriving".to_owned() });
        }
        // From here on dropping it lets the next one begin.
        let mut staging = Staging { machine: Arc::clone(self), other: 0, next: 0, complete: false, found: 0 };
        staging.other = self.disk.clear_other()?;
        points::reach(Point::StagingBegun);
        Ok(staging)
    }

    /// Replaces the whole state by a snapshot, given as its chunks in order. `index` is the one its reader named.
    /// Nothing changes unless all of it is there.
    ///
    /// Errors: `Snapshot` if it is damaged, incomplete or of another index; the store fails.
    pub fn install(self: &Arc<Self>, index: u64, chunks: &mut dyn Iterator<Item = Vec<u8>>) -> Result<()> {
        let mut staging = self.stage()?;
        for chunk in chunks {
            staging.take(&chunk)?;
        }
        staging.install(index)
    }
}
