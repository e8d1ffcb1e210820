//! Everstep: a durable orchestration cluster in one binary.
//!
//! The floors, lowest first; a module imports only from floors below its own.
//!
//! 1. [`engine`]: every rule of the product, pure; [`points`]: the instants at which tests break a node.
//! 2. [`storage`]: bytes, batches, fsync; [`world`]: the clock and the entropy that are handed in.
//! 3. [`consensus`]: the replicated log and what it adds up to.
//! 4. [`runners`]: built-in ways to execute an attempt.
//! 5. [`actors`]: effects, timers, supervision; holds no truth.
//! 6. [`api`]: HTTP and gRPC.
//! 7. [`node`]: reads configuration, wires every part.
//! 8. [`cli`]: people in, people out.

pub mod actors;
pub mod api;
pub mod cli;
pub mod consensus;
pub mod node;
pub mod points;
pub mod runners;
pub mod storage;
pub mod world;

pub use everstep_engine as engine;
