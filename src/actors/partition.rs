//! What every actor of a partition shares: handles to the floors below and the directory.

use std::sync::Arc;

use ractor::ActorRef;

use crate::consensus;
use crate::engine::model::{Epoch, ExecutionId, PartitionId, TenantId};
use crate::runners::Registry;
use crate::world::World;

use super::directory::Directory;
use super::execution::{self, Start};
use super::request::Error;

/// Actors of one partition at the same time. Each is about 10 kB with its mailbox and its record, so a
/// node with four partitions stays under 1 GB when all are full.
pub(crate) const ACTIVE_MAX: usize = 20_000;
/// Unfinished executions of one partition. Each costs about 100 bytes of memory while parked.
pub(crate) const LIVE_MAX: usize = 2_000_000;
/// What a refused caller is told to wait.
pub(crate) const RETRY_AFTER_MS: u64 = 500;

/// One replica of a partition, as its actors see it. Holds no truth.
pub(crate) struct Partition {
    pub(crate) id: PartitionId,
    pub(crate) consensus: consensus::Handle,
    pub(crate) runners: Arc<Registry>,
    pub(crate) world: World,
    pub(crate) directory: Directory,
}

/// How hard to knock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// New work from outside: refused when the partition is full.
    Outside,
    /// Work that was accepted before: never refused.
    Owed,
}

impl Partition {
    /// The actor of an execution, started if it has none.
    ///
    /// Errors: `Overloaded` at a limit, `Unavailable` if this node does not lead the partition.
    pub(crate) fn actor(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: ExecutionId,
        admission: Admission,
    ) -> Result<ActorRef<execution::Message>, Error> {
        self.start(id, admission, |epoch| Start::existing(self.clone(), epoch, tenant.clone(), id))
    }

    /// Starts an actor from `make`, unless the execution has one already.
    pub(crate) fn start(
        self: &Arc<Self>,
        id: ExecutionId,
        admission: Admission,
        make: impl FnOnce(Epoch) -> Start,
    ) -> Result<ActorRef<execution::Message>, Error> {
        let started = self.directory.leading(|leading| {
            if let Some(actor) = leading.actors.get(&id) {
                return Ok(actor.clone());
            }
            if admission == Admission::Outside && leading.actors.len() >= ACTIVE_MAX {
                return Err(overloaded("executions at work in this partition"));
            }
            let actor = execution::spawn(make(leading.epoch), leading.supervisor.clone())?;
            leading.actors.insert(id, actor.clone());
            Ok(actor)
        });
        started.unwrap_or_else(|| Err(self.no_leader()))
    }

    /// Refuses new executions while too many live.
    pub(crate) fn admit_submission(&self) -> Result<(), Error> {
        if self.machine().counts().live >= LIVE_MAX {
            return Err(overloaded("unfinished executions in this partition"));
        }
        Ok(())
    }

    /// The replicated state.
    pub(crate) fn machine(&self) -> &Arc<consensus::Machine> {
        self.consensus.machine(self.id)
    }

    /// What to tell a caller whom this node cannot serve.
    pub(crate) fn no_leader(&self) -> Error {
        Error::Unavailable { reason: format!("partition {} has no leader here", self.id) }
    }
}

/// Too much of something.
pub(crate) fn overloaded(what: &'static str) -> Error {
    Error::Overloaded { what, retry_after_ms: RETRY_AFTER_MS }
}
