//! Plants the tree and fells it.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorRef};

use crate::consensus;
use crate::consensus::peer::Peers;
use crate::runners::Registry;
use crate::world::World;

use super::admission::Admission;
use super::directory::Directory;
use super::handle::{Handle, Inner};
use super::partition::Partition;
use super::request::Error;
use super::route::Others;
use super::specs::Specs;
use super::supervisor::{NodeSupervisor, stop_children};

/// How long the actors get to end. What is in flight then is cut off and found again at the next start.
const STOP_MAX: Duration = Duration::from_secs(10);

/// The actors of one node.
pub struct Tree {
    root: ActorRef<()>,
    handle: Handle,
}

impl Tree {
    /// Starts the supervisors; actors follow as soon as this node leads something. `others` reaches the other nodes
    /// of the cluster, if there are any.
    pub async fn start(
        consensus: consensus::Handle,
        runners: Arc<Registry>,
        world: World,
        others: Option<Peers>,
    ) -> Result<Self, Error> {
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
                })
            })
            .collect();
        let spawned = Actor::spawn(None, NodeSupervisor, partitions.clone()).await;
        let (root, _) =
            spawned.map_err(|error| Error::Unavailable { reason: format!("start the actors: {error}") })?;
        let catalogue = runners.catalogue();
        let (specs, admission) = (Specs::default(), Admission::default());
        let others = Others(others);
        let inner = Inner { consensus, partitions, catalogue, world, specs, admission, others };
        Ok(Self { root, handle: Handle { inner: Arc::new(inner) } })
    }

    /// The door.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops every actor. Attempts in flight are cancelled; their executions know them as started.
    pub async fn stop(self) {
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
