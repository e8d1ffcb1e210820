//! The state of one partition together with its place in the log.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::model::{PartitionId, Timestamp};

use super::Reply;
use super::positions::Positions;
use super::state::{CheckpointDone, Machine, Staging};
use super::stored::{self, Meta};
use super::types::{Entry, Payload};

/// The state keeps back what is likely to change again for some rounds; more rounds than this without a write
/// mean that something else keeps it back.
const IDLE_SLICES_MAX: usize = 256;

/// Shared by what applies entries, what writes the state behind, and what reads.
pub(super) struct Applied {
    pub(super) partition: PartitionId,
    pub(super) machine: Arc<Machine>,
    /// Never held while the machine is called by the same thread: the machine calls back for it.
    positions: Mutex<Positions>,
}

impl Applied {
    /// Takes up the state where its last checkpoint left it.
    pub(super) fn open(partition: PartitionId, machine: Arc<Machine>) -> io::Result<Self> {
        let applied = machine.applied();
        let meta = applied.meta.map_or_else(|| Ok(Meta::default()), |meta| stored::decode_meta(&meta))?;
        if meta.applied.map_or(0, |id| id.index) != applied.index {
            let reason = format!("the state is at entry {}, its mark at {:?}", applied.index, meta.applied);
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(Self { partition, machine, positions: Mutex::new(Positions::new(meta)) })
    }

    /// Folds one entry into the state.
    pub(super) fn apply(&self, entry: Entry) -> Reply {
        let index = entry.log_id.index;
        // The place first, so that a checkpoint of this entry finds it.
        match entry.payload {
            Payload::Normal(proposal) => {
                self.positions().note(entry.log_id, None);
                self.machine.apply(index, proposal.command())
            }
            Payload::Blank => {
                self.positions().note(entry.log_id, None);
                self.machine.pass(index);
                Reply::None
            }
            Payload::Membership(membership) => {
                self.positions().note(entry.log_id, Some(membership));
                self.machine.pass(index);
                Reply::None
            }
        }
    }

    /// Makes a slice of the state durable. Blocks on the disk.
    pub(super) fn checkpoint(&self) -> io::Result<CheckpointDone> {
        let meta_at = |index| Some(stored::encode_meta(&self.positions().meta_at(index)));
        let done = self.machine.checkpoint(&meta_at).map_err(io::Error::other)?;
        self.positions().trim(done.index);
        Ok(done)
    }

    /// Makes the whole state durable. Blocks on the disk.
    ///
    /// Fails if nothing moves any more, which happens while a snapshot is being sent that is read too slowly.
    pub(super) fn checkpoint_all(&self) -> io::Result<()> {
        let last = self.index();
        let mut idle = 0;
        while idle < IDLE_SLICES_MAX {
            let done = self.checkpoint()?;
            if done.index >= last {
                return Ok(());
            }
            idle = if done.written == 0 { idle + 1 } else { 0 };
        }
        Err(io::Error::new(io::ErrorKind::WouldBlock, "checkpoints are held back"))
    }

    /// Replaces the state by a snapshot that has arrived. Blocks on the disk.
    pub(super) fn install(&self, meta: Meta, staging: Staging) -> io::Result<()> {
        let index = meta.applied.map_or(0, |id| id.index);
        staging.install(index).map_err(io::Error::other)?;
        *self.positions() = Positions::new(meta);
        Ok(())
    }

    /// Where the state stands.
    pub(super) fn meta(&self) -> Meta {
        let positions = self.positions();
        Meta { applied: positions.last(), membership: positions.membership().clone() }
    }

    /// Who votes.
    pub(super) fn voters(&self) -> BTreeSet<u64> {
        self.positions().membership().voter_ids().collect()
    }

    /// Whether a node is the only one that votes.
    pub(super) fn is_sole_voter(&self, node: u64) -> bool {
        let positions = self.positions();
        let voters = positions.membership().membership().get_joint_config();
        !voters.is_empty() && voters.iter().all(|voters| voters.len() == 1 && voters.contains(&node))
    }

    /// Where a member listens; empty if this node does not know it.
    pub(super) fn address_of(&self, node: u64) -> String {
        let positions = self.positions();
        positions.membership().membership().get_node(&node).map(|node| node.addr.clone()).unwrap_or_default()
    }

    /// The last entry whose change can be read. The place of an entry is known a moment sooner.
    pub(super) fn index(&self) -> u64 {
        self.machine.index()
    }

    /// The latest time in an applied entry: the floor for the next one.
    pub(super) fn at(&self) -> Timestamp {
        self.machine.at()
    }

    fn positions(&self) -> MutexGuard<'_, Positions> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::command::Command;
    use super::super::state::{Limits, MachineOptions};
    use super::super::types::{LeaderId, LogId, Proposal};
    use super::*;
    use crate::storage::MemoryStore;

    #[test]
    fn what_is_said_to_be_applied_can_be_read() {
        let partition = PartitionId(1);
        let options =
            MachineOptions { partition, store: Arc::new(MemoryStore::new()), limits: Limits::default() };
        let applied = Applied::open(partition, Machine::open(options).unwrap()).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Each of these entries can be told from the state by the epoch, which is its index.
            scope.spawn(|| {
                for index in 1..=100_000 {
                    let command =
                        Command::LeaderEpoch { node: 7, boot: 1, at: Timestamp::from_micros(index) };
                    let payload = Payload::Normal(Proposal::new(command));
                    let log_id = LogId::new(LeaderId { term: 1, node_id: 7 }, index);
                    applied.apply(Entry { log_id, payload });
                }
                over.store(true, Ordering::Release);
            });
            while !over.load(Ordering::Acquire) {
                let index = applied.index();
                assert!(applied.machine.epoch().0 >= index, "entry {index} is not in the state");
            }
        });
        assert_eq!(applied.index(), 100_000);
    }
}
