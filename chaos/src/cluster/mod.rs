//! Several nodes: real processes of the binary, with the network between them in our hands.
//!
//! Nodes come and go: a node whose disk is lost never comes back under its id, and another takes its place. What the
//! cluster is, it says itself, over HTTP; here is only what an operator knows: which processes he started, where.

mod disk;
mod node;
mod standing;

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use crate::door::{Door, Reply};
use crate::net::{Net, Place};
use crate::ports::Ports;
pub(crate) use disk::why_not as why_no_disks;
use node::{Addresses, Entry};
pub(crate) use node::{Node, POLL};
pub(crate) use standing::{Group, Standing};

/// What all nodes stand on.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    pub(crate) binary: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) net: Net,
    pub(crate) ports: Arc<Ports>,
    pub(crate) partitions: u16,
    /// A kill may take with it what was not synced.
    pub(crate) power_loss: bool,
    /// Proxies stand between the nodes.
    pub(crate) proxied: bool,
    /// Mebibytes of each node's own file system; 0 for none.
    pub(crate) disk_mib: u64,
    /// How many nodes hold each partition, if there are as many.
    pub(crate) replicas: usize,
    /// The library that moves clocks, if there is one.
    pub(crate) clock: Option<PathBuf>,
    /// The library that makes disks fail, if there is one.
    pub(crate) eio: Option<PathBuf>,
    /// What nodes log, as a filter.
    pub(crate) log: String,
}

/// Where clients may knock. Those of nodes that are down stay in it: clients do not know.
pub(crate) type Doors = Arc<RwLock<Vec<Door>>>;

/// All nodes that were started and are not removed.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) ground: Ground,
    pub(crate) nodes: Vec<Node>,
    pub(crate) doors: Doors,
    places: Place,
}

impl Cluster {
    /// Makes a cluster of so many nodes and waits until all are ready.
    pub(crate) async fn found(ground: Ground, nodes: u64) -> Result<Self> {
        let mut cluster = Self { ground, nodes: Vec::new(), doors: Doors::default(), places: 0 };
        let mut all = Vec::new();
        for id in 1..=nodes {
            all.push((id, cluster.settle().await?));
        }
        let members: Vec<_> = all.iter().map(|(id, (_, addresses))| (*id, addresses.front)).collect();
        for (id, (place, addresses)) in all {
            let entry = Entry::Founds(members.clone());
            cluster.nodes.push(Node::new(&cluster.ground, place, id, addresses, &entry)?);
        }
        cluster.nodes.iter_mut().try_for_each(Node::start)?;
        for node in &mut cluster.nodes {
            node.ready().await?;
        }
        cluster.open_doors();
        Ok(cluster)
    }

    /// Gives a node to come its place and its ports.
    async fn settle(&mut self) -> Result<(Place, Addresses)> {
        self.places += 1;
        let ports = &self.ground.ports;
        let (mut public, mut peer) = (ports.take()?, ports.take()?);
        if let Some(wire) = self.ground.net.wire() {
            wire.host(self.places)?;
            let address = wire.address(self.places)?.into();
            public.set_ip(address);
            peer.set_ip(address);
        }
        let mut addresses = Addresses { public, peer, front: peer };
        if self.ground.proxied {
            addresses.front = ports.take()?;
            self.ground.net.serve(self.places, addresses.front, peer).await?;
        }
        Ok((self.places, addresses))
    }

    /// Starts one more node, under an id that the cluster has given out; its id. It is not waited for.
    pub(crate) async fn add(&mut self) -> Result<u64> {
        let reserved =
            self.ask(|door| async move { door.post("/api/cluster/nodes", &serde_json::json!({})).await });
        let id = reserved.await?["id"].as_u64().context("a reserved node has an id")?;
        let host = self.nodes.iter().find(|node| node.runs()).context("some node runs")?;
        let entry = Entry::Joins(host.addresses.front);
        let (place, addresses) = self.settle().await?;
        let mut node = Node::new(&self.ground, place, id, addresses, &entry)?;
        node.start()?;
        self.nodes.push(node);
        Ok(id)
    }

    /// Nobody knows this node any more. Its directory stays.
    pub(crate) fn forget(&mut self, id: u64) {
        self.nodes.retain(|node| node.id != id);
        self.open_doors();
    }

    /// Tells the clients which nodes there are.
    pub(crate) fn open_doors(&self) {
        let doors = self.nodes.iter().map(|node| node.door.clone()).collect();
        *self.doors.write().expect("nothing panics with the lock") = doors;
    }

    pub(crate) fn node(&mut self, id: u64) -> Result<&mut Node> {
        self.nodes.iter_mut().find(|node| node.id == id).with_context(|| format!("there is no node {id}"))
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        self.nodes.iter().map(|node| node.id).collect()
    }

    /// Asks running nodes in turn until one answers, for 30 s at most.
    pub(crate) async fn ask<F: Future<Output = Reply>>(
        &self,
        question: impl Fn(Door) -> F,
    ) -> Result<serde_json::Value> {
        const PATIENCE: Duration = Duration::from_secs(30);
        let began = Instant::now();
        let mut last = None;
        while began.elapsed() < PATIENCE {
            for node in self.nodes.iter().filter(|node| node.runs()) {
                match question(node.door.clone()).await {
                    Reply::Done(answer) => return Ok(answer),
                    other => last = Some(other),
                }
            }
            sleep(POLL).await;
        }
        anyhow::bail!("nobody answers: {last:?}")
    }

    /// The cluster as its nodes see it.
    pub(crate) async fn standing(&self) -> Result<Standing> {
        Standing::read(&self.ask(|door| async move { door.get("/api/cluster").await }).await?)
    }

    /// Waits until the cluster stands as it is wanted.
    pub(crate) async fn until(
        &self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Standing) -> bool,
    ) -> Result<Duration> {
        let began = Instant::now();
        loop {
            let standing = self.standing().await?;
            if wanted(&standing) {
                return Ok(began.elapsed());
            }
            ensure!(began.elapsed() < limit, "{what}: not within {limit:?}; the cluster: {standing:?}");
            sleep(POLL * 5).await;
        }
    }

    /// Stops all nodes as an operator would, one after the other; what is wrong with how they ended.
    pub(crate) async fn stop(&mut self) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        for node in &mut self.nodes {
            let status = node.stop().await?;
            if !status.success() {
                wrong.push(format!("node {} stopped with {status}", node.id));
            }
            if let Some(damage) = node.verify().await? {
                wrong.push(format!("verify says of node {}: {damage}", node.id));
            }
        }
        Ok(wrong)
    }
}

impl Cluster {
    /// Copies what is on disks that are gone with this process to the directory of the run.
    pub(crate) fn keep_disks(&mut self) -> Result<()> {
        if self.ground.disk_mib == 0 {
            return Ok(());
        }
        for node in &self.nodes {
            let kept = std::process::Command::new("cp")
                .arg("-a")
                .arg(node.data())
                .arg(node.dir.join("kept"))
                .status();
            ensure!(kept?.success(), "keep the disk of node {}", node.id);
        }
        Ok(())
    }
}

/// Every log of every node that ever was, below `dir`, but of those whose files were damaged: the database panics on some
/// damage, which the node catches, and says that it cannot start.
pub(crate) fn logs(dir: &Path) -> Result<Vec<PathBuf>> {
    let nodes = std::fs::read_dir(dir)?.collect::<std::io::Result<Vec<_>>>()?;
    let whole = nodes.iter().map(std::fs::DirEntry::path).filter(|node| !node.join(node::DAMAGED).exists());
    Ok(whole.map(|node| node.join("node.log")).filter(|log| log.exists()).collect())
}
