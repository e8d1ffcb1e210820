//! What `GET /api/cluster` says.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

/// The cluster as a node sees it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Standing {
    pub(crate) nodes: Vec<Member>,
    pub(crate) partitions: Vec<Group>,
}

/// One node of it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Member {
    pub(crate) id: u64,
    pub(crate) starts: u64,
    pub(crate) reachable: bool,
    pub(crate) leads: usize,
    pub(crate) votes: usize,
}

/// One partition.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Group {
    pub(crate) leader: Option<u64>,
    pub(crate) voters: Vec<u64>,
    pub(crate) changing: bool,
    pub(crate) behind: BTreeMap<String, u64>,
}

impl Standing {
    pub(crate) fn read(answer: &Value) -> Result<Self> {
        Self::deserialize(answer).with_context(|| format!("read how the cluster stands: {answer}"))
    }

    pub(crate) fn member(&self, id: u64) -> Option<&Member> {
        self.nodes.iter().find(|member| member.id == id)
    }

    /// Everybody is there and everything is led, while work goes on.
    pub(crate) fn is_up(&self) -> bool {
        self.nodes.iter().all(|node| node.reachable)
            && self.partitions.iter().all(|group| group.leader.is_some())
    }

    /// Everybody is there, everything is led, and no replica lacks anything.
    pub(crate) fn is_whole(&self) -> bool {
        let level = |group: &Group| {
            let level = |voter: &u64| group.behind.get(&voter.to_string()) == Some(&0);
            group.leader.is_some() && !group.changing && group.voters.iter().all(level)
        };
        self.nodes.iter().all(|node| node.reachable) && self.partitions.iter().all(level)
    }
}
