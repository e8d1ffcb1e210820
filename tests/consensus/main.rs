//! Consensus: nodes that come and go, and what clients may rely on meanwhile.

mod cluster;
mod node;
mod single;
mod three;
