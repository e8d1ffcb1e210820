//! Executions as the server shows them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Where an execution stands. The server alone derives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExecutionStatus {
    /// Accepted; nothing has started.
    Pending,
    /// At work, or waiting for something.
    Running,
    /// Held; attempts in flight end, none start.
    Paused,
    /// Undoing completed steps.
    Compensating,
    /// Done.
    Completed,
    /// Ended by a fault.
    Failed,
    /// Ended by a person.
    Cancelled,
    /// Failed, kept for repair.
    DeadLettered,
    /// A status of a newer server.
    #[default]
    #[serde(other)]
    Unknown,
}

impl ExecutionStatus {
    /// No further step starts, unless a person retries it.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::DeadLettered)
    }

    /// The word the API uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Compensating => "compensating",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::DeadLettered => "dead_lettered",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for ExecutionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One run of one workflow version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Execution {
    /// Its id.
    pub id: String,
    /// The workflow, none for a definition submitted inline.
    pub workflow_id: Option<String>,
    /// The version of the workflow, none for a definition submitted inline.
    pub workflow_version: Option<u32>,
    /// The definition's name.
    pub workflow_name: String,
    /// Where it stands.
    pub status: ExecutionStatus,
    /// What it was given, `null` if nothing. Left out in lists.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// The definition's labels, overridden by the submission's.
    pub labels: BTreeMap<String, String>,
    /// What came out. Left out in lists; none before the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Outcome>,
    /// Why it failed.
    pub error: Option<Fault>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; none before the first attempt.
    pub started_at: Option<String>,
    /// RFC 3339; none before the end.
    pub finished_at: Option<String>,
    /// The steps that are at work or waiting, as the server shows them.
    pub current_steps: Vec<Value>,
    /// What a person may do now: `cancel`, `pause`, `resume`, `retry`, …
    pub allowed_actions: Vec<String>,
    /// How many events its history has.
    pub version: u64,
    /// What this version of the client does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Tells a null that was sent from a field that was not.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Execution {
    /// The output of a step, once the execution is finished.
    #[must_use]
    pub fn step_output(&self, step_id: &str) -> Option<&Value> {
        self.result.as_ref()?.results.get(step_id)
    }
}

/// What came out of an execution.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// The output of each completed step, by step id.
    pub results: Map<String, Value>,
    /// What the definition's `output` made of them.
    pub output: Option<Value>,
}

/// Why a step or an execution failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Fault {
    /// A stable word, such as `timeout`, `http_503`, `exit_1`, `node_lost`.
    pub code: String,
    /// What happened, for a person.
    pub message: String,
    /// The step it came from.
    pub step: Option<String>,
    /// The attempt it came from, from 1.
    pub attempt: Option<u32>,
    /// Whether another attempt may help.
    pub retryable: bool,
    /// What the runner adds.
    pub details: Option<Value>,
}

/// One attempt of a step, as a line of the log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LogLine {
    /// Which step.
    pub step_id: String,
    /// Its name.
    pub step_name: String,
    /// Its type, such as `shell`.
    pub step_type: String,
    /// From 1.
    pub attempt: u32,
    /// How it stands: `running`, `completed`, `failed`, …
    pub status: String,
    /// The resolved parameters.
    pub input: Value,
    /// What it answered.
    pub output: Value,
    /// How long it took, in milliseconds; none while it runs.
    pub duration_ms: Option<f64>,
    /// When it started, RFC 3339.
    pub timestamp: Option<String>,
    /// Why it failed.
    pub error_message: Option<String>,
    /// What this version of the client does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One recorded fact of an execution's history.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct HistoryEvent {
    /// Its place in the history, from 1, without gaps.
    pub version: u64,
    /// What kind of fact, such as `attempt_started`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was recorded, RFC 3339; never earlier than the event before it.
    pub at: String,
    /// The step it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_id: Option<String>,
    /// The attempt it concerns, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// What belongs to its kind: `output`, `error`, `until`, …
    #[serde(flatten)]
    pub body: Map<String, Value>,
}

/// Why an execution is not further.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Explanation {
    /// Where it stands.
    pub status: ExecutionStatus,
    /// One for each thing it waits for.
    pub reasons: Vec<Reason>,
    /// What this version of the client does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One thing an execution waits for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Reason {
    /// A stable word, such as `backoff`, `delay`, `paused`.
    pub code: String,
    /// The step it concerns.
    #[serde(alias = "step_id")]
    pub step: Option<String>,
    /// For a person, with numbers.
    pub message: String,
    /// When it ends by itself, RFC 3339, if that is known.
    pub until: Option<String>,
    /// What this version of the client does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What to run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[must_use]
pub struct Submission {
    #[serde(skip_serializing_if = "Option::is_none")]
    definition: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip)]
    pub(crate) idempotency_key: Option<String>,
}

impl Submission {
    /// A definition of its own, as an object.
    pub fn definition(definition: Value) -> Self {
        Self { definition: Some(definition), ..Self::default() }
    }

    /// A definition of its own, as JSON or YAML text; findings then name line and column.
    pub fn text(text: impl Into<String>) -> Self {
        Self::definition(Value::String(text.into()))
    }

    /// A saved workflow, in its latest version.
    pub fn workflow(workflow_id: impl Into<String>) -> Self {
        Self { workflow_id: Some(workflow_id.into()), ..Self::default() }
    }

    /// A certain version of the saved workflow.
    pub fn version(mut self, version: u32) -> Self {
        self.version = Some(version);
        self
    }

    /// What the execution is given; checked against the definition's input schema.
    pub fn input(mut self, input: Value) -> Self {
        self.input = Some(input);
        self
    }

    /// Adds a label.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Names the submission: a second one with the same key answers the first one's execution.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

/// Which executions to list; all of them by default, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecutionFilter {
    /// In one of these statuses; empty: in any.
    pub status: Vec<String>,
    /// Of this workflow.
    pub workflow_id: Option<String>,
    /// With these labels.
    pub labels: BTreeMap<String, String>,
    /// Created at or after this time, RFC 3339.
    pub created_from: Option<String>,
    /// Created before this time, RFC 3339.
    pub created_before: Option<String>,
    /// Executions per page; the server's choice if not said.
    pub limit: Option<u32>,
}
