//! Three nodes in one process.

use std::collections::BTreeMap;
use std::time::Duration;

use everstep::consensus::{Append, Config, Leadership, LocalNetwork};
use everstep::engine::model::{Epoch, PartitionId};

use crate::node::{Disks, Node, PATIENCE, decided};

pub(crate) const IDS: [u64; 3] = [1, 2, 3];

/// The only data partition of these clusters.
pub(crate) const PARTITION: PartitionId = PartitionId(1);

pub(crate) struct Cluster {
    pub(crate) network: LocalNetwork,
    pub(crate) nodes: BTreeMap<u64, Node>,
    disks: BTreeMap<u64, Disks>,
    config: Config,
}

impl Cluster {
    /// Starts three nodes with one data partition; the log keeps `log_tail_entries` for those behind.
    pub(crate) async fn start(log_tail_entries: u64) -> Self {
        Self::with(Config { log_tail_entries, ..Config::default() }).await
    }

    /// Starts three nodes with one data partition and some settings.
    pub(crate) async fn with(config: Config) -> Self {
        let members = IDS.map(|id| (id, format!("node-{id}"))).into();
        let config = Config { partitions: 1, members, checkpoint_ms: 4, ..config };
        let disks = IDS.map(|id| (id, Disks::in_memory())).into();
        let mut cluster = Self { network: LocalNetwork::new(), nodes: BTreeMap::new(), disks, config };
        for id in IDS {
            cluster.boot(id).await;
        }
        cluster
    }

    /// Starts a node on the disks it had before.
    pub(crate) async fn boot(&mut self, id: u64) {
        let config = Config { node: id, ..self.config.clone() };
        let node = Node::start(config, &self.disks[&id], self.network.transport(id)).await;
        self.network.join(id, node.consensus.receiver());
        self.nodes.insert(id, node);
    }

    /// Ends a node without a last checkpoint.
    pub(crate) async fn crash(&mut self, id: u64) {
        self.network.leave(id);
        self.nodes.remove(&id).expect("it runs").crash().await;
    }

    /// Gives a node that does not run an empty disk under its old name.
    pub(crate) fn wipe(&mut self, id: u64) {
        self.disks.insert(id, Disks::in_memory());
    }

    /// Waits until one of `among` leads, and a majority can follow it.
    pub(crate) async fn leader(&self, among: &[u64]) -> (u64, Epoch) {
        let found = async {
            loop {
                for id in among {
                    let leadership = *self.nodes[id].handle.leadership(PARTITION).borrow();
                    if let Leadership::Leading { epoch } = leadership
                        && self.nodes[id].handle.linearize(PARTITION).await.is_ok()
                    {
                        return (*id, epoch);
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("somebody leads in time")
    }

    /// Appends through whoever of `among` leads, again if leadership is lost on the way.
    pub(crate) async fn append(&self, among: &[u64], append: Append) {
        loop {
            let (id, epoch) = self.leader(among).await;
            match self.nodes[&id].handle.append(PARTITION, decided(epoch), append.clone(), None).await {
                Ok(Ok(_)) => return,
                // An earlier try was recorded after all.
                Ok(Err(everstep::consensus::Conflict::Version { current })) if current > append.expected => {
                    return;
                }
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }

    /// Waits until a node has as many unfinished executions as expected.
    pub(crate) async fn caught_up(&self, id: u64, live: usize) {
        let machine = self.nodes[&id].handle.machine(PARTITION).clone();
        let arrived = async {
            while machine.counts().live != live {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let counts = || machine.counts();
        tokio::time::timeout(PATIENCE, arrived)
            .await
            .unwrap_or_else(|_| panic!("node {id} has {:?} instead of {live} live ones", counts()));
    }

    pub(crate) async fn stop(self) {
        for (_, node) in self.nodes {
            node.stop().await;
        }
    }
}

/// All nodes but one.
pub(crate) fn others(id: u64) -> Vec<u64> {
    IDS.into_iter().filter(|other| *other != id).collect()
}
