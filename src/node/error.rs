//! Why a node does not start, or had to stop.

use std::path::PathBuf;

use crate::consensus::peer::Dismissal;
use crate::{actors, consensus, runners, storage};

/// Why a node does not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings do not fit.
    #[error(transparent)]
    Settings(#[from] super::settings::SettingsError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The data directory has lost part of its log: it must not vote.
    #[error("storage_lost: {path}: {what}")]
    StorageLost {
        /// The directory.
        path: PathBuf,
        /// What is missing.
        what: String,
    },
    /// The others have refused the data directory for good, and it says so.
    #[error("storage_lost: {path}: {what}")]
    RefusedForGood {
        /// The directory.
        path: PathBuf,
        /// What they said.
        what: String,
    },
    /// The data directory belongs to another node or cluster.
    #[error(
        "{path} belongs to {what} = {there}, and the settings say {here}; use the directory of this node, or settings that fit it"
    )]
    OtherIdentity {
        /// The directory.
        path: PathBuf,
        /// Which setting differs.
        what: &'static str,
        /// What it says.
        here: String,
        /// What the directory says.
        there: String,
    },
    /// The identity file says something it cannot.
    #[error("the identity file of the data directory: {0}")]
    Identity(String),
    /// The cluster was formed with another disk of this node.
    #[error(
        "storage_lost: node {node} has an empty data directory, and node {other} belongs to a cluster that was formed without it; what node {node} had acknowledged is gone, so its id cannot be used again: join under a new id with `everstep serve --join` (`everstep cluster add` names one)"
    )]
    Forgotten {
        /// This node.
        node: u64,
        /// The one that said so.
        other: u64,
    },
    /// A node that is not the first would found a cluster of its own.
    #[error(
        "node {node} has an empty data directory, and no node to join; it would be a cluster of its own: start it with `everstep serve --join HOST:PORT`, or name it in cluster.members to found a new cluster"
    )]
    Alone {
        /// This node.
        node: u64,
    },
    /// Another node does not talk to this one.
    #[error("node {node} at {address} refused this node: {why}")]
    Refused {
        /// Which.
        node: u64,
        /// Where.
        address: String,
        /// What has to change.
        why: String,
    },
    /// The cluster does not take this node.
    #[error("the cluster at {address} does not take this node: {why}")]
    NotTaken {
        /// Where.
        address: String,
        /// Why.
        why: String,
    },
    /// The cluster does not talk to this node any more.
    #[error(transparent)]
    Dismissed(consensus::peer::Dismissal),
    /// A part has died that the node cannot go on without.
    #[error("the node cannot go on: {0}")]
    Died(String),
    /// The certificates of the cluster do not do.
    #[error(transparent)]
    Tls(#[from] consensus::peer::TlsError),
    /// Other nodes cannot prove who they are.
    #[error(
        "refused to talk to other nodes on {address} without certificates: set cluster.authority, cluster.certificate and cluster.key, or cluster.plain = true on loopback"
    )]
    PlainPeers {
        /// Where.
        address: String,
    },
    /// There is a state and no log that it could come from: the node must not vote.
    #[error(
        "storage_lost: the state of partition {partition} is at entry {state}, and there is no log of it"
    )]
    LogGone {
        /// Which partition.
        partition: u16,
        /// How far the state is.
        state: u64,
    },
    /// The log begins only after entries that the state lacks: the node must not lead.
    #[error(
        "storage_lost: the state of partition {partition} ends with entry {state}, and its log begins with entry {log}"
    )]
    StateBehind {
        /// Which partition.
        partition: u16,
        /// How far the state is.
        state: u64,
        /// Where the log begins.
        log: u64,
    },
    /// Consensus did not start, or did not stop well.
    #[error("consensus: {0}")]
    Consensus(#[from] consensus::Error),
    /// The state of a partition cannot be read.
    #[error("state: {0}")]
    State(#[from] consensus::StateError),
    /// The actors did not start.
    #[error("actors: {0}")]
    Actors(#[from] actors::Error),
    /// A runner did not start.
    #[error("runners: {0}")]
    Runners(#[from] runners::Error),
    /// The address cannot be listened on.
    #[error("listen on {address}: {source}; choose another with --listen")]
    Listen {
        /// Which.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The address for other nodes cannot be listened on.
    #[error("listen for other nodes on {address}: {source}; choose another with cluster.listen")]
    PeerListen {
        /// Which.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// A public address while nobody has to log in.
    #[error(
        "refused to listen on {address}: without login this node answers on loopback only; use 127.0.0.1, or `everstep serve --insecure`"
    )]
    Exposed {
        /// Which.
        address: String,
    },
    /// The public port broke.
    #[error("serve: {0}")]
    Serve(#[source] std::io::Error),
}

impl Error {
    /// What to do about it, where the words of the error do not say so.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::StorageLost { .. }
            | Self::LogGone { .. }
            | Self::StateBehind { .. }
            | Self::Storage(storage::Error::Corrupt { .. })
            | Self::State(_)
            | Self::Identity(_) => Some(
                "`everstep verify DIR` shows what is wrong; replace a node of a cluster (`everstep cluster add`, then \
                 `serve --join` with an empty directory), restore a backup only of a node alone",
            ),
            full if full.is_disk_full() => {
                Some("make room on the disk of the data directory, and start the node again: nothing is lost")
            }
            _ => None,
        }
    }

    fn is_disk_full(&self) -> bool {
        let first: &(dyn std::error::Error + 'static) = self;
        let mut causes = std::iter::successors(Some(first), |error| error.source());
        let full = |error: &std::io::Error| error.kind() == std::io::ErrorKind::StorageFull;
        causes.any(|cause| cause.downcast_ref().is_some_and(full))
    }

    /// A stable word for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settings(_) | Self::Alone { .. } => "invalid_settings",
            Self::Storage(storage::Error::Locked { .. }) => "data_dir_in_use",
            Self::Storage(storage::Error::Newer { .. }) => "format_newer",
            Self::Storage(storage::Error::Corrupt { .. }) => "data_damaged",
            Self::Storage(_) => "data_dir",
            Self::StorageLost { .. }
            | Self::RefusedForGood { .. }
            | Self::LogGone { .. }
            | Self::StateBehind { .. }
            | Self::Forgotten { .. } => "storage_lost",
            Self::Dismissed(Dismissal::Removed { .. }) => "node_removed",
            Self::Dismissed(Dismissal::OtherDisk { .. } | Dismissal::OlderCopy { .. }) => "storage_lost",
            Self::Died(_) => "node_died",
            Self::OtherIdentity { .. } => "other_identity",
            Self::Refused { .. } | Self::NotTaken { .. } => "refused_by_peer",
            Self::Tls(_) | Self::PlainPeers { .. } => "peer_certificates",
            Self::Listen { source, .. } | Self::PeerListen { source, .. }
                if source.kind() == std::io::ErrorKind::AddrInUse =>
            {
                "address_in_use"
            }
            Self::Listen { .. } | Self::PeerListen { .. } => "address",
            Self::Exposed { .. } => "exposed",
            Self::Identity(_)
            | Self::Consensus(_)
            | Self::State(_)
            | Self::Actors(_)
            | Self::Runners(_)
            | Self::Serve(_) => "node",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_starts_on_a_full_disk_is_told_to_make_room() {
        let start = |kind: std::io::ErrorKind| {
            let source = kind.into();
            Error::from(storage::Error::Open { path: "data/log".into(), source })
        };
        assert!(start(std::io::ErrorKind::StorageFull).advice().unwrap().starts_with("make room"));
        assert_eq!(start(std::io::ErrorKind::PermissionDenied).advice(), None);
    }
}
