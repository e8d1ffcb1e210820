//! The machine: what is in memory, the part of the disk below it, and the questions it answers.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::engine::definition::Spec;
use crate::engine::model::{
    DefinitionStatus, Epoch, ExecutionId, PartitionId, SpecHash, TenantId, Timestamp, WorkflowId,
};
use crate::engine::planted::{self, Bug};
use crate::storage::{self, Store};

use super::super::view::{LiveRow, Workflow};
use super::cache::Cache;
use super::catalogue::{Catalogue, Slot};
use super::disk::{Disk, Reading};
use super::error::Result;
use super::keys;
use super::limits::Limits;
use super::live::{Facts, Live};
use super::loose::Loose;
use super::nodes::{self, Nodes};
use super::overlay::Overlay;
use super::packs::Windows;
use super::specs::Specs;
use super::stored::{self, StoredNode};
use super::tenants::{Key, Tenants};
use super::walks::Walks;
use super::watch::{Watch, Watches};

/// What a machine needs.
pub struct MachineOptions {
    /// Which partition.
    pub partition: PartitionId,
    /// The state database of the node. Its partitions share it.
    pub store: Arc<dyn Store>,
    /// How much it may hold and how fast it writes.
    pub limits: Limits,
}

/// How far the state has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// The index of the last entry in the state; 0: none.
    pub index: u64,
    /// What the caller kept with the last checkpoint, if the state is exactly at it.
    pub meta: Option<Vec<u8>>,
}

/// Sizes of a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Unfinished executions.
    pub live: usize,
    /// Those of them that need an actor.
    pub runnable: usize,
    /// Records and other rows that the store does not have yet.
    pub dirty: usize,
    /// Their bytes, about.
    pub dirty_bytes: usize,
    /// Clean records in memory.
    pub cached: usize,
    /// Their bytes, about.
    pub cached_bytes: usize,
}

/// The replicated state of one partition.
///
/// Any thread may ask and any may apply; entries are applied in order by one caller.
pub struct Machine {
    pub(super) partition: PartitionId,
    pub(super) limits: Limits,
    pub(super) disk: Disk,
    pub(super) state: Mutex<State>,
    pub(super) specs: Specs,
    pub(super) watches: Arc<Watches>,
    /// Whoever writes checkpoints, begins a snapshot or installs one. Taken before `state`.
    pub(super) turn: Mutex<()>,
    /// The snapshots that are being read.
    pub(super) walks: Walks,
    /// A snapshot is arriving.
    pub(super) staging: AtomicBool,
}

/// What a machine has in memory.
pub(super) struct State {
    pub applied: u64,
    /// Every entry up to here is in the store.
    pub durable: u64,
    /// What the caller keeps with `durable`.
    pub meta: Option<Vec<u8>>,
    pub epoch: Epoch,
    pub at: Timestamp,
    /// Epoch and time as of `durable` and after each later entry that moved them, oldest first.
    pub ticks: VecDeque<Tick>,
    pub tenants: Tenants,
    pub overlay: Overlay,
    pub cache: Cache,
    pub live: Live,
    pub loose: Loose,
    pub catalogue: Catalogue,
    pub nodes: Nodes,
    /// No window above this one has a pack; 0 if none has.
    pub packed_max: u64,
    /// The number of the next pack.
    pub seq: u64,
    pub windows: Windows,
    /// How many checkpoints have been settled: a clean record read before the last one may be old.
    pub checkpoints: u64,
    /// The last checkpoint stopped at its limit: the next one belongs to the same round.
    pub round_open: bool,
}

/// Epoch and time as of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tick {
    pub index: u64,
    pub epoch: Epoch,
    pub at: Timestamp,
}

impl Machine {
    /// Reads what the last checkpoint left. The log goes on from the entry after [`Machine::applied`].
    ///
    /// Errors: the store fails, is damaged, or was written by a newer release.
    pub fn open(options: MachineOptions) -> Result<Arc<Self>> {
        let MachineOptions { partition, store, limits } = options;
        let disk = Disk::open(store, partition)?;
        // What an interrupted install left behind.
        disk.clear_other()?;
        let state = State::load(&disk.reading(), &limits)?;
        Ok(Arc::new(Self {
            partition,
            disk,
            state: Mutex::new(state),
            specs: Specs::new(limits.specs_max),
            limits,
            watches: Arc::default(),
            turn: Mutex::default(),
            walks: Walks::default(),
            staging: AtomicBool::new(false),
        }))
    }

    /// How far the state has come.
    pub fn applied(&self) -> Applied {
        let state = self.state();
        let meta = state.meta.clone().filter(|_| state.applied == state.durable);
        Applied { index: state.applied, meta }
    }

    /// The last entry that was applied.
    pub fn index(&self) -> u64 {
        self.state().applied
    }

    /// The entry through which the state is durable.
    pub fn durable(&self) -> u64 {
        self.state().durable
    }

    /// The oldest entry that a snapshot ends with which is being read: whoever gets it needs the ones after.
    pub fn copied_from(&self) -> Option<u64> {
        self.walks.oldest()
    }

    /// The newest leadership.
    pub fn epoch(&self) -> Epoch {
        self.state().epoch
    }

    /// The partition's time: that of the newest entry that has one.
    pub fn at(&self) -> Timestamp {
        self.state().at
    }

    /// A pinned definition, compiled; `None` if it is not pinned here.
    ///
    /// Errors: the store fails; this release cannot compile it.
    pub fn spec(&self, hash: SpecHash) -> Result<Option<Arc<Spec>>> {
        if let Some(spec) = self.specs.get(hash) {
            return Ok(Some(spec));
        }
        match self.spec_text(hash)? {
            Some(text) => self.specs.load(hash, &text).map(Some),
            None => Ok(None),
        }
    }

    /// Whether the text of a definition is here. A store that fails counts as no: pinning twice is harmless.
    pub fn is_pinned(&self, hash: SpecHash) -> bool {
        self.specs.get(hash).is_some() || self.spec_text(hash).is_ok_and(|text| text.is_some())
    }

    /// The text of a pinned definition; `None` if it is not pinned here.
    ///
    /// Errors: the store fails.
    pub fn spec_text(&self, hash: SpecHash) -> Result<Option<Arc<str>>> {
        self.loose_row(&keys::pin(hash))?.map(|row| stored::decode_pin(&row)).transpose()
    }

    /// A small row, whether it waits to be written or is in the store.
    pub(super) fn loose_row(&self, suffix: &[u8]) -> Result<Option<Vec<u8>>> {
        let waiting = self.state().loose.get(suffix).map(|value| value.cloned());
        match waiting {
            Some(value) => Ok(value.map(Vec::from)),
            None => self.disk.reading().get(suffix),
        }
    }

    /// All unfinished executions.
    pub fn live(&self) -> Vec<LiveRow> {
        let state = self.state();
        let row = |(key, facts): (Key, Facts)| LiveRow {
            tenant: state.tenants.name(key.tenant).clone(),
            id: key.id,
            runnable: facts.runnable,
            due: facts.due,
        };
        state.live.all().map(row).collect()
    }

    /// Unfinished executions that could move, because something can happen now or was due before `before`,
    /// and that `moves` does not know of. At most `limit`; `moves` is asked under the state's lock.
    pub fn stranded(
        &self,
        before: Timestamp,
        limit: usize,
        moves: impl Fn(ExecutionId) -> bool,
    ) -> Vec<LiveRow> {
        let state = self.state();
        let late = |facts: &Facts| facts.runnable || facts.due.is_some_and(|due| due < before);
        let row = |(key, facts): (Key, Facts)| LiveRow {
            tenant: state.tenants.name(key.tenant).clone(),
            id: key.id,
            runnable: facts.runnable,
            due: facts.due,
        };
        state.live.all().filter(|(key, facts)| late(facts) && !moves(key.id)).take(limit).map(row).collect()
    }

    /// Sizes.
    pub fn counts(&self) -> Counts {
        let state = self.state();
        Counts {
            live: state.live.len(),
            runnable: state.live.runnable(),
            dirty: state.overlay.len() + state.loose.len(),
            dirty_bytes: state.overlay.bytes() + state.loose.bytes(),
            cached: state.cache.len(),
            cached_bytes: state.cache.bytes(),
        }
    }

    /// Whether the store lacks so much that nothing new should begin.
    pub fn is_behind(&self) -> bool {
        let dirty_bytes_max = self.limits.dirty_bytes_max;
        self.counts().dirty_bytes >= dirty_bytes_max
    }

    /// How many executions of a workflow have not finished, in this partition.
    pub fn running_of(&self, tenant: &TenantId, workflow: WorkflowId) -> usize {
        let state = self.state();
        state.tenants.find(tenant).map_or(0, |number| state.live.running_of(number, workflow))
    }

    /// Watches an execution, whether it exists yet or not.
    pub fn watch(&self, id: ExecutionId) -> Watch {
        self.watches.watch(id)
    }

    /// A workflow. Only partition 0 has them.
    pub fn workflow(&self, tenant: &TenantId, id: WorkflowId) -> Option<Arc<Workflow>> {
        self.state().catalogue.get(tenant, id).map(|slot| Arc::clone(&slot.workflow))
    }

    /// Up to `limit` workflows, newest first, with ids below `before`.
    pub fn workflows(
        &self,
        tenant: &TenantId,
        status: Option<DefinitionStatus>,
        before: Option<WorkflowId>,
        limit: usize,
    ) -> Vec<Arc<Workflow>> {
        self.state().catalogue.page(tenant, status, before, limit)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while changing the state")
    }
}

impl State {
    /// What the rows say.
    pub(super) fn load(reading: &Reading<'_>, limits: &Limits) -> Result<Self> {
        let meta = match reading.get(&keys::meta())? {
            Some(row) => stored::decode_meta(&row)?,
            None => stored::Meta::default(),
        };
        let mut tenants = Tenants::default();
        let mut live = Live::default();
        reading.each(&[keys::LIVE], |suffix, row| {
            let (tenant, id) = keys::split_id(&suffix).ok_or_else(|| damaged("a live row"))?;
            let value = stored::decode_live(&row)?;
            let key = Key { tenant: tenants.intern(&tenant), id: ExecutionId::from_uuid(id) };
            let due = value.due.filter(|_| !planted::is(Bug::TimersForgotten));
            let facts = Facts { status: value.status, runnable: value.runnable, due };
            live.set(key, facts, value.workflow);
            live.set_stored(key);
            Ok(())
        })?;
        let mut catalogue = Catalogue::default();
        reading.each(&[keys::WORKFLOW], |_, row| {
            let stored = stored::decode_workflow(&row)?;
            let workflow = Arc::new(stored.workflow.into_owned());
            catalogue.insert(Slot { workflow, changed: stored.changed, loaded: true });
            Ok(())
        })?;
        let mut known = Nodes::default();
        reading.each(&[keys::NODE], |_, row| {
            let StoredNode { changed, born, node } = stored::decode_node(&row)?;
            known.insert(nodes::Slot { node, changed, born, loaded: true });
            Ok(())
        })?;
        Ok(Self {
            applied: meta.index,
            durable: meta.index,
            meta: meta.meta.map(Vec::from),
            epoch: meta.epoch,
            at: meta.at,
            ticks: VecDeque::from([Tick { index: meta.index, epoch: meta.epoch, at: meta.at }]),
            tenants,
            overlay: Overlay::default(),
            cache: Cache::new(limits.cache_records_max, limits.cache_bytes_max),
            live,
            loose: Loose::default(),
            catalogue,
            nodes: known,
            packed_max: meta.packed_max,
            seq: meta.seq,
            windows: Windows::default(),
            checkpoints: 0,
            round_open: false,
        })
    }

    /// Epoch and time as of an entry that is not older than `durable`.
    pub(super) fn tick_at(&self, index: u64) -> Tick {
        let after = self.ticks.partition_point(|tick| tick.index <= index);
        assert!(after > 0, "the tick of the durable entry is kept");
        self.ticks[after - 1]
    }

    /// The partition's time has moved, or its leadership.
    pub(super) fn tick(&mut self, index: u64, epoch: Epoch, at: Timestamp) {
        if (epoch, at) != (self.epoch, self.at) {
            (self.epoch, self.at) = (epoch, at);
            self.ticks.push_back(Tick { index, epoch, at });
        }
    }
}

pub(super) fn damaged(what: &str) -> super::Error {
    storage::Error::corrupt("the state database", what).into()
}
