//! How a node finds its place in a cluster.
//!
//! A new cluster begins when all nodes its settings name have met: each says hello to each of the others and learns
//! the incarnation of its disk. From then on a node that comes with another disk is refused. A node with an empty
//! disk that finds the others formed without it has lost what it acknowledged, and does not start. Alone only node 1
//! begins a cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::actors::{self, Roster};
use crate::consensus::Unanswered;
use crate::consensus::peer::{Disk, Incarnation, Known, Me, Peers};
use crate::storage::{DataDir, Identity, Marks};
use crate::world::Entropy;

use super::error::Error;
use super::settings::{ClusterSettings, Settings};

/// Between two hellos to a node that did not answer.
const AGAIN: Duration = Duration::from_millis(200);
/// Between two words about whom the node waits for.
const SAY_AGAIN: Duration = Duration::from_secs(5);

/// Who the data directory belongs to; taken now if nobody has it.
pub(super) fn identify(
    settings: &Settings,
    disk: &DataDir,
    entropy: &dyn Entropy,
) -> Result<Identity, Error> {
    let cluster = &settings.cluster;
    // A node that joins may be given its id.
    let node = if cluster.node == 0 && cluster.join.is_empty() { 1 } else { cluster.node };
    let wanted = |incarnation| Identity {
        cluster: cluster.name.clone(),
        node,
        partitions: settings.raft.partitions,
        incarnation,
        formed: false,
        members: BTreeMap::new(),
        marks: Marks::default(),
        boot: 0,
        lost: None,
    };
    let Some(found) = disk.identity()? else {
        let identity = wanted(Incarnation(entropy.bits()).to_string());
        disk.keep_identity(&identity)?;
        return Ok(identity);
    };
    if let Some(what) = found.lost {
        return Err(Error::RefusedForGood { path: disk.path.clone(), what });
    }
    let differs = |what: &'static str, here: String, there: String| {
        Err(Error::OtherIdentity { path: disk.path.clone(), what, here, there })
    };
    if found.cluster != cluster.name {
        return differs("cluster.name", cluster.name.clone(), found.cluster);
    }
    if cluster.node != 0 && found.node != cluster.node && found.node != 0 {
        return differs("cluster.node", cluster.node.to_string(), found.node.to_string());
    }
    if found.partitions != settings.raft.partitions {
        return differs(
            "raft.partitions",
            settings.raft.partitions.to_string(),
            found.partitions.to_string(),
        );
    }
    Ok(found)
}

/// What other nodes are told of this one.
pub(super) fn me(identity: &Identity, lease_ms: u64) -> Result<Me, Error> {
    Ok(Me {
        cluster: identity.cluster.clone(),
        node: identity.node,
        partitions: identity.partitions,
        lease_ms,
        incarnation: incarnation(&identity.incarnation)?,
        marks: identity.marks.clone(),
        marked: false,
        formed: identity.formed,
    })
}

fn incarnation(text: &str) -> Result<Incarnation, Error> {
    let damaged = || Error::Identity(format!("`{text}` is no incarnation"));
    u128::from_str_radix(text, 16).map(Incarnation).map_err(|_| damaged())
}

/// The disks of the nodes this one formed the cluster with.
pub(super) fn known(identity: &Identity) -> Result<BTreeMap<u64, Disk>, Error> {
    let disk = |text| incarnation(text).map(|incarnation| Disk { incarnation, ..Disk::default() });
    identity.members.iter().map(|(node, text)| Ok((*node, disk(text)?))).collect()
}

/// Finds the node's place, unless it has one: it joins the cluster the settings name, or meets all nodes of a new
/// one. Waits for them as long as it takes.
pub(super) async fn form(
    peers: &Peers,
    identity: &mut Identity,
    cluster: &ClusterSettings,
    roster: &Roster,
    disk: &DataDir,
) -> Result<(), Error> {
    if identity.formed && !cluster.join.is_empty() && identity.members.len() == 1 {
        // It founded a cluster alone, which may have grown since: only its operator knows.
        let address = &cluster.join;
        tracing::warn!(
            address,
            "this directory began a cluster by itself and belongs to it; to join another one a node needs an empty directory"
        );
    }
    if !identity.formed && !cluster.join.is_empty() {
        identity.node = join(peers, &cluster.join, roster).await?;
        identity.formed = true;
        disk.keep_identity(identity)?;
    }
    if !identity.formed {
        let members = &cluster.addresses();
        // One that joined once and lost its disk would else be taken for the only node there is.
        if members.is_empty() && identity.node > 1 {
            return Err(Error::Alone { node: identity.node });
        }
        let mut met = BTreeMap::from([(identity.node, identity.incarnation.clone())]);
        let mut said = Instant::now();
        while met.len() < members.len().max(1) {
            for (node, address) in members {
                if met.contains_key(node) {
                    continue;
                }
                if let Some(incarnation) = meet(peers, *node, address).await? {
                    met.insert(*node, incarnation.to_string());
                }
            }
            if met.len() < members.len() {
                if said.elapsed() >= SAY_AGAIN {
                    said = Instant::now();
                    let missing: Vec<_> = members.keys().filter(|node| !met.contains_key(node)).collect();
                    tracing::warn!(?missing, "waiting for the other nodes of a new cluster");
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
        identity.members = met;
        identity.formed = true;
        disk.keep_identity(identity)?;
    }
    peers.set_known(known(identity)?);
    peers.form(identity.node);
    Ok(())
}

/// Asks for a place until somebody decides.
async fn join(peers: &Peers, address: &str, roster: &Roster) -> Result<u64, Error> {
    let mut said = None;
    loop {
        match actors::join(peers, address, roster).await {
            Ok(Ok(node)) => {
                tracing::info!(node = node.id, address, "joined");
                return Ok(node.id);
            }
            Ok(Err(why)) => return Err(Error::NotTaken { address: address.to_owned(), why }),
            Err(error) => {
                if said.is_none_or(|at: Instant| at.elapsed() >= SAY_AGAIN) {
                    said = Some(Instant::now());
                    tracing::warn!(address, %error, "not joined yet");
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Says hello to a node. None if it does not answer yet.
async fn meet(peers: &Peers, node: u64, address: &str) -> Result<Option<Incarnation>, Error> {
    match peers.probe(address, node).await {
        Ok(welcome) if welcome.formed && welcome.known == Known::Stranger => {
            let me = peers.me().node;
            Err(Error::Forgotten { node: me, other: node })
        }
        Ok(welcome) => Ok(Some(welcome.who.incarnation)),
        Err(Unanswered::Refused(why)) => Err(Error::Refused { node, address: address.to_owned(), why }),
        Err(why) => {
            tracing::debug!(node, address, %why, "not there yet");
            Ok(None)
        }
    }
}
