//! Writing the state behind the log, a small slice at a time.
//!
//! A slice is picked under the state's lock, written and synced without it, and settled under it again. What was
//! changed meanwhile stays dirty. The slice and the row that says how far the state is durable are one batch, so
//! after a crash the store is as it was after some checkpoint: every entry up to the durable one is in it, later
//! ones in part, which [`super::apply`] sees when it folds them again.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::engine::model::{Recorded, TenantId};

use crate::engine::planted::{self, Bug};
use crate::points::{self, Point};

use super::super::view::Record;
use super::disk::{Changes, Disk};
use super::error::Result;
use super::limits::Limits;
use super::live::Facts;
use super::loose::Leaving;
use super::machine::{Machine, State, Tick};
use super::overlay::Dirty;
use super::packs::{self, Parcel};
use super::stored::{self, LiveValue, Meta};
use super::tenants::{Key, TenantNumber};
use super::{keys, weight};

/// What a checkpoint achieved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckpointDone {
    /// The state is durable through this entry: a restart replays from the next one.
    pub index: u64,
    /// How many records and other rows were written.
    pub written: usize,
    /// The slice was full: there is more to write at once.
    pub more: bool,
}

impl Machine {
    /// Writes a slice of what is dirty, then syncs the store. `meta_at` answers what to keep with an entry; it is
    /// asked for the entry through which the state is then durable.
    ///
    /// Does nothing if there is nothing to write, or if a snapshot is read so slowly that too much is kept for it.
    ///
    /// Errors: the store failed. Nothing is known about the disk then: the caller ends the process.
    pub fn checkpoint(&self, meta_at: &dyn Fn(u64) -> Option<Vec<u8>>) -> Result<CheckpointDone> {
        let _turn = self.turn();
        if self.walks.are_full(self.limits.aside_bytes_max) {
            return Ok(CheckpointDone { index: self.durable(), ..CheckpointDone::default() });
        }
        let Some(slice) = self.state().pick(&self.limits) else {
            return Ok(CheckpointDone { index: self.durable(), ..CheckpointDone::default() });
        };
        let done = CheckpointDone { index: slice.durable.index, written: slice.written(), more: slice.more };
        let meta = meta_at(slice.durable.index);
        let (changes, written) = slice.encode(&self.disk, &self.limits, meta.as_deref())?;
        points::reach(Point::CheckpointPicked);
        self.walks.write(changes, &self.disk)?;
        points::reach(Point::CheckpointWritten);
        self.disk.sync()?;
        points::reach(Point::CheckpointSynced);
        self.state().settle(written, meta, &self.limits);
        Ok(done)
    }

    pub(super) fn turn(&self) -> std::sync::MutexGuard<'_, ()> {
        self.turn.lock().expect("nobody panics while writing a checkpoint")
    }
}

/// A record on its way into the store.
struct Item {
    key: Key,
    record: Arc<Record>,
    bytes: usize,
    row_stored: bool,
}

/// What one checkpoint writes.
struct Slice {
    items: Vec<Item>,
    tenants: BTreeMap<TenantNumber, TenantId>,
    loose: Vec<Leaving>,
    durable: Tick,
    seq: u64,
    packed_max: u64,
    crowded: Option<(TenantNumber, u64)>,
    more: bool,
}

/// What a written slice changes in memory.
struct Written {
    items: Vec<WrittenItem>,
    loose: Vec<Leaving>,
    durable: u64,
    seq: u64,
    packs: BTreeMap<(TenantNumber, u64), usize>,
    repacked: Option<((TenantNumber, u64), usize)>,
}

struct WrittenItem {
    key: Key,
    finished: bool,
    /// How many events of the tail, and how many bytes of them, lie in the store's history now.
    sealed: usize,
    sealed_bytes: usize,
}

impl State {
    /// Chooses what to write; nothing if that would change nothing.
    fn pick(&mut self, limits: &Limits) -> Option<Slice> {
        let (items, full) = self.pick_records(limits);
        let claims: Vec<_> =
            items.iter().filter_map(|item| self.overlay.get_mut(item.key)?.claim.take()).collect();
        let mut loose: Vec<_> = claims.iter().filter_map(|suffix| self.loose.pick_row(suffix)).collect();
        loose.extend(self.loose.pick(limits.slice_records_max, limits.slice_bytes_max));
        let oldest = [self.overlay.oldest_kept(), self.loose.oldest()].into_iter().flatten().min();
        let oldest = oldest.filter(|_| !planted::is(Bug::CheckpointAhead));
        let durable = oldest.map_or(self.applied, |oldest| oldest - 1);
        assert!(durable >= self.durable, "a checkpoint never goes back");
        let crowded = if items.is_empty() { self.windows.crowded() } else { None };
        let more = full || (self.loose.oldest().is_some() && !loose.is_empty());
        self.round_open = more;
        if items.is_empty() && loose.is_empty() && crowded.is_none() && durable == self.durable {
            return None;
        }
        let finished = items.iter().filter(|item| item.record.execution.status.is_finished());
        let newest_window = finished.map(|item| keys::window_of(item.key.id)).max().unwrap_or(0);
        // From here on a creation in such a window has to look whether it is packed.
        self.packed_max = self.packed_max.max(newest_window);
        let named = items.iter().map(|item| item.key.tenant).chain(crowded.map(|(tenant, _)| tenant));
        let tenants = named.map(|tenant| (tenant, self.tenants.name(tenant).clone())).collect();
        let durable = Tick { index: durable, ..self.tick_at(durable) };
        Some(Slice {
            items,
            tenants,
            loose,
            durable,
            seq: self.seq,
            packed_max: self.packed_max,
            crowded,
            more,
        })
    }

    /// Picks records from the longest dirty on. Answers whether it stopped at a limit.
    fn pick_records(&mut self, limits: &Limits) -> (Vec<Item>, bool) {
        let oldest: Vec<_> = self.overlay.by_age().take(limits.slice_looks_max).collect();
        let new_round = !self.round_open;
        let (applied, window_now) = (self.applied, keys::window_at(self.at.unix_ms()));
        let mut items = Vec::new();
        let mut bytes = 0;
        for (_, key) in oldest {
            if items.len() >= limits.slice_records_max || bytes >= limits.slice_bytes_max {
                return (items, true);
            }
            let dirty = self.overlay.get_mut(key).expect("what is listed by age is dirty");
            assert!(!dirty.picked, "one checkpoint at a time");
            dirty.rounds += u32::from(new_round);
            if is_ripe(dirty, applied, window_now, limits) {
                dirty.picked = true;
                bytes += dirty.bytes;
                let record = Arc::clone(&dirty.record);
                items.push(Item { key, record, bytes: dirty.bytes, row_stored: dirty.row_stored });
            }
        }
        (items, false)
    }

    /// What was picked is in the store.
    fn settle(&mut self, written: Written, meta: Option<Vec<u8>>, limits: &Limits) {
        for item in written.items {
            self.settle_record(item);
        }
        self.loose.written(&written.loose);
        for (window, packs) in written.packs {
            self.windows.add(window, packs, limits.window_packs_max);
        }
        if let Some((window, packs)) = written.repacked {
            self.windows.repacked(window, packs, limits.window_packs_max);
        }
        self.seq = written.seq;
        self.durable = written.durable;
        self.meta = meta;
        self.checkpoints += 1;
        let kept = self.ticks.partition_point(|tick| tick.index <= self.durable);
        self.ticks.drain(..kept.saturating_sub(1));
    }

    fn settle_record(&mut self, item: WrittenItem) {
        let key = item.key;
        if item.sealed > 0 {
            self.overlay.shrink(key, item.sealed_bytes);
            let dirty = self.overlay.get_mut(key).expect("a picked record stays until it is written");
            let record = Arc::make_mut(&mut dirty.record);
            record.tail.drain(..item.sealed);
            record.tail_from += item.sealed as u64;
        }
        if !item.finished {
            self.live.set_stored(key);
        }
        match self.overlay.written(key) {
            Some(clean) => self.cache.put(key, clean.record, clean.bytes),
            None => {
                let dirty = self.overlay.get_mut(key).expect("it was changed again");
                dirty.row_stored = !item.finished;
            }
        }
    }
}

/// Whether a dirty record should be written now. One at work is left alone for a while: the log has it, and soon
/// it will be finished or parked.
fn is_ripe(dirty: &Dirty, applied: u64, window_now: u64, limits: &Limits) -> bool {
    let execution = &dirty.record.execution;
    if applied - dirty.since > limits.behind_entries_max {
        return true;
    }
    if execution.status.is_finished() {
        return keys::window_of(execution.id) < window_now || dirty.rounds >= limits.finished_rounds;
    }
    let runnable = Facts::of(execution).runnable;
    dirty.rounds >= if runnable { limits.moving_rounds } else { limits.parked_rounds }
}

impl Slice {
    fn written(&self) -> usize {
        self.items.len() + self.loose.len()
    }

    /// The rows of the slice, and what they will mean in memory.
    fn encode(self, disk: &Disk, limits: &Limits, meta: Option<&[u8]>) -> Result<(Changes, Written)> {
        let mut changes = Changes::default();
        let mut parcels: BTreeMap<(TenantNumber, u64), Vec<Parcel>> = BTreeMap::new();
        let mut items = Vec::with_capacity(self.items.len());
        for item in self.items {
            let tenant = &self.tenants[&item.key.tenant];
            let (written, bytes) = encode_record(&item, tenant, limits, &mut changes);
            if written.finished {
                let window = (item.key.tenant, keys::window_of(item.key.id));
                parcels.entry(window).or_default().push(Parcel::new(&item.record, bytes));
            } else {
                changes.put(keys::live(tenant, item.key.id), encode_live(&item.record, bytes));
            }
            items.push(written);
        }
        let mut seq = self.seq;
        let mut packs = BTreeMap::new();
        for (window, parcels) in parcels {
            let filled = packs::fill(parcels, limits.pack_bytes_max);
            packs.insert(window, filled.len());
            for pack in filled {
                let suffix = keys::pack(&self.tenants[&window.0], window.1, seq);
                changes.put(suffix, stored::encode_pack(&pack));
                seq += 1;
            }
        }
        let mut repacked = None;
        if let Some(window) = self.crowded {
            let (tenant, reading) = (&self.tenants[&window.0], disk.reading());
            let (packs, next) =
                packs::repack(&reading, tenant, window.1, seq, limits.pack_bytes_max, &mut changes)?;
            seq = next;
            repacked = Some((window, packs));
        }
        for leaving in &self.loose {
            match &leaving.value {
                Some(value) => changes.put(leaving.suffix.clone(), value.to_vec()),
                None => changes.delete(leaving.suffix.clone()),
            }
        }
        let Tick { index, epoch, at } = self.durable;
        let meta = meta.map(Bytes::copy_from_slice);
        let row = Meta { index, meta, epoch, at, seq, packed_max: self.packed_max };
        changes.put(keys::meta(), stored::encode_meta(&row));
        Ok((changes, Written { items, loose: self.loose, durable: index, seq, packs, repacked }))
    }
}

/// The bytes of a record. Seals a long tail, and removes the live row of what has finished.
fn encode_record(
    item: &Item,
    tenant: &TenantId,
    limits: &Limits,
    changes: &mut Changes,
) -> (WrittenItem, Vec<u8>) {
    let Item { key, record, bytes, row_stored } = item;
    let finished = record.execution.status.is_finished();
    let long = record.tail.len() > limits.tail_events_max || *bytes > limits.tail_bytes_max;
    let sealed = if long { record.tail.len() } else { 0 };
    let mut sealed_bytes = 0;
    if sealed > 0 {
        sealed_bytes = record.tail.iter().map(|recorded| weight::of_event(&recorded.event)).sum();
        let mut from = record.tail_from;
        for events in in_parts(&record.tail, limits.history_bytes_max) {
            changes.put(keys::history(tenant, key.id, from), stored::encode_history(events));
            from += events.len() as u64;
        }
    }
    if finished && *row_stored {
        changes.delete(keys::live(tenant, key.id));
    }
    let written = WrittenItem { key: *key, finished, sealed, sealed_bytes };
    (written, stored::encode_record(record, sealed))
}

/// A tail, cut so that no part is much larger than `bytes_max`: between two checkpoints an execution may record
/// more than one value of the store can hold.
fn in_parts(tail: &[Recorded], bytes_max: usize) -> Vec<&[Recorded]> {
    let mut parts = Vec::new();
    let (mut begin, mut bytes) = (0, 0);
    for (at, recorded) in tail.iter().enumerate() {
        let more = weight::of_event(&recorded.event);
        if at > begin && bytes + more > bytes_max {
            parts.push(&tail[begin..at]);
            (begin, bytes) = (at, 0);
        }
        bytes += more;
    }
    parts.push(&tail[begin..]);
    parts
}

fn encode_live(record: &Record, bytes: Vec<u8>) -> Vec<u8> {
    let Facts { status, runnable, due } = Facts::of(&record.execution);
    let workflow = record.execution.workflow;
    stored::encode_live(&LiveValue { status, runnable, due, workflow, record: bytes.into() })
}
