//! What may be asked in a body.
#![expect(dead_code, reason = "describes what `ask` reads by hand")]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// What an execution of a workflow is given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"input": {"order_id": "o-7"}, "labels": {"team": "shop"}}))]
pub(in crate::api) struct WorkflowSubmission {
    /// Any JSON, checked against the definition's schema.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    input: Option<Value>,
    /// Added to the definition's.
    #[serde(default)]
    #[schema(required = false, schema_with = super::labels)]
    labels: Option<BTreeMap<String, String>>,
}

/// What to run: an inline definition, or a workflow.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(example = json!({"definition": {"name": "hello", "steps": [{"type": "noop"}]}, "input": {}}))]
pub(in crate::api) enum Submission {
    Inline(InlineSubmission),
    Known(KnownSubmission),
}

/// An execution of a definition that comes with it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct InlineSubmission {
    definition: DefinitionOrText,
    /// Any JSON, checked against the definition's schema.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    input: Option<Value>,
    /// Added to the definition's.
    #[serde(default)]
    #[schema(required = false, schema_with = super::labels)]
    labels: Option<BTreeMap<String, String>>,
}

/// An execution of a workflow.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct KnownSubmission {
    /// Which workflow.
    workflow_id: Uuid,
    /// Which version of the workflow; the latest unless given.
    #[serde(default)]
    #[schema(minimum = 1)]
    version: Option<u32>,
    /// Any JSON, checked against the definition's schema.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    input: Option<Value>,
    /// Added to the definition's.
    #[serde(default)]
    #[schema(required = false, schema_with = super::labels)]
    labels: Option<BTreeMap<String, String>>,
}

/// A definition: an object, or a text of JSON or YAML.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(in crate::api) enum DefinitionOrText {
    Object(super::Definition),
    Text(String),
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ReasonBody {
    /// For the history; at most 256 bytes.
    #[serde(default)]
    #[schema(max_length = 256)]
    reason: Option<String>,
}

/// Nothing to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct EmptyBody {}

/// Where a retry begins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct RetryBody {
    /// `failed` unless given.
    #[serde(default)]
    from: Option<RetryFrom>,
}

/// Where a retry begins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum RetryFrom {
    /// Failed, cancelled and uncertain steps, with what they kept from running.
    Failed,
    /// All steps.
    Start,
}
