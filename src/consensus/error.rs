//! Why the replicated log did not take a change or could not promise a read.

use crate::engine::model::PartitionId;

/// Why a call failed. [`Error::is_refused`] tells whether the change can still come true.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another node leads, or none does. Nothing was proposed.
    #[error("partition {partition} is not led by this node")]
    NoLeader {
        /// Which partition.
        partition: PartitionId,
        /// Who leads it, as far as this node knows.
        hint: Option<u64>,
    },
    /// A bounded queue is full. Nothing was proposed; try again later.
    #[error("{what} is full")]
    Overloaded {
        /// Which queue.
        what: &'static str,
    },
    /// The change is larger than one log entry may be. Nothing was proposed.
    #[error("a change of {bytes} bytes exceeds the limit of {bytes_max}")]
    TooLarge {
        /// Its estimated size.
        bytes: usize,
        /// The most one entry takes.
        bytes_max: usize,
    },
    /// No quorum answered within the deadline. The change may still be committed.
    #[error("no quorum answered within {ms} ms")]
    Timeout {
        /// The deadline that passed.
        ms: u64,
    },
    /// Leadership was lost while the change was on its way. It may still be committed.
    #[error("leadership of partition {partition} was lost on the way")]
    LeadershipLost {
        /// Which partition.
        partition: PartitionId,
        /// Who leads it now, as far as this node knows.
        hint: Option<u64>,
    },
    /// This node is stopping. The change may still be committed.
    #[error("the node is stopping")]
    Stopped,
    /// The members of the partition cannot be changed so. Nothing was proposed.
    #[error("members of partition {partition}: {reason}")]
    Members {
        /// Which partition.
        partition: PartitionId,
        /// Why.
        reason: String,
    },
    /// The node could not be started or has to exit.
    #[error("consensus of partition {partition}: {reason}")]
    Fatal {
        /// Which partition.
        partition: PartitionId,
        /// What happened.
        reason: String,
    },
}

impl Error {
    /// True if nothing was proposed and nothing will come of the call; false if its outcome is unknown.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        match self {
            Self::NoLeader { .. }
            | Self::Overloaded { .. }
            | Self::TooLarge { .. }
            | Self::Members { .. } => true,
            Self::Timeout { .. } | Self::LeadershipLost { .. } | Self::Stopped | Self::Fatal { .. } => false,
        }
    }
}
