//! The Rust client of Everstep.
//!
//! # The idea
//!
//! A [`Client`] is a cheap handle on one server. [`Client::workflows`], [`Client::executions`] and
//! [`Client::cluster`] give the endpoints as methods; each answers a typed object or an [`Error`] that
//! carries the server's stable `code`, the pointer to the wrong field, and the trace id to quote when
//! asking for help.
//!
//! ```no_run
//! use everstep_sdk::{Client, Submission};
//! use serde_json::json;
//!
//! # async fn example() -> Result<(), everstep_sdk::Error> {
//! let client = Client::builder("http://127.0.0.1:8000").build()?;
//! let submission = Submission::definition(json!({
//!     "name": "greet",
//!     "steps": [{ "id": "hello", "type": "noop", "params": { "value": "hello" } }],
//! }));
//! let execution = client.executions().submit(&submission).await?;
//! let finished = client.executions().wait(&execution.id).await?;
//! assert_eq!(finished.step_output("hello"), Some(&json!("hello")));
//! # Ok(()) }
//! ```
//!
//! # What is tried again
//!
//! A call is repeated only where a repeat cannot do the work twice: reads, replacements and deletions,
//! and every creation, because the client gives each creation an `Idempotency-Key` of its own before
//! the first try. Actions (`cancel`, `pause`, …) are repeated only if the server never got them or
//! refused them for load. Waits between tries grow, are spread at random, and obey `Retry-After`.
//!
//! # Caveats
//!
//! - When a call ends in [`Error::TimedOut`] its outcome is *unknown*, not failed. Ask again before
//!   acting on it, or repeat it with the same idempotency key.
//! - Unknown fields of newer servers are kept in `extra`; unknown words become `Unknown`.

mod client;
mod cluster;
mod error;
mod execution;
mod executions;
mod pages;
mod request;
mod retry;
mod sse;
mod watch;
mod workflow;
mod workflows;

pub use client::{Builder, Client};
pub use cluster::{Cluster, ClusterNode, ClusterPartition, ClusterStatus, Node};
pub use error::{Error, Finding, Problem};
pub use execution::{
    Execution, ExecutionFilter, ExecutionStatus, Explanation, Fault, HistoryEvent, LogLine, Outcome, Reason,
    Submission,
};
pub use executions::Executions;
pub use pages::Page;
pub use retry::Retry;
pub use watch::WatchEvent;
pub use workflow::{Text, Validation, Workflow, WorkflowFilter, WorkflowVersion};
pub use workflows::Workflows;

/// The answer of a call, or why there is none.
pub type Result<T> = std::result::Result<T, Error>;
