//! Under construction: the signatures first.
#![expect(unused_variables, reason = "the bodies follow")]

use std::sync::Arc;

use crate::engine::definition::Spec;
use crate::engine::model::{
    DefinitionStatus, Epoch, ExecutionId, PartitionId, Recorded, SpecHash, TenantId, Timestamp, Version,
    WorkflowId,
};

use super::command::{Command, Reply};
use super::view::{ListQuery, LiveRow, Page, Record, Workflow};

/// Why the state of a partition cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A snapshot is not what its sender made.
    #[error("the snapshot is damaged: {what}")]
    Snapshot {
        /// What is wrong.
        what: String,
    },
}

/// A result of the state.
pub type Result<T> = std::result::Result<T, Error>;

/// What a machine needs.
pub struct MachineOptions {
    /// Which partition.
    pub partition: PartitionId,
    // pub store: Arc<dyn Store>, pub limits: Limits (Default)
}

/// How far the state has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// The index of the last entry in the state; 0: none.
    pub index: u64,
    /// What the caller of the last checkpoint kept with it. Only known directly after `open` and `install`.
    pub meta: Option<Vec<u8>>,
}

/// What a checkpoint achieved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckpointDone {
    /// The state is durable through this entry: a restart replays from the next one.
    pub index: u64,
    /// How many records were written.
    pub written: usize,
    /// There is more to write at once.
    pub more: bool,
}

/// Sizes of a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Unfinished executions.
    pub live: usize,
    /// Those of them that need an actor.
    pub runnable: usize,
    /// Records that the store does not have yet.
    pub dirty: usize,
    /// Their bytes, about.
    pub dirty_bytes: usize,
    /// Clean records in memory.
    pub cached: usize,
    /// Their bytes, about.
    pub cached_bytes: usize,
}

/// Wakes when an execution has changed.
pub struct Watch {}

impl Watch {
    /// Waits for the next change since the watch was made, or since the last call.
    pub async fn changed(&mut self) {}
}

/// A consistent copy of the state, read in chunks. Checkpoints wait while one exists.
pub struct SnapshotReader {}

impl SnapshotReader {
    /// The entry through which the snapshot is complete.
    pub fn index(&self) -> u64 {
        0
    }
    /// What the caller of the checkpoint kept with it.
    pub fn meta(&self) -> Option<&[u8]> {
        None
    }
    /// The next chunk, at most about 256 KiB, with its own checksum; none after the last.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
}

/// The replicated state of one partition.
pub struct Machine {}

impl Machine {
    /// Reads what the last checkpoint left.
    pub fn open(options: MachineOptions) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {}))
    }
    /// How far the state has come.
    pub fn applied(&self) -> Applied {
        Applied::default()
    }
    /// Folds one entry.
    pub fn apply(&self, index: u64, command: &Command) -> Reply {
        Reply::None
    }
    /// Notes an entry that changes nothing (blank, membership).
    pub fn pass(&self, index: u64) {}
    /// Writes a small slice of what is dirty, then syncs.
    pub fn checkpoint(&self, meta_at: &dyn Fn(u64) -> Option<Vec<u8>>) -> Result<CheckpointDone> {
        Ok(CheckpointDone::default())
    }
    /// The newest leadership.
    pub fn epoch(&self) -> Epoch {
        Epoch(0)
    }
    /// The time of the newest entry.
    pub fn at(&self) -> Timestamp {
        Timestamp::default()
    }
    /// An execution.
    pub fn record(&self, tenant: &TenantId, id: ExecutionId) -> Result<Option<Arc<Record>>> {
        Ok(None)
    }
    /// Its events from version `from` (0: the first) on.
    pub fn history(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        from: Version,
        limit: usize,
    ) -> Result<Option<Vec<Recorded>>> {
        Ok(None)
    }
    /// A pinned definition, compiled.
    pub fn spec(&self, hash: SpecHash) -> Result<Option<Arc<Spec>>> {
        Ok(None)
    }
    /// Whether the text of a definition is here.
    pub fn is_pinned(&self, hash: SpecHash) -> bool {
        false
    }
    /// All unfinished executions.
    pub fn live(&self) -> Vec<LiveRow> {
        Vec::new()
    }
    /// Sizes.
    pub fn counts(&self) -> Counts {
        Counts::default()
    }
    /// Unfinished executions of a workflow.
    pub fn running_of(&self, tenant: &TenantId, workflow: WorkflowId) -> usize {
        0
    }
    /// A page of executions, newest first.
    pub fn list(&self, tenant: &TenantId, query: &ListQuery) -> Result<Page> {
        Ok(Page::default())
    }
    /// Watches an execution.
    pub fn watch(&self, id: ExecutionId) -> Watch {
        Watch {}
    }
    /// A workflow. Only partition 0 has them.
    pub fn workflow(&self, tenant: &TenantId, id: WorkflowId) -> Option<Arc<Workflow>> {
        None
    }
    /// Workflows, newest first, with ids below `before`.
    pub fn workflows(
        &self,
        tenant: &TenantId,
        status: Option<DefinitionStatus>,
        before: Option<WorkflowId>,
        limit: usize,
    ) -> Vec<Arc<Workflow>> {
        Vec::new()
    }
    /// A consistent copy, as of the last checkpoint.
    pub fn snapshot(self: &Arc<Self>) -> Result<SnapshotReader> {
        Ok(SnapshotReader {})
    }
    /// Replaces the whole state by a snapshot.
    pub fn install(
        &self,
        index: u64,
        meta: Option<Vec<u8>>,
        chunks: &mut dyn Iterator<Item = Vec<u8>>,
    ) -> Result<()> {
        Ok(())
    }
    /// A hash of all that replicas have in common.
    pub fn digest(&self) -> Result<u64> {
        Ok(0)
    }
}
