//! A node without its public port: log, consensus and actors, wired from parts that are handed in.
//!
//! The same wiring serves the real node, where the parts are sled and the system's clock, and the
//! simulation, where they are a simulated disk and a simulated clock.

use std::sync::Arc;

use crate::actors;
use crate::consensus::peer::Peers;
use crate::consensus::{self, Consensus, Machine, MachineOptions, Nowhere, StateLimits};
use crate::engine::model::PartitionId;
use crate::points::{self, Point};
use crate::runners::Registry;
use crate::storage::{Log, Recovered, Store};
use crate::world::World;

use super::error::Error;

/// What a core is made of.
pub struct Parts {
    /// How consensus is set.
    pub consensus: consensus::Config,
    /// The clock and the entropy.
    pub world: World,
    /// The write-ahead log, and what was found in it.
    pub log: (Log, Recovered),
    /// The state database.
    pub state: Arc<dyn Store>,
    /// The runners.
    pub runners: Registry,
    /// The way to the other nodes, if there are any.
    pub peers: Option<Peers>,
    /// How this node wants to be known in the cluster.
    pub roster: actors::Roster,
}

/// A node without its public port.
pub struct Core {
    consensus: Consensus,
    tree: actors::Tree,
    peers: Option<Peers>,
}

impl Core {
    /// Starts consensus, then the actors.
    ///
    /// # Errors
    /// What keeps either from starting.
    pub async fn start(parts: Parts) -> Result<Self, Error> {
        let (log, recovered) = parts.log;
        let machines = open_machines(parts.consensus.partitions, &parts.state)?;
        check_reach(&machines, &recovered)?;
        let peers = parts.peers;
        points::cross(Point::StateOpen).await;
        let transport = peers.clone().map_or_else(Nowhere::transport, |peers| Arc::new(peers));
        let consensus =
            Consensus::start(parts.consensus, parts.world.clone(), log, recovered, machines, transport)
                .await?;
        if let Some(peers) = &peers {
            peers.open(consensus.receiver());
        }
        points::cross(Point::ConsensusRuns).await;
        let runners = Arc::new(parts.runners);
        let tree = actors::Tree::start(consensus.handle(), runners, parts.world, peers.clone(), parts.roster)
            .await?;
        if let Some(peers) = &peers {
            peers.open_desk(Arc::new(tree.handle()));
        }
        Ok(Self { consensus, tree, peers })
    }

    /// The door to the actors.
    #[must_use]
    pub fn handle(&self) -> actors::Handle {
        self.tree.handle()
    }

    /// The door to consensus, for whoever looks at replicas from outside.
    #[must_use]
    pub fn consensus(&self) -> consensus::Handle {
        self.consensus.handle()
    }

    /// Waits until every partition is led and its actors run.
    pub async fn ready(&self) {
        let handle = self.tree.handle();
        handle.ready().await;
    }

    /// Ends when a part has died that the node cannot go on without; the reason says which.
    pub async fn fatal(&self) -> String {
        let mut fatal = self.consensus.handle().fatal();
        match fatal.wait_for(Option::is_some).await {
            Ok(reason) => reason.as_deref().unwrap_or_default().to_owned(),
            Err(_) => "consensus has stopped".to_owned(),
        }
    }

    /// Stops the actors, then consensus with a last checkpoint.
    ///
    /// # Errors
    /// What kept the last checkpoint from being written; nothing acknowledged is lost by it.
    pub async fn stop(self) -> Result<(), Error> {
        self.tree.stop().await;
        points::cross(Point::ActorsStopped).await;
        let ended = self.consensus.shutdown().await;
        // They know the way back to the actors, and the actors the way to them.
        self.peers.iter().for_each(Peers::close);
        Ok(ended?)
    }
}

/// The state is written behind the log, so a state without any log has lost what was acknowledged. The hard
/// state would say so too, unless that is gone with the log. One that has a vote may lag: a snapshot is newer
/// than the log until that is purged up to it.
fn check_reach(machines: &[Arc<Machine>], recovered: &Recovered) -> Result<(), Error> {
    for (partition, machine) in (0..).zip(machines) {
        let bounds = recovered.groups.get(&partition);
        let known =
            bounds.is_some_and(|it| it.vote.is_some() || it.last.is_some() || it.purged_index.is_some());
        if !known && machine.durable() > 0 {
            return Err(Error::LogGone { partition, state: machine.durable() });
        }
    }
    Ok(())
}

/// The state of the catalogue and of every data partition, in order.
fn open_machines(partitions: u16, store: &Arc<dyn Store>) -> Result<Vec<Arc<Machine>>, Error> {
    (0..=partitions)
        .map(|id| {
            Ok(Machine::open(MachineOptions {
                partition: PartitionId(id),
                store: store.clone(),
                limits: StateLimits::default(),
            })?)
        })
        .collect()
}
