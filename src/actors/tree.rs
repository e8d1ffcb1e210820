//! Plants the tree and fells it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorRef};
use tokio::task::JoinSet;

use crate::consensus;
use crate::consensus::peer::Peers;
use crate::runners::Registry;
use crate::world::World;

use super::admission::Admission;
use super::aloft::Aloft;
use super::directory::Directory;
use super::disk::Disk;
use super::fitness::Fitness;
use super::handle::{Handle, Inner};
use super::partition::Partition;
use super::reading::Table;
use super::request::Error;
use super::roster::{self, Roster};
use super::route::Others;
use super::specs::Specs;
use super::steward;
use super::supervisor::{NodeSupervisor, stop_children};

/// How long the actors get to end. What is in flight then is cut off and found again at the next start.
const STOP_MAX: Duration = Duration::from_secs(10);

/// The actors of one node.
pub struct Tree {
    root: ActorRef<()>,
    handle: Handle,
    /// What looks after the cluster.
    keepers: JoinSet<()>,
}

impl Tree {
    /// Starts the supervisors; actors follow as soon as this node leads something. `others` reaches the other nodes
    /// of the cluster, if there are any.
    pub async fn start(
        consensus: consensus::Handle,
        runners: Arc<Registry>,
        world: World,
        others: Option<Peers>,
        roster: Roster,
    ) -> Result<Self, Error> {
        let disk = Disk::default();
        let partitions: Vec<_> = consensus
            .partitions()
            .into_iter()
            .map(|id| {
                Arc::new(Partition {
                    id,
                    consensus: consensus.clone(),
                    runners: runners.clone(),
                    world: world.clone(),
                    directory: Directory::default(),
                    aloft: Aloft::default(),
                    disk: disk.clone(),
                })
            })
            .collect();
        let spawned = Actor::spawn(None, NodeSupervisor, partitions.clone()).await;
        let (root, _) =
            spawned.map_err(|error| Error::Unavailable { reason: format!("start the actors: {error}") })?;
        let catalogue = runners.catalogue();
        let (specs, admission) = (Specs::default(), Admission::default());
        let peers = others.clone();
        let others = Others(others);
        let inner = Inner {
            consensus,
            partitions,
            catalogue,
            world,
            specs,
            admission,
            disk,
            others,
            table: Table::default(),
            fitness: Fitness::default(),
            replicas: roster.replicas,
            leaving: AtomicBool::new(false),
        };
        let handle = Handle { inner: Arc::new(inner) };
        let mut keepers = JoinSet::new();
        if let Some(peers) = peers {
            keepers.spawn(steward::keep(handle.clone()));
            keepers.spawn(roster::keep(handle.clone(), peers, roster));
        }
        Ok(Self { root, handle, keepers })
    }

    /// The door.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops every actor. Attempts in flight are cancelled; their executions know them as started.
    pub async fn stop(mut self) {
        self.keepers.shutdown().await;
        for partition in &self.handle.inner.partitions {
            partition.directory.close();
        }
        let mut supervisors = self.root.get_children();
        supervisors.sort_unstable_by_key(ActorCell::get_id);
        for supervisor in supervisors {
            stop_children(&supervisor, STOP_MAX).await;
        }
        let stopped = self.root.stop_and_wait(None, Some(STOP_MAX)).await;
        if let Err(error) = stopped {
            tracing::warn!(%error, "the actors did not stop in time");
        }
    }
}
