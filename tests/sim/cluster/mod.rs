//! A whole cluster in one process: real consensus, real routing, real actors, on simulated machines.
//!
//! Everything that a node takes from outside is simulated: the network by turmoil, the disk by a store that forgets
//! what was not synced, the clock, the entropy, and the effects of steps. The plan is drawn from a seed (`plan`),
//! so is what goes wrong (`faults`), and the same seed gives the same run, line by line.
//!
//! ```text
//! faulty    users submit, read and change while faults come and go
//! healing   nothing goes wrong any more; within ten seconds the cluster serves, within five more all moves
//! settled   everything has ended; all replicas are compared
//! replayed  the power of all nodes is cut once more, and what they read from their disks is compared
//! ```
//!
//! Caveats: one thread runs all nodes, so two of them never do something at the very same time; within one
//! millisecond a node runs without an interruption, and a crash falls between two of them, into a disk operation, or
//! to a point of the code that was chosen for it (`traps`).

mod deaths;
mod disk;
mod drive;
mod faults;
mod node;
mod operator;
mod phases;
mod plan;
mod traps;

pub(crate) use node::Doors;
pub(crate) use phases::{Outcome, simulate};
pub(crate) use plan::Plan;
