//! The first words on a connection.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::storage::codec;

use super::super::Unanswered;
use super::frame::{Frame, Kind};

const HELLO: codec::Kind = codec::Kind(0x2b);
const WELCOME: codec::Kind = codec::Kind(0x2c);
const VERSION: u16 = 1;

/// Which disk a node works on: drawn when its data directory is made, and gone with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Incarnation(pub u128);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Who this node is.
#[derive(Debug, Clone)]
pub struct Me {
    /// The name of the cluster.
    pub cluster: String,
    /// The node's id.
    pub node: u64,
    /// How many data partitions it was told there are.
    pub partitions: u16,
    /// How long a leader that was answered may rely on it, in milliseconds: `raft.election_max_ms`.
    pub lease_ms: u64,
    /// Its disk.
    pub incarnation: Incarnation,
    /// The node has a place in the cluster. Before that it waits for the others, or asks to join.
    pub formed: bool,
}

impl Me {
    /// The cluster's name as requests carry it.
    pub(super) fn cluster_hash(&self) -> u64 {
        let digest = Sha256::digest(self.cluster.as_bytes());
        u64::from_le_bytes(digest[..8].try_into().expect("a digest is longer"))
    }
}

/// What a node knows of another one's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Known {
    /// Never heard of it.
    Stranger,
    /// The one it always had.
    Same,
}

/// What the other end says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Its id.
    pub node: u64,
    /// Its disk.
    pub incarnation: Incarnation,
    /// It has a place in the cluster.
    pub formed: bool,
    /// What it knows of the disk of whoever asked.
    pub known: Known,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) cluster: String,
    pub(super) node: u64,
    pub(super) partitions: u16,
    pub(super) incarnation: Incarnation,
    /// Whom the caller means; nobody in particular if 0.
    pub(super) to: u64,
    pub(super) lease_ms: u64,
}

/// The nodes this node knows: their disks, and who is gone for good. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Acquaintances(Arc<RwLock<Nodes>>);

#[derive(Debug, Default)]
struct Nodes {
    disks: BTreeMap<u64, Incarnation>,
    removed: BTreeSet<u64>,
}

impl Acquaintances {
    pub(super) fn set(&self, all: BTreeMap<u64, Incarnation>) {
        self.write().disks = all;
    }

    pub(super) fn learn(&self, more: BTreeMap<u64, Incarnation>) {
        self.write().disks.extend(more);
    }

    pub(super) fn expel(&self, removed: BTreeSet<u64>) {
        self.write().removed = removed;
    }

    /// Error: the node was removed.
    pub(super) fn admit(&self, node: u64) -> Result<(), String> {
        if self.read().removed.contains(&node) {
            return Err(format!("node {node} was removed from this cluster; it has to join under a new id"));
        }
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Nodes> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Nodes> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a node's disk. Error: it is another one than it was.
    fn check(&self, node: u64, incarnation: Incarnation) -> Result<Known, String> {
        match self.read().disks.get(&node) {
            None => Ok(Known::Stranger),
            Some(known) if *known == incarnation => Ok(Known::Same),
            Some(_) => Err(format!(
                "node {node} has another disk than it had: it has lost what it acknowledged and has to join under a new id"
            )),
        }
    }
}

/// Introduces this node on a connection it dialled. `to` is 0 if whoever answers is welcome.
pub(super) async fn introduce(
    me: &Me,
    known: &Acquaintances,
    to: u64,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<Welcome, Unanswered> {
    let lost = |error: io::Error| Unanswered::Unreachable(error.to_string());
    let hello = Hello {
        cluster: me.cluster.clone(),
        node: me.node,
        partitions: me.partitions,
        incarnation: me.incarnation,
        to,
        lease_ms: me.lease_ms,
    };
    Frame::new(Kind::Hello, 0, codec::encode(HELLO, VERSION, &hello)).write(stream).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    let answer = Frame::read(stream).await.map_err(lost)?;
    let answer = answer.ok_or_else(|| Unanswered::Unreachable("it hung up at once".to_owned()))?;
    match answer.kind {
        Kind::Welcome => {
            let (_, welcome): (_, Welcome) = codec::decode(WELCOME, &answer.body)
                .map_err(|error| Unanswered::Unreachable(error.to_string()))?;
            known.check(welcome.node, welcome.incarnation).map_err(Unanswered::Unreachable)?;
            Ok(welcome)
        }
        Kind::Refused => Err(Unanswered::Refused(String::from_utf8_lossy(&answer.body).into_owned())),
        Kind::Hello | Kind::Request | Kind::Answer | Kind::Failure | Kind::Ping | Kind::Pong => {
            Err(Unanswered::Unreachable("it does not speak this protocol".to_owned()))
        }
    }
}

/// Hears whoever dialled, and welcomes or refuses it. `named` tells whether its certificate is for a node.
pub(super) async fn receive(
    me: &Me,
    known: &Acquaintances,
    named: impl Fn(u64) -> bool,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<Option<u64>> {
    let Some(frame) = Frame::read(stream).await? else { return Ok(None) };
    if frame.kind != Kind::Hello {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a connection begins with a hello"));
    }
    let (_, hello): (_, Hello) = codec::decode(HELLO, &frame.body).map_err(io::Error::other)?;
    match judge(me, known, named, &hello) {
        Ok(known) => {
            let welcome = Welcome { node: me.node, incarnation: me.incarnation, formed: me.formed, known };
            Frame::new(Kind::Welcome, 0, codec::encode(WELCOME, VERSION, &welcome)).write(stream).await?;
            stream.flush().await?;
            Ok(Some(hello.node))
        }
        Err(why) => {
            tracing::warn!(node = hello.node, %why, "a connection was refused");
            Frame::new(Kind::Refused, 0, why.into_bytes()).write(stream).await?;
            stream.flush().await?;
            Ok(None)
        }
    }
}

fn judge(
    me: &Me,
    known: &Acquaintances,
    named: impl Fn(u64) -> bool,
    hello: &Hello,
) -> Result<Known, String> {
    if hello.cluster != me.cluster {
        return Err(format!("this is cluster `{}`, not `{}`", me.cluster, hello.cluster));
    }
    if hello.to != 0 && hello.to != me.node {
        return Err(format!("this is node {}, not node {}", me.node, hello.to));
    }
    if hello.partitions != me.partitions {
        return Err(format!(
            "this cluster has {} data partitions, not {}; raft.partitions has to be the same on all nodes",
            me.partitions, hello.partitions
        ));
    }
    if hello.lease_ms != me.lease_ms {
        // One would elect while the other still relies on its lease.
        return Err(format!(
            "raft.election_max_ms is {} here, not {}; it has to be the same on all nodes: stop them all to change it",
            me.lease_ms, hello.lease_ms
        ));
    }
    if hello.node == me.node && hello.incarnation != me.incarnation {
        return Err(format!("this is node {} already; each node has its own id", me.node));
    }
    if !named(hello.node) {
        return Err(format!("the certificate is not for node {}", hello.node));
    }
    known.admit(hello.node)?;
    known.check(hello.node, hello.incarnation)
}
