//! A whole node, without its port, inside a deterministic simulation: simulated time, simulated disk,
//! simulated effects, one seed.
//!
//! The first promise is about the simulation itself: the same seed gives the same trace, so that a
//! failure found with a seed can be looked at again with that seed. `make sim SEED=42` repeats one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[cfg(not(tokio_unstable))]
compile_error!("the simulation needs `--cfg tokio_unstable`; .cargo/config.toml sets it");

mod effects;
mod one_node;
mod world;
