//! The integration tests, one binary: linking is the slow part.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod cluster;
mod dev_nodes;
mod disk;
mod doors;
mod examples;
mod executions;
mod harness;
mod limits;
mod tidy;
