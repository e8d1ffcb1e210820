//! Floor 3: the replicated log and what it adds up to.

mod command;
mod view;

pub use command::{Append, Batch, CatalogueChange, CatalogueConflict, Claim, Command, Conflict, Reply};
pub use view::{ListQuery, LiveRow, Page, Record, Workflow, WorkflowVersion};
