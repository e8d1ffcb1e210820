//! Floor 1: every rule of Everstep, pure.
//!
//! # The idea
//!
//! A workflow engine is a function. It is asked something about one execution, looks at that
//! execution's state and definition, and answers with facts. It does not run anything, store anything or
//! know what time it is. What runs, stores and tells the time stands on the floors above, and can be
//! replaced by a simulation without this crate noticing.
//!
//! Three functions carry everything:
//!
//! - [`decide()`] turns a wish ([`model::Input`]) into facts ([`model::Event`]), or refuses it
//!   ([`model::Rejection`]). It runs once, on the leader of the execution's partition.
//! - [`evolve()`] folds one recorded fact into the state ([`model::Execution`]). It runs on every
//!   replica, live and in replay, and is the only thing that changes a state.
//! - [`owed()`] says what the world owes the execution now ([`model::Effect`]): attempts to have in
//!   flight, one timer to set. It asks the state alone, so nothing outstanding can be forgotten.
//!
//! [`explain()`] answers the question people ask: why is it not further?
//!
//! # Words
//!
//! An **execution** is one run of one version of a workflow. Its **steps** are the nodes of the
//! definition's graph, known by their position. A step that acts on the world does so in
//! **attempts**, numbered from 1 and never renumbered; the **retry policy** says how many there may be and
//! how long to wait between them (**backoff**). A **fault** is why an attempt, a step or an execution failed. An
//! **event** is a recorded fact; an **effect** is something to do. An **epoch** is one
//! leadership of a partition: only the epoch that started an attempt may record its outcome.
//!
//! # The life of an execution
//!
//! 1. `Create` is checked against the definition (active? input of the right shape? within limits?) and
//!    becomes `Created`, with the first `AttemptStarted` beside it: decided together, committed together.
//! 2. Once those are committed, [`owed()`] names the attempt, and an actor has a runner carry it out.
//! 3. The outcome comes back as `AttemptFinished`. Success becomes `AttemptCompleted`, and steps whose needs
//!    it met begin in the same decision. So a sequence of N effects costs N + 1 commits.
//! 4. Failure becomes `AttemptFailed`. Either the step goes into backoff, and [`owed()`] names a timer; or it is
//!    over, and `StepFailed` says who takes care of it: nobody (then the execution fails), its
//!    dependents (`on_error: continue`), or another step (`goto`, `catch`).
//! 5. Steps that need no effect (`logic`, conditions, skips) are decided on the way, many in one decision.
//!    A `delay` is a recorded time; while it sleeps it is state and nothing else.
//! 6. When every step is settled, `Completed` is decided with the last outcome.
//!
//! At any time `Reconcile` asks the state to look at the clock and at the epoch: what is due happens, and
//! attempts that an older leadership left in flight are lost: tried again, or, where the
//! definition says so, left **uncertain** for a person. A timer that fires, an actor that starts and a
//! wake-up that was missed are the same input.
//!
//! # Determinism
//!
//! Nothing here reads a clock, draws a random number, does IO or iterates a hash map; lints refuse it.
//! Time and epoch arrive in [`model::Moment`]; the jitter of a backoff is drawn from a hash of the attempt's
//! name. Given the same state, definition, wish and moment, `decide` answers the same. But replay does not
//! depend on that: `evolve` computes nothing that was decided, so a newer version may decide differently
//! tomorrow without changing what a history means.
//!
//! # Where to look
//!
//! - [`model`] (floor 0): ids, facts, states, limits.
//! - [`definition`]: from text to a checked [`definition::Spec`]; every finding at once.
//! - [`expression`]: `${ … }` in definitions.
//! - `decide`: the rules, one file each.
//! - [`invariants`] and [`dump`]: checks and readable lines, for tests and for people.
//!
//! # Caveats
//!
//! - An effect happens at least once. The engine promises one *recorded* outcome per attempt and a start
//!   that was committed before the effect; a crash between the two leaves an effect that nobody heard of.
//! - `decide` trusts its definition: it has passed the check, and is the one the execution was created with.
//! - Each decision copies the execution's state, which is cheap for tens of steps and noticeable for thousands.
//! - Attempts lost with their node do not count against the retry policy. A step that kills its node every
//!   time is tried until the history is full; `on_lost: uncertain` is for those.

mod decide;
pub mod definition;
pub mod dump;
mod evolve;
mod explain;
pub mod expression;
pub mod invariants;
pub mod model;
mod owed;
pub mod planted;
#[cfg(test)]
mod tests;

pub use decide::decide;
pub use evolve::evolve;
pub use explain::{Reason, explain};
pub use owed::owed;
