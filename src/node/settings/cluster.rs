//! Settings about the other nodes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::SettingsError;

/// The other nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterSettings {
    /// The same on all nodes; a node of another cluster is refused.
    pub name: String,
    /// This node's id, from 1; never used again, not even after its disk is lost. 0: the one its directory has, or
    /// 1 in a new cluster, or the next that is free in the one it joins.
    pub node: u64,
    /// Where a node of the cluster listens that this one is to join. Looked at by a node without a place only.
    pub join: String,
    /// Where other nodes reach this one, as address and port. Empty: it is alone.
    pub listen: String,
    /// What they are told to dial, if it differs from `listen`.
    pub advertise: String,
    /// The nodes a new cluster begins with: where each listens, by id, this one among them.
    pub members: BTreeMap<String, String>,
    /// How many nodes hold each partition, if there are as many: 1, 3 or 5. So many less one, halved, may be lost.
    pub replicas: usize,
    /// Talks to other nodes without certificates; on loopback only.
    pub plain: bool,
    /// The authority of the cluster, as PEM.
    pub authority: PathBuf,
    /// This node's certificate, as PEM.
    pub certificate: PathBuf,
    /// Its key, as PEM.
    pub key: PathBuf,
}

impl Default for ClusterSettings {
    fn default() -> Self {
        Self {
            name: "everstep".to_owned(),
            node: 0,
            join: String::new(),
            listen: String::new(),
            advertise: String::new(),
            members: BTreeMap::new(),
            replicas: 3,
            plain: false,
            authority: PathBuf::new(),
            certificate: PathBuf::new(),
            key: PathBuf::new(),
        }
    }
}

impl ClusterSettings {
    /// Where each node listens, by id.
    #[must_use]
    pub fn addresses(&self) -> BTreeMap<u64, String> {
        let parsed = self.members.iter().filter_map(|(id, at)| Some((id.parse().ok()?, at.clone())));
        parsed.collect()
    }

    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let wrong =
            |name, value: &str, message| Err(SettingsError::Range { name, value: value.to_owned(), message });
        if self.name.is_empty() || self.name.len() > 64 {
            return wrong("cluster.name", &self.name, "1 to 64 characters");
        }
        for id in self.members.keys() {
            if !id.parse::<u64>().is_ok_and(|id| id > 0) {
                return wrong("cluster.members", id, "node ids, from 1");
            }
        }
        if !self.members.is_empty() && !self.join.is_empty() {
            return wrong("cluster.join", &self.join, "empty where cluster.members founds a new cluster");
        }
        if !self.join.is_empty() && self.listen.is_empty() {
            return wrong("cluster.listen", "", "an address for the other nodes to dial");
        }
        if !self.members.is_empty() && !self.addresses().contains_key(&self.node) {
            return wrong("cluster.members", &self.node.to_string(), "this node is one of them");
        }
        if !matches!(self.replicas, 1 | 3 | 5) {
            return wrong("cluster.replicas", &self.replicas.to_string(), "1, 3 or 5");
        }
        if self.members.len() > 1 && self.listen.is_empty() {
            return wrong("cluster.listen", "", "an address for the other members to dial");
        }
        Ok(())
    }
}
