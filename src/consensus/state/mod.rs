//! The replicated state of one partition: what its log adds up to.
//!
//! A [`Machine`] folds entries into records held in memory and writes them behind the log, in slices. The log
//! is what makes an entry durable; the state only has to catch up before the log is cut. So a short execution
//! costs one write here in its whole life: it is finished before the first checkpoint looks at it, and then
//! leaves with others in one value, a *pack*.
//!
//! Three things live in memory: every record the store does not have yet (the *overlay*), some clean ones (the
//! *cache*), and a small row for each unfinished execution (*live*), so that hundreds of thousands of parked ones
//! cost little and a new leader knows at once which of them need an actor. Finished executions cost nothing at the
//! start and nothing in memory, however many are kept.
//!
//! One execution is always in exactly one place that counts, and is looked for in this order: overlay, cache, its
//! live row in the store, the packs of its window, newest first.
//!
//! Reading order: [`apply`](Machine::apply), `checkpoint`, `packs`, `lookup`, `list`, `snapshot`; `keys` and
//! `stored` are the storage format.
//!
//! Caveats: a store that cannot be read while an entry is folded ends this replica by a panic, because guessing
//! would make it differ from the others. Workflows are all kept in memory. Claims are kept for ever. A record that
//! somebody still holds when its execution changes is copied, so callers let go of it before they append.

mod apply;
mod cache;
mod catalogue;
mod change;
mod checkpoint;
mod digest;
mod disk;
mod error;
mod keys;
mod limits;
mod list;
mod live;
mod lookup;
mod loose;
mod machine;
mod nodes;
mod overlay;
mod packs;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod rubbish;
mod snapshot;
mod specs;
mod staging;
mod stored;
mod tenants;
mod walks;
mod watch;
mod weight;

#[cfg(test)]
mod tests;

pub use checkpoint::CheckpointDone;
pub use error::Error;
pub use limits::Limits;
pub use machine::{Applied, Counts, Machine, MachineOptions};
pub use snapshot::SnapshotReader;
pub use staging::Staging;
pub use watch::Watch;
