//! Floor 5: hands, never memory.
//!
//! A tree of supervised actors carries out what the replicated state owes the world. Every actor can be
//! killed at any instant: what it knew is in the state, and the next one reads it there.
//!
//! ```text
//! NodeSupervisor
//! └─ PartitionSupervisor × replica held          follows leadership
//!    └─ while leading:
//!       ├─ ExecutionActor × runnable execution   decide → propose → on commit: owed
//!       │   └─ attempts in flight                own deadline, dropped = cancelled
//!       └─ Timers                                due times of the partition, never early
//! ```
//!
//! The front ends talk to a [`Handle`]. It admits or refuses, finds or starts the actor, and waits with a
//! deadline. Wake-ups carry no data: events wake, state decides.
//!
//! Caveats: mailboxes have no limit, so admission control stands in front of them; the default reaction of
//! a supervisor to a crashed child is to die with it, so every actor here overrides it; an actor costs
//! about 8 kB, so an execution that only waits for a time has none.

mod admission;
mod aloft;
mod answering;
mod cluster;
mod directory;
mod disk;
mod execution;
mod fitness;
mod flight;
mod handle;
mod partition;
mod passing;
mod read;
mod reading;
mod request;
mod roster;
mod route;
mod specs;
mod steward;
mod submit;
mod supervisor;
mod timers;
mod tree;
mod workflows;

pub use crate::consensus::Watch;
pub use cluster::{ClusterView, NodeView, join};
pub use disk::DiskRoom;
pub use fitness::Unfit;
pub use handle::Handle;
pub use request::{Caller, Error, PartitionHealth, PutWorkflow, Submission, Submitted, What, WorkflowPage};
pub use roster::{Roster, introduce};
pub use tree::Tree;
