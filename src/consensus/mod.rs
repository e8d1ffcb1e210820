//! Floor 3: the replicated log and what it adds up to.

mod command;
mod config;
mod error;
mod handle;
mod state;
mod view;

pub use command::{Append, Batch, CatalogueChange, CatalogueConflict, Claim, Command, Conflict, Reply};
pub use config::Config;
pub use error::Error;
pub use handle::{Handle, Leadership};
pub use state::{
    Applied, CheckpointDone, Counts, Error as StateError, Machine, MachineOptions, SnapshotReader, Watch,
};
pub use view::{ListQuery, LiveRow, Page, Record, Workflow, WorkflowVersion};
