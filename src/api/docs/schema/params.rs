//! What may be asked in paths, query strings and headers.
#![expect(dead_code, reason = "describes what `ask` reads by hand")]

use utoipa::IntoParams;
use uuid::Uuid;

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::api) struct WorkflowPathParams {
    /// The id of the workflow.
    id: Uuid,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::api) struct ExecutionPathParams {
    /// The id of the execution.
    id: Uuid,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::api) struct NodePathParams {
    /// The id of the node.
    #[param(minimum = 1)]
    id: u64,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ForceParams {
    /// Remove it although it votes and answers; `false` unless given.
    #[param(required = false, nullable = false)]
    force: Option<bool>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct WaitParams {
    /// How long to wait for the outcome, at most `5m`: `500ms`, `30s`, `2m`, or a number of seconds.
    #[param(
        required = false,
        nullable = false,
        pattern = "^([0-9]{1,5}ms|([0-2]?[0-9]{1,2}|300)s?|[0-5]m)$",
        example = "30s"
    )]
    wait: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(in crate::api) struct IdempotencyHeader {
    /// Makes it happen once: a repeat with the same key and request answers what the first one did.
    #[param(
        rename = "Idempotency-Key",
        required = false,
        nullable = false,
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]+$"
    )]
    key: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(in crate::api) struct IfMatchHeader {
    /// The ETag of the version that is to be replaced; another latest version answers 412.
    #[param(
        rename = "If-Match",
        required = false,
        nullable = false,
        pattern = r#"^(\*|"[1-9][0-9]{0,8}")$"#,
        example = "\"3\""
    )]
    tag: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct VersionParams {
    /// Which version; the latest unless given.
    #[param(required = false, nullable = false, minimum = 1)]
    version: Option<u32>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct PageParams {
    /// `next_cursor` of the page before.
    #[param(required = false, nullable = false, pattern = "^v[0-9a-f]{1,8}$")]
    cursor: Option<String>,
    /// Entries on the page; 50 unless given.
    #[param(required = false, nullable = false, minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct HistoryParams {
    /// `next_cursor` of the page before.
    #[param(required = false, nullable = false, pattern = "^h[0-9a-f]{1,8}$")]
    cursor: Option<String>,
    /// Events on the page; 50 unless given.
    #[param(required = false, nullable = false, minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct WorkflowFilters {
    /// Only those of this status.
    #[param(required = false, nullable = false, inline)]
    status: Option<super::definition::DefinitionStatus>,
    /// `next_cursor` of the page before.
    #[param(required = false, nullable = false, pattern = "^w[0-9a-f]{32}$")]
    cursor: Option<String>,
    /// Entries on the page; 50 unless given.
    #[param(required = false, nullable = false, minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ExecutionFilters {
    /// Any of these; repeat it or separate by commas.
    #[param(required = false, nullable = false)]
    status: Option<Vec<super::answers::ExecutionStatus>>,
    /// Only those of this workflow.
    #[param(required = false, nullable = false)]
    workflow_id: Option<Uuid>,
    /// Created at or after this time.
    #[param(required = false, nullable = false, format = DateTime)]
    created_from: Option<String>,
    /// Created before this time.
    #[param(required = false, nullable = false, format = DateTime)]
    created_before: Option<String>,
    /// With this label, as `name:value`; repeat it for several, all of which have to be there.
    #[param(required = false, schema_with = super::label_filters)]
    label: Option<Vec<String>>,
    /// `next_cursor` of the page before.
    #[param(required = false, nullable = false, pattern = "^e[0-9a-f]{32}$")]
    cursor: Option<String>,
    /// Entries on the page; 50 unless given.
    #[param(required = false, nullable = false, minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct StreamParams {
    /// Go on after this version, where the `Last-Event-ID` header cannot be set. At most the version of the
    /// execution.
    #[param(required = false, nullable = false, minimum = 0, maximum = 4294967295_u32)]
    last_event_id: Option<u64>,
}
