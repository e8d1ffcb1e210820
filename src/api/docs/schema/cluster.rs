//! The cluster, as it is answered.
#![expect(dead_code, reason = "describes what `shape` writes by hand")]

use std::collections::BTreeMap;

use serde::Deserialize;
use utoipa::ToSchema;

/// What a node is in the cluster.
#[derive(Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum NodeStatus {
    /// Its id is kept for it; it has not come yet.
    Reserved,
    /// It holds partitions.
    Active,
    /// Its leaderships and votes move elsewhere.
    Draining,
    /// It is gone for good.
    Removed,
}

/// A node of the cluster.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Node {
    /// From 1; never given to another node.
    #[schema(minimum = 1)]
    pub(in crate::api) id: u64,
    /// Where other nodes reach it, as address and port; null if it has not come yet or is alone.
    #[schema(required)]
    peer: Option<String>,
    /// Where users reach it, as an URL; null if it has not come yet.
    #[schema(required)]
    public: Option<String>,
    pub(in crate::api) status: NodeStatus,
    /// When it got its id.
    #[schema(format = DateTime)]
    added_at: String,
    /// How often it was started, as far as the cluster knows.
    starts: u64,
}

/// Why a node should not lead.
#[derive(Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum UnfitReason {
    /// Its disk is full.
    DiskFull,
    /// Its commits take longer than half a second.
    DiskSlow,
    /// Its clock is more than half a second from the median of all.
    ClockOff,
    /// It reaches the others, and half of the cluster or more cannot call it.
    CutOff,
    /// Its disk is nearly full: where it leads no new executions are taken.
    DiskScarce,
}

/// A node of the cluster, and how it stands.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ClusterNode {
    /// From 1; never given to another node.
    #[schema(minimum = 1)]
    pub(in crate::api) id: u64,
    /// Where other nodes reach it, as address and port; null if it has not come yet or is alone.
    #[schema(required)]
    peer: Option<String>,
    /// Where users reach it, as an URL; null if it has not come yet.
    #[schema(required)]
    public: Option<String>,
    status: NodeStatus,
    /// When it got its id.
    #[schema(format = DateTime)]
    added_at: String,
    /// How often it was started, as far as the cluster knows.
    starts: u64,
    /// It answers the node that was asked.
    pub(in crate::api) reachable: bool,
    /// Why it does not; null if it does.
    #[schema(required)]
    unreachable_reason: Option<String>,
    /// How many partitions it leads.
    pub(in crate::api) leads: u64,
    /// How many partitions it has a vote in.
    pub(in crate::api) votes: u64,
    /// Why it should not lead; empty if it may, or does not answer.
    unfit: Vec<UnfitReason>,
    /// How far its clock is ahead of the asked node's, give or take the time of an answer; null if it is not known.
    #[schema(required)]
    clock_ahead_ms: Option<i64>,
}

/// Who holds a partition. Its leader tells; without one, the node that was asked tells what it has.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ClusterPartition {
    /// 0 is the catalogue.
    partition: u16,
    /// The node that leads it; null if none is known.
    #[schema(required)]
    pub(in crate::api) leader: Option<u64>,
    /// The fence of this leadership, which grows with each; 0 if its leader did not answer.
    epoch: u64,
    /// The nodes that vote.
    pub(in crate::api) voters: Vec<u64>,
    /// The nodes that follow without a vote.
    learners: Vec<u64>,
    /// A change of the voters is under way.
    changing: bool,
    /// The last entry of its log, counted from 1; 0 for an empty one.
    last: u64,
    /// The last entry that is applied.
    applied: u64,
    /// How many entries each node lacks, by its id. Empty unless the leader told.
    behind: BTreeMap<String, u64>,
}

/// The cluster, as the node that was asked sees it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Cluster {
    pub(in crate::api) name: String,
    /// The node that was asked.
    pub(in crate::api) node: u64,
    /// How many replicas each partition is to have, if there are as many active nodes: `cluster.replicas` of that node.
    replicas: u64,
    /// By id; those that were removed are left out.
    pub(in crate::api) nodes: Vec<ClusterNode>,
    /// By number.
    pub(in crate::api) partitions: Vec<ClusterPartition>,
}
