//! What can go wrong below the log and the state.

use std::io;
use std::path::PathBuf;

/// A failure of the storage of this node. Except for `Locked`, `Newer` and `OtherNode`, which are a wrong
/// call for this directory, the world failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or database cannot be opened.
    #[error("open {path}: {source}")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process works on this directory.
    #[error(
        "the data directory {path} is in use by another process; stop it first, or name another directory"
    )]
    Locked {
        /// Which directory.
        path: PathBuf,
    },
    /// A later release has written this directory.
    #[error(
        "{path} has storage format {found}, this release reads up to {supported}; use the release that wrote it"
    )]
    Newer {
        /// The file that says so.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest one known here.
        supported: u32,
    },
    /// The directory belongs to another node id.
    #[error("this storage belongs to node {found}, not to node {expected}; node ids are never reused")]
    OtherNode {
        /// Who wrote it.
        found: u64,
        /// Who asked.
        expected: u64,
    },
    /// Stored bytes are not what was written.
    #[error("{what} is damaged at {at}")]
    Corrupt {
        /// What was read.
        what: String,
        /// Where.
        at: String,
    },
    /// A value is beyond the limit of the store.
    #[error("a value of {bytes} bytes is over the limit of {bytes_max} bytes")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Reading or writing failed. After a failed write or sync nothing is known about the disk any more.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// For `map_err`.
    pub(crate) fn open(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Open { path, source }
    }

    pub(crate) fn corrupt(what: impl Into<String>, at: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into(), at: at.into() }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

/// The result of a storage operation.
pub type Result<T> = std::result::Result<T, Error>;

/// An error with all that is behind it, each word once: some say in their own what they wrap. The disk's own words are
/// the last.
pub fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(it) = source {
        let more = it.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = it.source();
    }
    text
}
