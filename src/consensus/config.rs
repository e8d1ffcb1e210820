//! What a node is told about its part in consensus.

use std::collections::BTreeMap;

/// The settings of one node. The defaults suit a node by itself.
#[derive(Debug, Clone)]
pub struct Config {
    /// This node's id; never reused, not even after its disk is lost.
    pub node: u64,
    /// How many data partitions there are; 1 to 32, because each sends its own heartbeats.
    pub partitions: u16,
    /// The voters a new cluster begins with, and their addresses; looked at only by a node without a log.
    pub members: BTreeMap<u64, String>,
    /// How often a leader is heard of, in milliseconds.
    pub heartbeat_ms: u64,
    /// The shortest and the longest silence after which a follower stands for election, in milliseconds.
    /// Failover takes about the longest, plus a random part between both, plus one heartbeat.
    pub election_ms: (u64, u64),
    /// How long a change may wait for its quorum before its outcome is called unknown, in milliseconds.
    pub commit_timeout_ms: u64,
    /// How often each partition's state is written behind, in milliseconds: small slices, so that no
    /// commit waits long for one.
    pub checkpoint_ms: u64,
    /// How many entries below the checkpoint stay in the log for followers that are behind.
    pub log_tail_entries: u64,
    /// Does disk work on the caller's thread, so that a simulation stays deterministic.
    pub inline_io: bool,
}

impl Config {
    /// The settings of a node that is a cluster of one.
    #[must_use]
    pub fn single(node: u64) -> Self {
        Self { node, members: BTreeMap::from([(node, String::new())]), ..Self::default() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: 1,
            partitions: 4,
            members: BTreeMap::new(),
            heartbeat_ms: 50,
            election_ms: (150, 300),
            commit_timeout_ms: 5_000,
            checkpoint_ms: 50,
            log_tail_entries: 4_096,
            inline_io: false,
        }
    }
}
