//! The integration tests, one binary: linking is the slow part.

mod executions;
mod harness;
mod tidy;
