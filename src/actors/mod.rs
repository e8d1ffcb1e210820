//! Floor 5: hands, never memory.
mod handle;

pub use handle::{
    Caller, Error, Handle, PartitionHealth, PutWorkflow, Submission, Submitted, Watch, What, WorkflowPage,
};
