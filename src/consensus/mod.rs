//! Floor 3: the replicated log and what it adds up to.

mod command;
mod state;
mod view;

pub use command::{Append, Batch, CatalogueChange, CatalogueConflict, Claim, Command, Conflict, Reply};
pub use state::{
    Applied, CheckpointDone, Counts, Error as StateError, Limits as StateLimits, Machine, MachineOptions,
    SnapshotReader, Watch,
};
pub use view::{ListQuery, LiveRow, Page, Record, Workflow, WorkflowVersion};
