//! Floor 3: the replicated log and what it adds up to.
//!
//! Everything that has to survive is an entry of a log, and a log lives on several nodes. A node is a member of
//! a few Raft groups: group 0 is the catalogue, each of the others a data partition. All groups of a node share
//! one log on disk, so that one sync serves them all, and one connection to each other node.
//!
//! The way of a change, on the node that leads its partition:
//!
//! 1. An actor hands it to the [`Handle`], with the epoch it was decided under (`handle`).
//! 2. The partition's proposer gathers what waits into one [`Command`] and encodes it once (`proposer`, `types`).
//! 3. Raft appends it to the log here and on the others (`log_store`, `network`).
//! 4. A quorum has it on disk: it is committed, and folded into the [`Machine`] (`state_machine`, `applied`).
//! 5. The [`Reply`] goes back to whoever asked.
//!
//! Reading needs no entry: [`Handle::linearize`], then ask the [`Machine`]. State is written behind the log
//! (`checkpoint`), and what the log has beyond the last checkpoint is applied again after a restart. A follower
//! that missed more than the log still has is sent a snapshot, which is the checkpoint itself.
//!
//! Who leads is told by [`Handle::leadership`] (`leadership`). To lead means: an announcement of this
//! leadership is applied here. Its index is the epoch; changes decided under an older one are refused when they
//! are applied, on every replica alike. Who reads relies on a leader's lease, and whoever answered that leader keeps
//! the lease even over a restart (`promise`).
//!
//! Law: nothing else in the project names the Raft library, and none of its types is stored.
//!
//! Caveats: an error that is not refused ([`Error::is_refused`]) leaves the outcome open: the change may have
//! been committed, and the state will tell. When a core dies, [`Handle::fatal`] says so and the node has to
//! exit: the log and the checkpoints are whole, and the next start goes on from them.

mod applied;
mod checkpoint;
mod command;
mod config;
#[expect(clippy::module_inception, reason = "it is the consensus of a node, and there is no better word")]
mod consensus;
mod error;
mod fatal;
mod group;
mod handle;
mod leadership;
mod lease;
mod log_store;
mod members;
mod network;
pub mod peer;
mod positions;
mod promise;
mod proposer;
mod reads;
mod recent;
mod room;
mod runtime;
mod state;
mod state_machine;
mod stored;
#[cfg(test)]
mod suite;
mod tail;
mod types;
mod view;
mod weight;

pub use command::{
    Append, Batch, CatalogueChange, CatalogueConflict, Claim, Command, Conflict, NodeChange, NodeConflict,
    Reply,
};
pub use config::Config;
pub use consensus::Consensus;
pub use error::Error;
pub use handle::{Handle, Leadership};
pub use members::{Group as GroupView, Step};
pub use network::{
    Address, BoxFuture, Chunks, LocalNetwork, Nowhere, Receiver, Request, Response, SnapshotHead, Transport,
    Unanswered,
};
#[cfg(any(test, feature = "fuzzing"))]
pub use state::rubbish::install as install_rubbish;
pub use state::{
    Applied, CheckpointDone, Counts, Error as StateError, Limits as StateLimits, Machine, MachineOptions,
    SnapshotReader, Staging, Watch,
};
pub use view::{ListQuery, LiveRow, Membership, NodeRecord, Page, Record, Workflow, WorkflowVersion};
