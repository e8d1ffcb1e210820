//! The cluster as the server shows it, and its endpoints.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Result;
use crate::client::Client;

/// A node of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Node {
    /// From 1; never given to another node.
    pub id: u64,
    /// Where other nodes reach it, as address and port; none if it has not come yet or is alone.
    pub peer: Option<String>,
    /// Where users reach it, as an URL; none if it has not come yet.
    pub public: Option<String>,
    /// `reserved`, `active`, `draining` or `removed`.
    pub status: String,
    /// When it got its id, RFC 3339.
    pub added_at: String,
    /// How often it was started, as far as the cluster knows.
    pub starts: u64,
    /// What this version of the client does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A node of the cluster, and how it stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ClusterNode {
    /// From 1; never given to another node.
    pub id: u64,
    /// Where other nodes reach it, as address and port; none if it has not come yet or is alone.
    pub peer: Option<String>,
    /// Where users reach it, as an URL; none if it has not come yet.
    pub public: Option<String>,
    /// `reserved`, `active` or `draining`.
    pub status: String,
    /// When it got its id, RFC 3339.
    pub added_at: String,
    /// How often it was started, as far as the cluster knows.
    pub starts: u64,
    /// It answers the node that was asked.
    pub reachable: bool,
    /// Why it does not, if it does not.
    pub unreachable_reason: Option<String>,
    /// How many partitions it leads.
    pub leads: u64,
    /// How many partitions it has a vote in.
    pub votes: u64,
    /// Why it should not lead: `disk_full`, `disk_slow`, `clock_off`, `cut_off`, `disk_scarce`.
    pub unfit: Vec<String>,
    /// How far its clock is ahead of the asked node's, if that is known.
    pub clock_ahead_ms: Option<i64>,
    /// What this version of the client does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Who holds a partition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ClusterPartition {
    /// 0 is the catalogue.
    pub partition: u16,
    /// The node that leads it, if one is known.
    pub leader: Option<u64>,
    /// The fence of this leadership; 0 if its leader did not answer.
    pub epoch: u64,
    /// The nodes that vote.
    pub voters: Vec<u64>,
    /// The nodes that follow without a vote.
    pub learners: Vec<u64>,
    /// A change of the voters is under way.
    pub changing: bool,
    /// The last entry of its log, counted from 1.
    pub last: u64,
    /// The last entry that is applied.
    pub applied: u64,
    /// How many entries each node lacks, by its id. Empty unless the leader told.
    pub behind: BTreeMap<u64, u64>,
    /// What this version of the client does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The cluster, as the node that was asked sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ClusterStatus {
    /// Its name.
    pub name: String,
    /// The node that was asked.
    pub node: u64,
    /// How many replicas each partition is to have, if there are as many active nodes.
    pub replicas: u64,
    /// By id; those that were removed are left out.
    pub nodes: Vec<ClusterNode>,
    /// By number.
    pub partitions: Vec<ClusterPartition>,
    /// What this version of the client does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The endpoints of the cluster; from [`Client::cluster`].
#[derive(Debug, Clone, Copy)]
pub struct Cluster<'a> {
    pub(crate) client: &'a Client,
}

impl Cluster<'_> {
    /// The nodes, and who holds what.
    pub async fn status(&self) -> Result<ClusterStatus> {
        self.client.get(&["api", "cluster"]).send().await
    }

    /// Keeps an id for a node that will come. Not repeated when its outcome is unknown: each call keeps another one.
    pub async fn reserve_node(&self) -> Result<Node> {
        self.client.call(Method::POST, &["api", "cluster", "nodes"]).send().await
    }

    /// Moves everything off a node. Answers at once; [`Cluster::status`] shows how far it is.
    pub async fn drain_node(&self, id: u64) -> Result<Node> {
        self.act(id, "drain").await
    }

    /// Lets a node that drains, or has drained, hold partitions again.
    pub async fn undrain_node(&self, id: u64) -> Result<Node> {
        self.act(id, "undrain").await
    }

    /// Removes a node for good.
    ///
    /// Errors: a problem `node_still_votes` while it votes and answers, unless `force`.
    pub async fn remove_node(&self, id: u64, force: bool) -> Result<Node> {
        let call = self.client.call(Method::DELETE, &["api", "cluster", "nodes", &id.to_string()]);
        call.query("force", force.then_some("true")).send().await
    }

    async fn act(&self, id: u64, action: &str) -> Result<Node> {
        let path = ["api", "cluster", "nodes", &id.to_string(), action];
        self.client.call(Method::POST, &path).send().await
    }
}
