//! The door to consensus: what actors and front ends ask of it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::engine::model::{Epoch, ExecutionId, PartitionId, SpecHash};

use super::error::Error;
use super::state::Machine;
use super::{Append, CatalogueChange, CatalogueConflict, Conflict, Record, Workflow};

/// Who leads a partition, as this node knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leadership {
    /// This node does, and the entry that announced it is applied here: the state is complete, and
    /// appends under this epoch are accepted until a newer one is applied.
    Leading {
        /// The fence of this leadership.
        epoch: Epoch,
    },
    /// Another node does, or an election is on.
    Following {
        /// Who leads, if known.
        leader: Option<u64>,
    },
}

/// The door to consensus. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) machines: Vec<Arc<Machine>>,
    pub(super) leadership: Vec<watch::Receiver<Leadership>>,
    pub(super) fatal: watch::Receiver<Option<Arc<str>>>,
}

impl Handle {
    /// The data partitions, in order.
    #[must_use]
    pub fn partitions(&self) -> Vec<PartitionId> {
        (1..self.partition_count() + 1).map(PartitionId).collect()
    }

    /// The partition that serves a slot: contiguous ranges of equal size.
    #[must_use]
    pub fn partition_of(&self, slot: u16) -> PartitionId {
        assert!(slot < ExecutionId::SLOTS, "a slot is below 4096");
        let partition = u32::from(slot) * u32::from(self.partition_count()) / u32::from(ExecutionId::SLOTS);
        PartitionId(1 + u16::try_from(partition).expect("there are at most 65,535 partitions"))
    }

    /// Appends events to an execution of a partition this node leads. When this answers with a record,
    /// the events are durable on a quorum and applied here.
    ///
    /// `pin` is the text of a definition that the partition may not have yet.
    ///
    /// # Errors
    /// [`Error::is_refused`] tells whether the append can still come true. A [`Conflict`] means that it
    /// was decided on state that has moved on; nothing of it was recorded.
    pub async fn append(
        &self,
        partition: PartitionId,
        epoch: Epoch,
        append: Append,
        pin: Option<(SpecHash, Arc<str>)>,
    ) -> Result<Result<Arc<Record>, Conflict>, Error> {
        let _ = (partition, epoch, append, pin);
        Err(Error::Stopped)
    }

    /// Changes the catalogue, if this node leads it.
    ///
    /// # Errors
    /// As for [`Handle::append`].
    pub async fn change(
        &self,
        change: CatalogueChange,
    ) -> Result<Result<Arc<Workflow>, CatalogueConflict>, Error> {
        let _ = change;
        Err(Error::Stopped)
    }

    /// The replicated state of a partition, 0 being the catalogue.
    #[must_use]
    pub fn machine(&self, partition: PartitionId) -> &Arc<Machine> {
        &self.inner.machines[usize::from(partition.0)]
    }

    /// Waits until a read of this node's state sees every write that was acknowledged before the call.
    ///
    /// # Errors
    /// [`Error::NoLeader`] if this node does not lead the partition, [`Error::Timeout`] if no quorum
    /// confirms that it still does.
    pub async fn linearize(&self, partition: PartitionId) -> Result<(), Error> {
        Err(Error::NoLeader { partition, hint: None })
    }

    /// Follows who leads a partition, 0 being the catalogue.
    #[must_use]
    pub fn leadership(&self, partition: PartitionId) -> watch::Receiver<Leadership> {
        self.inner.leadership[usize::from(partition.0)].clone()
    }

    /// Turns to a reason when a part of consensus has died: the node has to exit then.
    #[must_use]
    pub fn fatal(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.inner.fatal.clone()
    }

    fn partition_count(&self) -> u16 {
        u16::try_from(self.inner.machines.len() - 1).expect("there are at most 65,535 partitions")
    }
}
