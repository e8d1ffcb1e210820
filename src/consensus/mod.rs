//! Floor 3: the replicated log and what it adds up to.

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
mod log_store;
mod network;
mod positions;
mod proposer;
mod recent;
mod runtime;
mod state;
mod state_machine;
mod stored;
#[cfg(test)]
mod suite;
mod types;
mod view;
mod weight;

pub use command::{Append, Batch, CatalogueChange, CatalogueConflict, Claim, Command, Conflict, Reply};
pub use config::Config;
pub use consensus::Consensus;
pub use error::Error;
pub use handle::{Handle, Leadership};
pub use network::{
    Address, BoxFuture, Chunks, LocalNetwork, Nowhere, Receiver, Request, Response, SnapshotHead, Transport,
    Unanswered,
};
pub use state::{
    Applied, CheckpointDone, Counts, Error as StateError, Limits as StateLimits, Machine, MachineOptions,
    SnapshotReader, Watch,
};
pub use view::{ListQuery, LiveRow, Page, Record, Workflow, WorkflowVersion};
