//! What callers ask, read strictly: every mistake is answered with its place.

mod body;
mod cursor;
mod fields;
mod headers;
mod id;
mod nearest;
mod query;
mod submission;
mod time;

pub(super) use body::{Body, json};
pub(super) use cursor::Cursor;
pub(super) use headers::{check_key, etag, idempotency_key, if_match, last_event_id};
pub(super) use id::{ExecutionPath, NodePath, WorkflowPath, uuid};
pub(super) use query::{Query, whole};
pub(super) use submission::{
    EXECUTION_FILTERS, Wish, action_reason, check_labels, check_reason, execution_list, input, retry_from,
    submission,
};
pub(super) use time::wait;
