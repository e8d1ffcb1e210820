//! The door to consensus: what actors and front ends ask of it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{oneshot, watch};

use crate::engine::model::{Epoch, ExecutionId, Moment, PartitionId, SpecHash};
use crate::storage::Log;

use crate::engine::planted::{self, Bug};

use super::error::Error;
use super::fatal::Fatal;
use super::group::{Common, Group};
use super::proposer::{WISH_BYTES_MAX, Wish};
use super::room::Place;
use super::state::Machine;
use super::{
    Append, CatalogueChange, CatalogueConflict, Conflict, NodeChange, NodeConflict, NodeRecord, Record,
    Workflow,
};

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
    groups: Vec<Group>,
    log: Log,
    node: u64,
    fatal: Fatal,
}

impl Inner {
    pub(super) fn new(groups: Vec<Group>, common: &Common, fatal: Fatal) -> Self {
        Self { groups, log: common.log.clone(), node: common.config.node, fatal }
    }

    pub(super) fn fatal(&self) -> &Fatal {
        &self.fatal
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The last entry applied here, if this node leads the partition and a quorum confirms it.
    pub(super) async fn confirm(&self, partition: PartitionId) -> Result<u64, Error> {
        self.groups[usize::from(partition.0)].confirm.index().await
    }
}

impl Handle {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// This node's id.
    #[must_use]
    pub fn node(&self) -> u64 {
        self.inner.node
    }

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

    /// The slots a data partition serves.
    #[must_use]
    pub fn slots_of(&self, partition: PartitionId) -> Range<u16> {
        let count = u32::from(self.partition_count());
        let first = |number: u32| {
            let slot = (number * u32::from(ExecutionId::SLOTS)).div_ceil(count);
            u16::try_from(slot).expect("a slot is below 4096")
        };
        let number = u32::from(partition.0) - 1;
        first(number)..first(number + 1)
    }

    /// Appends events to an execution of a partition this node leads. When this answers with a record,
    /// the events are durable on a quorum and applied here.
    ///
    /// `decided` is under which leadership, and when: it is recorded at no earlier time, though the clock may have
    /// been set back since. `pin` is the text of a definition that the partition may not have yet. A future that
    /// is dropped takes nothing back: the append may be recorded all the same.
    ///
    /// # Errors
    /// [`Error::is_refused`] tells whether the append can still come true. A [`Conflict`] means that it
    /// was decided on state that has moved on; nothing of it was recorded.
    pub async fn append(
        &self,
        partition: PartitionId,
        decided: Moment,
        append: Append,
        pin: Option<(SpecHash, Arc<str>)>,
    ) -> Result<Result<Arc<Record>, Conflict>, Error> {
        assert_ne!(partition, PartitionId::CATALOGUE, "executions live in data partitions");
        let bytes = Wish::weight(&append, pin.as_ref());
        if bytes > WISH_BYTES_MAX {
            return Err(Error::TooLarge { bytes, bytes_max: WISH_BYTES_MAX });
        }
        let (reply, answer) = oneshot::channel();
        let place = self.take_room(partition, bytes)?;
        self.wish(partition, Wish::Append { decided, append, pin, place, reply })?;
        answer.await.map_err(|_| Error::Stopped)?
    }

    /// Changes the catalogue, if this node leads it.
    ///
    /// # Errors
    /// As for [`Handle::append`].
    pub async fn change(
        &self,
        change: CatalogueChange,
    ) -> Result<Result<Arc<Workflow>, CatalogueConflict>, Error> {
        let bytes = match &change {
            CatalogueChange::PutWorkflow { text, .. } => text.len(),
            CatalogueChange::SetStatus { .. } | CatalogueChange::DeleteWorkflow { .. } => 0,
        };
        let place = self.take_room(PartitionId::CATALOGUE, bytes)?;
        let (reply, answer) = oneshot::channel();
        self.wish(PartitionId::CATALOGUE, Wish::Change { change: Box::new(change), place, reply })?;
        answer.await.map_err(|_| Error::Stopped)?
    }

    /// Changes the nodes of the cluster, if this node leads the catalogue.
    ///
    /// # Errors
    /// As for [`Handle::append`].
    pub async fn change_nodes(&self, change: NodeChange) -> Result<Result<NodeRecord, NodeConflict>, Error> {
        let (reply, answer) = oneshot::channel();
        self.wish(PartitionId::CATALOGUE, Wish::Node { change, reply })?;
        answer.await.map_err(|_| Error::Stopped)?
    }

    /// The replicated state of a partition, 0 being the catalogue.
    #[must_use]
    pub fn machine(&self, partition: PartitionId) -> &Arc<Machine> {
        &self.group(partition).applied.machine
    }

    /// Waits until a read of this node's state sees every write that was acknowledged before the call, whoever
    /// leads. While there is no leader it waits for one.
    ///
    /// # Errors
    /// [`Error::NoLeader`] if no leader is found or none has a quorum, [`Error::Timeout`] if this replica does
    /// not catch up in time, [`Error::Overloaded`] if too many reads wait already.
    pub async fn linearize(&self, partition: PartitionId) -> Result<(), Error> {
        let group = self.group(partition);
        let leading = matches!(*group.leadership.borrow(), Leadership::Leading { .. });
        if (leading && group.applied.is_sole_voter(self.inner.node)) || planted::is(Bug::ReadUnconfirmed) {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        group.reads.try_send(reply).map_err(|refused| match refused {
            TrySendError::Full(_) => Error::Overloaded { what: "the queue of reads of the partition" },
            TrySendError::Closed(_) => Error::Stopped,
        })?;
        answer.await.map_err(|_| Error::Stopped)?
    }

    /// Follows who leads a partition, 0 being the catalogue.
    #[must_use]
    pub fn leadership(&self, partition: PartitionId) -> watch::Receiver<Leadership> {
        self.group(partition).leadership.clone()
    }

    /// Whether a quorum has confirmed within the lease that this node leads. Who acts for a partition asks right
    /// before: a node that was paused does not know by itself that others lead by now.
    #[must_use]
    pub fn holds_lease(&self, partition: PartitionId) -> bool {
        self.group(partition).lease.holds()
    }

    /// How long a commit takes on this node's disk just now.
    #[must_use]
    pub fn commit_delay(&self) -> Duration {
        self.inner.log.delay()
    }

    pub(super) fn all_groups(&self) -> &[Group] {
        &self.inner.groups
    }

    /// Turns to a reason when a part of consensus has died: the node has to exit then.
    #[must_use]
    pub fn fatal(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.inner.fatal.subscribe()
    }

    fn wish(&self, partition: PartitionId, wish: Wish) -> Result<(), Error> {
        self.group(partition).wishes.try_send(wish).map_err(|refused| match refused {
            TrySendError::Full(_) => Error::Overloaded { what: "the queue of the partition" },
            TrySendError::Closed(_) => Error::Stopped,
        })
    }

    fn take_room(&self, partition: PartitionId, bytes: usize) -> Result<Place, Error> {
        let full = Error::Overloaded { what: "the queue of the partition" };
        self.group(partition).room.take(bytes).ok_or(full)
    }

    pub(super) fn group(&self, partition: PartitionId) -> &Group {
        &self.inner.groups[usize::from(partition.0)]
    }

    fn partition_count(&self) -> u16 {
        u16::try_from(self.inner.groups.len() - 1).expect("there are at most 65,535 partitions")
    }
}
