//! All groups of a node, started and stopped together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::engine::model::PartitionId;
use crate::points::{self, Point};
use crate::storage::{Log, Recovered};
use crate::world::World;

use super::checkpoint::{Behind, Checkpointer};
use super::fatal::Fatal;
use super::group::{Common, Group};
use super::handle::Inner;
use super::network::{Receiver, Transport};
use super::state::Machine;
use super::{Config, Error, Handle, runtime};

/// The consensus of one node.
pub struct Consensus {
    handle: Handle,
    receiver: Receiver,
    groups: Arc<Inner>,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    inline_io: bool,
}

impl Consensus {
    /// Starts all groups with what this node has kept of them. It returns before they have leaders.
    ///
    /// `machines` holds the state of each partition, the catalogue first, then the data partitions in order.
    ///
    /// # Errors
    /// [`Error::Fatal`] if the log has lost what was acknowledged, or contradicts the state.
    ///
    /// # Panics
    /// If there is not one machine per partition.
    pub async fn start(
        config: Config,
        world: World,
        log: Log,
        recovered: Recovered,
        machines: Vec<Arc<Machine>>,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, Error> {
        assert_eq!(machines.len(), usize::from(config.partitions) + 1, "there is one machine per partition");
        if recovered.storage_lost {
            let reason =
                "the log has lost acknowledged entries; this node id cannot be used again".to_owned();
            return Err(Error::Fatal { partition: PartitionId::CATALOGUE, reason });
        }
        let bits = world.entropy.bits();
        runtime::seed((bits >> 64) as u64 ^ bits as u64);
        let fatal = Fatal::new();
        let (stop, stopped) = watch::channel(false);
        let (period, inline_io) = (Duration::from_millis(config.checkpoint_ms), config.inline_io);
        let (boot, tail_entries) = (recovered.boot, config.log_tail_entries);
        let common = Common { config, world, log, boot, transport, fatal: fatal.clone(), stop: stopped };
        let mut tasks = JoinSet::new();
        let mut groups = Vec::with_capacity(machines.len());
        for (partition, machine) in (0..).map(PartitionId).zip(machines) {
            let bounds = recovered.groups.get(&partition.0);
            groups.push(Group::start(&common, partition, bounds, machine, &mut tasks).await?);
        }
        let behind = groups.iter().map(|group| Behind {
            applied: group.applied.clone(),
            raft: group.raft.clone(),
            log_store: group.log_store.clone(),
            tail_entries,
            purged_before: 0,
            oversize_before: 0,
            durable: group.applied.index(),
            named: group.applied.index(),
            copied: None,
        });
        let checkpointer = Checkpointer { groups: behind.collect(), period, inline_io, fatal: fatal.clone() };
        tasks.spawn(checkpointer.run(common.stop.clone()));
        let groups = Arc::new(Inner::new(groups, &common, fatal));
        let receiver = Receiver::new(groups.clone(), inline_io);
        Ok(Self { handle: Handle::new(groups.clone()), receiver, groups, tasks, stop, inline_io })
    }

    /// The door.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// What answers other nodes.
    #[must_use]
    pub fn receiver(&self) -> Receiver {
        self.receiver.clone()
    }

    /// Stops all groups at once and leaves their state as the last checkpoints have it, as a crash would. For
    /// tests and the simulation.
    pub async fn crash(mut self) {
        self.stop.send_replace(true);
        self.tasks.shutdown().await;
        for group in self.groups.groups() {
            if let Err(error) = group.raft.shutdown().await {
                tracing::error!(%error, "a Raft core has failed");
            }
        }
    }

    /// Stops all groups and makes their state durable, so that the next start has nothing to replay.
    ///
    /// # Errors
    /// [`Error::Fatal`] if the state could not be written; the log still has everything.
    pub async fn shutdown(mut self) -> Result<(), Error> {
        self.stop.send_replace(true);
        while let Some(task) = self.tasks.join_next().await {
            if let Err(error) = task {
                tracing::error!(%error, "a task of consensus has failed");
            }
        }
        for group in self.groups.groups() {
            let partition = group.partition;
            let fail = |error: &dyn std::fmt::Display| Error::Fatal { partition, reason: error.to_string() };
            group.raft.shutdown().await.map_err(|error| fail(&error))?;
            let applied = group.applied.clone();
            points::cross(Point::LastCheckpoint).await;
            if self.inline_io {
                applied.checkpoint_all().map_err(|error| fail(&error))?;
            } else {
                tokio::task::spawn_blocking(move || applied.checkpoint_all())
                    .await
                    .map_err(|error| fail(&error))?
                    .map_err(|error| fail(&error))?;
            }
        }
        Ok(())
    }
}
