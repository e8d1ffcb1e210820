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
        let catalogue = machines[0].clone();
        let transport = peers.clone().map_or_else(Nowhere::transport, |peers| Arc::new(peers));
        let consensus =
            Consensus::start(parts.consensus, parts.world.clone(), log, recovered, machines, transport)
                .await?;
        if let Some(peers) = &peers {
            // Before anybody is answered: who was removed or went back is in the state of the last run.
            actors::introduce(peers, &catalogue.nodes());
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

    /// Ends when the node cannot go on: a part of it has died, or the cluster has dismissed it.
    pub async fn fatal(&self) -> Error {
        let mut fatal = self.consensus.handle().fatal();
        let died = async {
            match fatal.wait_for(Option::is_some).await {
                Ok(reason) => Error::Died(reason.as_deref().unwrap_or_default().to_owned()),
                Err(_) => Error::Died("consensus has stopped".to_owned()),
            }
        };
        let dismissed = async {
            let Some(peers) = &self.peers else { return std::future::pending().await };
            match peers.dismissed().wait_for(Option::is_some).await.as_deref() {
                Ok(Some(why)) => Error::Dismissed(*why),
                // The connections are there as long as this core.
                Ok(None) | Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            why = died => why,
            why = dismissed => why,
        }
    }

    /// Stops the actors, then consensus with a last checkpoint.
    ///
    /// # Errors
    /// What kept the last checkpoint from being written; nothing acknowledged is lost by it.
    pub async fn stop(self) -> Result<(), Error> {
        self.tree.stop().await;
        points::cross(Point::ActorsStopped).await;
        // Nobody is answered any more by what is about to end. And they know the way back to the actors, and the actors
        // the way to them.
        if let Some(peers) = &self.peers {
            peers.close().await;
        }
        Ok(self.consensus.shutdown().await?)
    }
}

/// The state is written behind the log, so a state without any log has lost what was acknowledged. The hard
/// state would say so too, unless that is gone with the log. One that has a vote may lag: a snapshot is newer
/// than the log until that is purged up to it. And a log that begins after what the state has is of no use to it.
fn check_reach(machines: &[Arc<Machine>], recovered: &Recovered) -> Result<(), Error> {
    for (partition, machine) in (0..).zip(machines) {
        let bounds = recovered.groups.get(&partition);
        let known =
            bounds.is_some_and(|it| it.vote.is_some() || it.last.is_some() || it.purged_index.is_some());
        let state = machine.durable();
        if !known && state > 0 {
            return Err(Error::LogGone { partition, state });
        }
        if let Some(purged) = bounds.and_then(|it| it.purged_index)
            && purged > state
        {
            return Err(Error::StateBehind { partition, state, log: purged + 1 });
        }
    }
    Ok(())
}

/// The state of the catalogue and of every data partition, in order.
fn open_machines(partitions: u16, store: &Arc<dyn Store>) -> Result<Vec<Arc<Machine>>, Error> {
    // What is found there counts as durable, and the log is cut behind it. The process before may have died between a
    // write and its sync.
    store.sync().map_err(consensus::StateError::from)?;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::storage::{GroupBounds, MemoryStore, WriteBatch};

    #[test]
    fn a_log_that_begins_after_the_state_is_storage_lost() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let machines = open_machines(1, &store).unwrap();
        let found = |purged_index| {
            let bounds =
                GroupBounds { first: Some(11), last: Some(20), purged_index, ..GroupBounds::default() };
            Recovered { groups: BTreeMap::from([(1, bounds)]), ..Recovered::default() }
        };
        assert!(check_reach(&machines, &found(None)).is_ok());
        let error = check_reach(&machines, &found(Some(10))).unwrap_err();
        assert!(matches!(error, Error::StateBehind { partition: 1, state: 0, log: 11 }), "{error}");
        assert_eq!(error.code(), "storage_lost");
    }

    #[test]
    fn what_is_found_in_the_state_is_durable_before_it_counts() {
        let store = Arc::new(MemoryStore::new());
        let mut written = WriteBatch::new();
        written.put([1], [1]);
        store.write(written).unwrap();
        open_machines(1, &(store.clone() as Arc<dyn Store>)).unwrap();
        store.lose_unsynced();
        assert!(store.get(&[1]).unwrap().is_some(), "the process before did not come to its sync");
    }
}
