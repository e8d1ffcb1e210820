//! The first words on a connection.

use std::io;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::storage::{self, Marks, codec};

use super::super::Unanswered;
use super::acquaintances::{Acquaintances, Dismissal, Incarnation, Introduction, Known, Refusal};
use super::frame::{Frame, Kind};

const HELLO: codec::Kind = codec::Kind(0x2b);
const WELCOME: codec::Kind = codec::Kind(0x2c);
const DISMISSED: codec::Kind = codec::Kind(0x2d);
const VERSION: u16 = 2;

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
    /// The latest marks of its disk.
    pub marks: Marks,
    /// One of them was made at this start. Without it the node could not be told from a copy of itself.
    pub marked: bool,
    /// The node has a place in the cluster. Before that it waits for the others, or asks to join.
    pub formed: bool,
}

impl Me {
    /// The cluster's name as requests carry it.
    pub(super) fn cluster_hash(&self) -> u64 {
        let digest = Sha256::digest(self.cluster.as_bytes());
        u64::from_le_bytes(digest[..8].try_into().expect("a digest is longer"))
    }

    pub(super) fn introduction(&self) -> Introduction {
        Introduction { node: self.node, incarnation: self.incarnation, marks: self.marks.clone() }
    }
}

/// What the other end says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Who it is.
    pub who: Introduction,
    /// It has a place in the cluster.
    pub formed: bool,
    /// What it knows of the disk of whoever asked.
    pub known: Known,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Hello {
    cluster: String,
    who: Introduction,
    partitions: u16,
    /// Whom the caller means; nobody in particular if 0.
    to: u64,
    lease_ms: u64,
}

/// Introduces this node on a connection it dialled. `to` is 0 if whoever answers is welcome.
pub(super) async fn introduce(
    me: &Me,
    known: &Acquaintances,
    to: u64,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<Welcome, Unanswered> {
    let lost = |error: io::Error| Unanswered::Unreachable(error.to_string());
    let garbled = |error: storage::Error| Unanswered::Unreachable(error.to_string());
    let hello = Hello {
        cluster: me.cluster.clone(),
        who: me.introduction(),
        partitions: me.partitions,
        to,
        lease_ms: me.lease_ms,
    };
    Frame::new(Kind::Hello, 0, codec::encode(HELLO, VERSION, &hello)).write(stream).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    let answer = Frame::read(stream).await.map_err(lost)?;
    let answer = answer.ok_or_else(|| Unanswered::Unreachable("it hung up at once".to_owned()))?;
    match answer.kind {
        Kind::Welcome => {
            let (_, welcome): (_, Welcome) = codec::decode(WELCOME, &answer.body).map_err(garbled)?;
            known.check(&welcome.who).map_err(|why| Unanswered::Unreachable(why.to_string()))?;
            Ok(welcome)
        }
        Kind::Refused => Err(Unanswered::Refused(String::from_utf8_lossy(&answer.body).into_owned())),
        Kind::Failure => Err(Unanswered::Unreachable(String::from_utf8_lossy(&answer.body).into_owned())),
        Kind::Dismissed => {
            let (_, (from, why)): (_, (Introduction, Dismissal)) =
                codec::decode(DISMISSED, &answer.body).map_err(garbled)?;
            known.heed(&from, why);
            Err(Unanswered::Refused(why.to_string()))
        }
        Kind::Hello | Kind::Request | Kind::Answer | Kind::Ping | Kind::Pong => {
            Err(Unanswered::Unreachable("it does not speak this protocol".to_owned()))
        }
    }
}

/// Whom `receive` has heard.
#[derive(Debug)]
pub(super) enum Heard {
    /// It may ask.
    Welcome(Introduction),
    /// It was told that it may not.
    Refused { node: u64, why: String },
    /// It hung up at once, or has to ask again.
    Nothing,
}

/// Hears whoever dialled, and welcomes or refuses it. `named` tells whether its certificate is for a node.
pub(super) async fn receive(
    me: &Me,
    known: &Acquaintances,
    named: impl Fn(u64) -> bool,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<Heard> {
    let Some(frame) = Frame::read(stream).await? else { return Ok(Heard::Nothing) };
    if frame.kind != Kind::Hello {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a connection begins with a hello"));
    }
    let (_, hello): (_, Hello) = codec::decode(HELLO, &frame.body).map_err(io::Error::other)?;
    let judged = judge(me, known, named, &hello);
    let answer = match &judged {
        Ok(known) => {
            let welcome = Welcome { who: me.introduction(), formed: me.formed, known: *known };
            Frame::new(Kind::Welcome, 0, codec::encode(WELCOME, VERSION, &welcome))
        }
        Err(Refusal::ForGood(why)) => {
            Frame::new(Kind::Dismissed, 0, codec::encode(DISMISSED, VERSION, &(me.introduction(), why)))
        }
        Err(Refusal::ForNow(why)) => Frame::new(Kind::Refused, 0, why.clone().into_bytes()),
        Err(Refusal::Later(why)) => Frame::new(Kind::Failure, 0, why.clone().into_bytes()),
    };
    answer.write(stream).await?;
    stream.flush().await?;
    Ok(match judged {
        Ok(_) => Heard::Welcome(hello.who),
        Err(Refusal::Later(_)) => Heard::Nothing,
        Err(why) => Heard::Refused { node: hello.who.node, why: why.to_string() },
    })
}

fn judge(
    me: &Me,
    known: &Acquaintances,
    named: impl Fn(u64) -> bool,
    hello: &Hello,
) -> Result<Known, Refusal> {
    let refuse = |why: String| Err(Refusal::ForNow(why));
    let node = hello.who.node;
    if hello.cluster != me.cluster {
        return refuse(format!("this is cluster `{}`, not `{}`", me.cluster, hello.cluster));
    }
    if hello.to != 0 && hello.to != me.node {
        return refuse(format!("this is node {}, not node {}", me.node, hello.to));
    }
    if hello.partitions != me.partitions {
        return refuse(format!(
            "this cluster has {} data partitions, not {}; raft.partitions has to be the same on all nodes",
            me.partitions, hello.partitions
        ));
    }
    if hello.lease_ms != me.lease_ms {
        // One would elect while the other still relies on its lease.
        return refuse(format!(
            "raft.election_max_ms is {} here, not {}; it has to be the same on all nodes: stop them all to change it",
            me.lease_ms, hello.lease_ms
        ));
    }
    if node == me.node && hello.who.incarnation != me.incarnation {
        return refuse(format!("this is node {node} already; each node has its own id"));
    }
    if !named(node) {
        return refuse(format!("the certificate is not for node {node}"));
    }
    if me.formed && !me.marked {
        return Err(Refusal::Later(format!("node {} is starting", me.node)));
    }
    let known_as = known.check(&hello.who)?;
    known.check_twin(&hello.who).map_err(Refusal::Later)?;
    Ok(known_as)
}
