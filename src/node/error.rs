//! Why a node does not start, or had to stop.

use std::path::PathBuf;

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
    #[error(
        "storage_lost: {path}: {what}; run `everstep verify {path}`, restore a backup or let this node rejoin as a new one"
    )]
    StorageLost {
        /// The directory.
        path: PathBuf,
        /// What is missing.
        what: String,
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
    /// A stable word for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settings(_) => "invalid_settings",
            Self::Storage(storage::Error::Locked { .. }) => "data_dir_in_use",
            Self::Storage(storage::Error::Newer { .. }) => "format_newer",
            Self::Storage(storage::Error::Corrupt { .. }) => "data_damaged",
            Self::Storage(_) => "data_dir",
            Self::StorageLost { .. } => "storage_lost",
            Self::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => "address_in_use",
            Self::Listen { .. } => "address",
            Self::Exposed { .. } => "exposed",
            Self::Consensus(_) | Self::State(_) | Self::Actors(_) | Self::Runners(_) | Self::Serve(_) => {
                "node"
            }
        }
    }
}
