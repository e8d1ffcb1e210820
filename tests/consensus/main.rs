//! Consensus: nodes that come and go, and what clients may rely on meanwhile.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cluster;
mod node;
mod single;
mod three;
