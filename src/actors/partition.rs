//! What every actor of a partition shares: handles to the floors below and the directory.

use std::sync::Arc;

use crate::consensus;
use crate::engine::model::{ExecutionId, PartitionId, TenantId};
use crate::runners::Registry;
use crate::world::World;

use super::aloft::Aloft;
use super::directory::{Directory, Leading};
use super::disk::Disk;
use super::execution::{self, Birth, Start};
use super::request::Error;

/// Actors of one partition at the same time. Each is about 10 kB with its mailbox and its record, so a
/// node with four partitions stays under 1 GB when all are full.
pub(crate) const ACTIVE_MAX: usize = 20_000;
/// Actors of one partition at the same time when the work was accepted before. A storm of timers is spread
/// behind it instead of taking all memory at once.
pub(crate) const OWED_ACTIVE_MAX: usize = 2 * ACTIVE_MAX;
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
    pub(crate) aloft: Aloft,
    /// Of the node.
    pub(crate) disk: Disk,
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
    /// Tells an execution's actor something; one that has none gets one, and it deals with that first.
    /// What is told to an actor that is just leaving is lost: who needs an answer asks again.
    ///
    /// Errors: `Overloaded` at a limit, `Elsewhere` if this node does not lead the partition.
    pub(crate) fn tell(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: ExecutionId,
        message: execution::Message,
        admission: Admission,
    ) -> Result<(), Error> {
        self.lead(|leading| {
            if let Some(actor) = leading.actors.get(&id) {
                let _leaving = actor.send_message(message);
                return Ok(());
            }
            let start = Start::existing(self.clone(), leading.tenure, tenant.clone(), id, message);
            start_actor(leading, id, start, admission)
        })
    }

    /// Starts the actor of an execution that is about to be created.
    ///
    /// Errors: as [`Partition::tell`]; `Unavailable` if it has an actor already, because who asked asks again: two
    /// actors of one execution would begin everything twice.
    pub(crate) fn create(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: ExecutionId,
        birth: Birth,
    ) -> Result<(), Error> {
        self.lead(|leading| {
            if leading.actors.contains_key(&id) {
                return Err(Error::Unavailable { reason: "it is being created".to_owned() });
            }
            let start = Start::new(self.clone(), leading.tenure, tenant.clone(), id, birth);
            start_actor(leading, id, start, Admission::Outside)
        })
    }

    fn lead(&self, with: impl FnOnce(&mut Leading) -> Result<(), Error>) -> Result<(), Error> {
        self.directory.leading(with).unwrap_or_else(|| Err(self.no_leader()))
    }

    /// Refuses new executions while too many live, or too much of what they did waits for the disk.
    pub(crate) fn admit_submission(&self) -> Result<(), Error> {
        if self.machine().counts().live >= LIVE_MAX {
            return Err(overloaded("unfinished executions in this partition"));
        }
        if self.machine().is_behind() {
            return Err(overloaded("state that waits for the disk"));
        }
        Ok(())
    }

    /// How many actors may still be started for work that was accepted before: none while the disk is full,
    /// because they could not record anything.
    pub(crate) fn room(&self) -> usize {
        if self.disk.is_full() {
            return 0;
        }
        OWED_ACTIVE_MAX.saturating_sub(self.directory.active())
    }

    /// The replicated state.
    pub(crate) fn machine(&self) -> &Arc<consensus::Machine> {
        self.consensus.machine(self.id)
    }

    /// What to tell a caller whom this node cannot serve.
    pub(crate) fn no_leader(&self) -> Error {
        Error::Elsewhere { partition: self.id, leader: None }
    }
}

fn start_actor(
    leading: &mut Leading,
    id: ExecutionId,
    start: Start,
    admission: Admission,
) -> Result<(), Error> {
    if admission == Admission::Outside && leading.actors.len() >= ACTIVE_MAX {
        return Err(overloaded("executions at work in this partition"));
    }
    let actor = execution::spawn(start, leading.supervisor.clone())?;
    leading.actors.insert(id, actor);
    Ok(())
}

/// Too much of something.
pub(crate) fn overloaded(what: &'static str) -> Error {
    Error::Overloaded { what, retry_after_ms: RETRY_AFTER_MS }
}
