//! The workflow language, as far as a schema can say it. The check on the server is the authority.
#![expect(dead_code, reason = "describes what the engine reads")]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Whether a definition runs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum DefinitionStatus {
    Draft,
    Active,
    Archived,
}

/// A workflow definition.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "hello", "steps": [{"id": "say", "type": "noop", "params": {"value": "hello"}}]}))]
pub(in crate::api) struct Definition {
    #[schema(min_length = 1, max_length = 256)]
    name: String,
    #[serde(default)]
    description: Option<String>,
    /// Only active ones run; `active` unless given.
    #[serde(default)]
    status: Option<DefinitionStatus>,
    #[serde(default)]
    #[schema(required = false, schema_with = super::labels)]
    labels: Option<BTreeMap<String, String>>,
    /// JSON Schema of the input, an object or a boolean.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    input: Option<Value>,
    /// How long an execution may take: `500ms`, `10s`, `5m`, `2h`, `3d`, or a number of seconds.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    timeout: Option<Value>,
    /// 0 low to 9 high; 5 unless given.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<u8>,
    #[schema(min_items = 1, max_items = 5000)]
    steps: Vec<StepDefinition>,
    /// What an execution gives; may hold expressions.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    output: Option<Value>,
}

/// One step of a definition.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct StepDefinition {
    /// `step<N>` unless given.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    /// What runs it. `provider` means the same.
    #[serde(default, rename = "type")]
    runner: Option<String>,
    #[serde(default)]
    provider: Option<String>,
    /// Which of the runner's actions; its first unless given.
    #[serde(default)]
    action: Option<String>,
    /// What the runner gets; strings may hold expressions.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    params: Option<Value>,
    /// The ids of steps that have to settle before it; the one written before it unless given.
    #[serde(default)]
    #[schema(max_items = 256)]
    needs: Option<Vec<String>>,
    /// `all` (unless given), `any`, or how many of its needs it waits for.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    join: Option<Value>,
    /// An expression or a boolean; the step is skipped unless it is true.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    when: Option<Value>,
    /// How long an attempt may take: `10s`, or a number of seconds.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    timeout: Option<Value>,
    /// `{attempts, backoff, initial, factor, max, jitter, on}`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    retry: Option<Value>,
    /// `fail` (unless given), `continue`, or `{goto: step}`.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    on_error: Option<Value>,
    /// `fail` (unless given) or `continue`.
    #[serde(default)]
    #[schema(pattern = "^(fail|continue)$")]
    on_timeout: Option<String>,
    /// What the death of the step's node means: `retry` (unless given) or `uncertain`.
    #[serde(default)]
    #[schema(pattern = "^(retry|uncertain)$")]
    on_lost: Option<String>,
    /// Steps whose failure this one takes care of.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    catch: Option<Value>,
    /// Reshapes what the runner answered; may hold expressions.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    output: Option<Value>,
    #[serde(default)]
    #[schema(required = false, schema_with = super::labels)]
    labels: Option<BTreeMap<String, String>>,
}
