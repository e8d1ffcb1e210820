//! Floor 0: the words of Everstep as types.
//!
//! Nothing here decides anything. These are the ids, facts, states and limits every floor above
//! talks in. They are stored (inside a versioned envelope) and replicated, but they are never wire
//! types: the public protocols convert by hand at the edge.
//!
//! Caveat: the order of variants and fields of everything reachable from [`Event`] is a storage
//! format. Add at the end; never reorder, never reuse.

mod effect;
mod event;
mod execution;
mod fault;
mod ids;
mod input;
mod integer;
pub mod limits;
mod payload;
mod rejection;
mod status;
mod time;

pub use effect::Effect;
pub use event::{AfterFailure, Created, Event, Handling, IgnoredReason, Recorded, SkipReason, Wait};
pub use execution::{Execution, Pause, Step};
pub use fault::{Fault, codes};
pub use ids::{
    AttemptNumber, Epoch, ExecutionId, PartitionId, SpecHash, StepId, StepIndex, StepKey, TenantId, Version,
    WorkflowId,
};
pub use input::{Create, Input, Moment, RetryFrom};
pub use integer::OversizedInteger;
pub use payload::Payload;
pub use rejection::{InputMistake, Rejection};
pub use status::{Action, DefinitionStatus, Status, StepStatus};
pub use time::{Millis, Timestamp};
