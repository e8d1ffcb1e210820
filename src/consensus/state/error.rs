//! Why the state of a partition cannot be read or written.

use crate::engine::model::SpecHash;
use crate::storage;

/// A failure of the state of a partition. After one of `checkpoint` or `install` nothing is known about the
/// disk: the caller ends the process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed, or its content is damaged.
    #[error("read or write the state of a partition: {0}")]
    Storage(
        #[from]
        #[source]
        storage::Error,
    ),
    /// A pinned definition cannot be compiled by this release.
    #[error("compile the pinned definition {hash}: {message}")]
    Definition {
        /// Which.
        hash: SpecHash,
        /// The first finding.
        message: String,
    },
    /// The state was written by a newer release.
    #[error("the state has format {found}, and this release reads up to {supported}; upgrade it first")]
    Newer {
        /// Its format.
        found: u16,
        /// The newest this release knows.
        supported: u16,
    },
    /// A snapshot is not what its sender made.
    #[error("the snapshot is damaged: {what}")]
    Snapshot {
        /// What is wrong.
        what: String,
    },
}

pub(super) type Result<T> = std::result::Result<T, Error>;
