//! Whole nodes and whole clusters, without their public ports, inside a deterministic simulation: simulated time,
//! disks, network, clocks and effects, one seed.
//!
//! The first promise is about the simulation itself: the same seed gives the same trace, so that a
//! failure found with a seed can be looked at again with that seed. `make sim SEED=42` repeats one.
//!
//! `one_node` is a node by itself. `cluster` is several of them and everything that goes wrong between them, `users`
//! work with it, the `journal` keeps what they were told and what happened outside, and `invariants` judge the
//! `account` of it all. `seeds` runs them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[cfg(not(tokio_unstable))]
compile_error!("the simulation needs `--cfg tokio_unstable`; .cargo/config.toml sets it");

#[cfg(not(debug_assertions))]
compile_error!(
    "a release has no points to break nodes at; build the simulation with the profile dev, test or sim"
);

mod account;
mod cluster;
mod effects;
mod invariants;
mod journal;
mod one_node;
mod seeds;
mod tally;
mod users;
mod world;
