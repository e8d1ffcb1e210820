//! What is answered.
#![expect(dead_code, reason = "describes what `shape` writes by hand")]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoResponses, ToSchema};
use uuid::Uuid;

use super::cluster::UnfitReason;
use super::definition::DefinitionStatus;

/// Where an execution stands.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum ExecutionStatus {
    Pending,
    Running,
    Paused,
    Compensating,
    Completed,
    Failed,
    Cancelled,
    DeadLettered,
}

/// Where a step stands.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum StepStatus {
    Pending,
    Ready,
    Running,
    Waiting,
    Backoff,
    Completed,
    Failed,
    Skipped,
    Cancelled,
    Compensated,
    Uncertain,
}

/// What a person may do to an execution.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum AllowedAction {
    Cancel,
    Pause,
    Resume,
    Retry,
}

/// One run of one workflow version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Execution {
    pub(in crate::api) id: Uuid,
    /// The same as `id`; in answers to submissions.
    #[serde(default)]
    #[schema(required = false, nullable = false)]
    pub(in crate::api) execution_id: Option<Uuid>,
    /// Null for an inline definition.
    #[schema(required)]
    workflow_id: Option<Uuid>,
    /// Null for an inline definition.
    #[schema(required)]
    workflow_version: Option<u32>,
    workflow_name: String,
    status: ExecutionStatus,
    labels: BTreeMap<String, String>,
    /// Any JSON; null if none was given.
    #[schema(required, value_type = Value)]
    input: Value,
    /// Null until the execution has finished.
    #[schema(required)]
    pub(in crate::api) result: Option<ExecutionResult>,
    /// Why it failed, or who cancelled it and why.
    #[schema(required)]
    error: Option<Fault>,
    /// 0 low to 9 high.
    #[schema(minimum = 0, maximum = 9)]
    priority: u8,
    created_by: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(required, format = DateTime)]
    started_at: Option<String>,
    #[schema(required, format = DateTime)]
    finished_at: Option<String>,
    /// When it is given up.
    #[schema(required, format = DateTime)]
    deadline: Option<String>,
    /// Steps that have begun and are not done.
    current_steps: Vec<CurrentStep>,
    allowed_actions: Vec<AllowedAction>,
    /// How many events its history has.
    version: u64,
}

/// An execution in a list: without input and result.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ExecutionLine {
    id: Uuid,
    /// Null for an inline definition.
    #[schema(required)]
    workflow_id: Option<Uuid>,
    /// Null for an inline definition.
    #[schema(required)]
    workflow_version: Option<u32>,
    workflow_name: String,
    status: ExecutionStatus,
    labels: BTreeMap<String, String>,
    /// Why it failed, or who cancelled it and why.
    #[schema(required)]
    error: Option<Fault>,
    /// 0 low to 9 high.
    #[schema(minimum = 0, maximum = 9)]
    priority: u8,
    created_by: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(required, format = DateTime)]
    started_at: Option<String>,
    #[schema(required, format = DateTime)]
    finished_at: Option<String>,
    /// When it is given up.
    #[schema(required, format = DateTime)]
    deadline: Option<String>,
    /// Steps that have begun and are not done.
    current_steps: Vec<CurrentStep>,
    allowed_actions: Vec<AllowedAction>,
    /// How many events its history has.
    version: u64,
}

/// What a finished execution gave.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ExecutionResult {
    /// The outputs of completed steps, by step id.
    pub(in crate::api) results: BTreeMap<String, Value>,
    /// The workflow's `output`; null if its definition has none.
    #[schema(required, value_type = Value)]
    pub(in crate::api) output: Value,
}

/// A step that has begun and is not done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct CurrentStep {
    step_id: String,
    status: StepStatus,
    /// The last attempt; 0 if the step takes none.
    attempt: u32,
    #[schema(required, format = DateTime)]
    started_at: Option<String>,
    /// The attempt's deadline, the next attempt, or the end of the wait.
    #[schema(required, format = DateTime)]
    due: Option<String>,
}

/// What went wrong.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Fault {
    /// A stable word, such as `timeout` or `http_503`.
    code: String,
    message: String,
    #[schema(required)]
    step: Option<String>,
    #[schema(required)]
    attempt: Option<u32>,
    /// Whether another attempt may do better.
    retryable: bool,
    /// More, such as the status and the body of a response.
    #[schema(required, value_type = Value)]
    details: Value,
}

/// A page of executions.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ExecutionPage {
    items: Vec<ExecutionLine>,
    /// Pass it as `cursor`; null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// The answers to a submission.
#[derive(IntoResponses)]
pub(in crate::api) enum SubmittedResponses {
    /// The outcome, or what the idempotency key began before.
    #[response(
        status = 200,
        headers(("Idempotent-Replayed" = String, description = "`true` if the key was used before."))
    )]
    Finished(Execution),
    /// It is durable and on its way.
    #[response(status = 201, headers(("Location" = String, description = "Its path.")))]
    Created(Execution),
    /// The wait ran out; it goes on.
    #[response(status = 202, headers(("Location" = String, description = "Its path.")))]
    Unfinished(Execution),
}

/// One line of a log.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct LogLine {
    step_id: String,
    step_name: String,
    /// What runs the step.
    step_type: String,
    /// From 1.
    attempt: u32,
    status: LogStatus,
    /// The resolved parameters.
    #[schema(required, value_type = Value)]
    input: Value,
    #[schema(required, value_type = Value)]
    output: Value,
    /// Null while it goes on.
    #[schema(required)]
    duration_ms: Option<u64>,
    /// When it began.
    #[schema(format = DateTime)]
    timestamp: String,
    #[schema(required)]
    error_message: Option<String>,
    #[schema(required)]
    error_code: Option<String>,
    /// Input or output were left out, because the log would be too large.
    truncated: bool,
}

/// How an attempt stands or ended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum LogStatus {
    Running,
    Waiting,
    Completed,
    Failed,
    /// Its node died before the outcome was recorded.
    Lost,
    /// As `lost`, and the step's policy forbids a blind retry.
    Uncertain,
    Cancelled,
}

/// One event of a history. What else it has depends on its type.
#[derive(Debug, Deserialize, ToSchema)]
pub(in crate::api) struct Event {
    /// Counts the events of an execution from 1.
    #[schema(minimum = 1)]
    version: u64,
    /// Such as `attempt_started`.
    #[serde(rename = "type")]
    kind: String,
    /// Never earlier than the event before.
    #[schema(format = DateTime)]
    at: String,
}

/// A page of a history, oldest first.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct EventPage {
    items: Vec<Event>,
    /// Pass it as `cursor`; null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Why an execution is not further.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Explanation {
    execution_id: Uuid,
    status: ExecutionStatus,
    /// None for a finished execution.
    reasons: Vec<Reason>,
}

/// One reason.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Reason {
    /// A stable word, such as `backoff`, `delay` or `paused`.
    code: String,
    #[schema(required)]
    step_id: Option<String>,
    message: String,
    /// When it ends by itself, if known.
    #[schema(required, format = DateTime)]
    until: Option<String>,
}

/// A workflow as of one of its versions.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Workflow {
    id: Uuid,
    /// The version shown, from 1.
    #[schema(minimum = 1)]
    version: u32,
    #[schema(minimum = 1)]
    latest_version: u32,
    name: String,
    status: DefinitionStatus,
    labels: BTreeMap<String, String>,
    /// The definition, as JSON.
    #[schema(value_type = Object)]
    definition: Value,
    /// SHA-256 of the definition's canonical text.
    hash: String,
    created_by: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

/// A workflow in a list: without its definition.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct WorkflowLine {
    id: Uuid,
    #[schema(minimum = 1)]
    version: u32,
    #[schema(minimum = 1)]
    latest_version: u32,
    name: String,
    status: DefinitionStatus,
    labels: BTreeMap<String, String>,
    /// SHA-256 of the definition's canonical text.
    hash: String,
    created_by: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

/// A page of workflows.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct WorkflowPage {
    items: Vec<WorkflowLine>,
    /// Pass it as `cursor`; null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// One version of a workflow.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Version {
    #[schema(minimum = 1)]
    version: u32,
    name: String,
    labels: BTreeMap<String, String>,
    /// SHA-256 of the definition's canonical text.
    hash: String,
    created_by: String,
    #[schema(format = DateTime)]
    created_at: String,
}

/// A page of versions, newest first.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct VersionPage {
    items: Vec<Version>,
    /// Pass it as `cursor`; null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// What the check of a definition says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Validation {
    valid: bool,
    errors: Vec<Finding>,
}

/// One thing wrong with a definition.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Finding {
    /// A stable word.
    code: String,
    message: String,
    /// RFC 6901 pointer to the place.
    pointer: String,
    /// How to mend it.
    #[schema(nullable = false)]
    hint: Option<String>,
    /// From 1.
    #[schema(nullable = false)]
    line: Option<u32>,
    /// From 1.
    #[schema(nullable = false)]
    column: Option<u32>,
}

/// The process answers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Health {
    status: String,
    version: String,
}

/// Where a node stands.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NodeHealth {
    /// `ok`; `no_leader` while a partition has none that this node knows, as at a start or without a majority; or
    /// `disk_full`.
    status: String,
    version: String,
    /// Why it should not lead anything; empty if it may.
    unfit: Vec<UnfitReason>,
    /// Its id in the cluster.
    pub(in crate::api) node: u64,
    /// `ample`; `scarce`: new executions are refused; `full`: nothing changes until there is room.
    disk: String,
    pub(in crate::api) partitions: Vec<Partition>,
}

/// Where a node stands in one partition.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Partition {
    /// 0 is the catalogue.
    partition: u16,
    /// This node leads it, and its executions are at work here.
    leading: bool,
    /// The node that leads it; null if none is known.
    #[schema(required)]
    pub(in crate::api) leader: Option<u64>,
    /// Executions at work here.
    active: u64,
    /// Executions that wait.
    parked: u64,
}
