//! The shapes of requests and answers, for the document.
//!
//! Nothing is serialized through these types: answers are written by `shape`, bodies are read by
//! `ask`. A test reads what `shape` writes through them, so that they cannot drift apart.

mod answers;
mod cluster;
mod definition;
mod params;
mod requests;

pub(in crate::api) use answers::{
    EventPage, Execution, ExecutionPage, Explanation, Finding, Health, LogLine, NodeHealth,
    SubmittedResponses, Validation, VersionPage, Workflow, WorkflowPage,
};
pub(in crate::api) use cluster::{Cluster, Node};
pub(in crate::api) use definition::Definition;
pub(in crate::api) use params::{
    ExecutionFilters, ExecutionPathParams, ForceParams, HistoryParams, IdempotencyHeader, IfMatchHeader,
    NodePathParams, PageParams, StreamParams, VersionParams, WaitParams, WorkflowFilters, WorkflowPathParams,
};
pub(in crate::api) use requests::{EmptyBody, ReasonBody, RetryBody, Submission, WorkflowSubmission};

use utoipa::openapi::schema::{AdditionalProperties, SchemaType};
use utoipa::openapi::{Array, ArrayBuilder, Object, ObjectBuilder, Type};

use crate::engine::model::limits::{LABEL_BYTES_MAX, LABELS_MAX};

/// Labels as a caller gives them.
fn labels() -> Object {
    let kinds = SchemaType::from_iter([Type::String, Type::Number, Type::Boolean]);
    let value = ObjectBuilder::new().schema_type(kinds).max_length(Some(LABEL_BYTES_MAX));
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .description(Some("Added to the definition's labels."))
        .property_names(Some(ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).build()))
        .additional_properties(Some(AdditionalProperties::RefOr(value.build().into())))
        .max_properties(Some(LABELS_MAX))
        .build()
}

/// Filters by label.
fn label_filters() -> Array {
    let filter = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[^:]{1,256}:.{0,256}$"));
    ArrayBuilder::new().items(filter).build()
}
