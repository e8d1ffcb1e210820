//! The shapes both front ends answer with: from the model, by hand.
//!
//! HTTP writes them as JSON text; gRPC uses the same derivations (what a log line is, which steps
//! are current, the word for an event) for its messages.

mod cluster;
mod execution;
mod history;
mod log;
mod reason;
mod workflow;
mod write;

pub(super) use cluster::{write_cluster, write_node};
pub(super) use execution::{Detail, current_steps, step_id, write_execution};
pub(super) use history::{event_type, payload_bytes, write_event};
pub(super) use log::{Line, Log, step_words, write_line};
pub(super) use reason::write_explanation;
pub(super) use workflow::{write_version, write_workflow, write_workflow_line};
pub(super) use write::{Object, write_list, write_text};
