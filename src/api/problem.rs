//! Everything that can go wrong, as RFC 9457 problem documents.
//!
//! A handler returns a [`Problem`]. It travels as an extension of an empty response, because only
//! the outermost layer knows the trace id that completes the document; that layer writes it with
//! [`Problem::document`].

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::actors::Error;
use crate::engine::definition::Finding;
use crate::engine::model::{InputMistake, Rejection};

use super::shape::Object;

/// Where the problem types are explained; the fragment is the code.
const TYPE_BASE: &str = "https://everstep.dev/problems#";

/// Why a request was not met. One pointer wide: it is the error of nearly every function here.
#[derive(Debug, Clone)]
pub(super) struct Problem(Box<Facts>);

/// What a problem consists of.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// The status of the response.
    pub(super) status: StatusCode,
    /// Stable; programs decide by it.
    pub(super) code: Cow<'static, str>,
    /// What happened, for a person.
    pub(super) detail: String,
    /// Where in the body, as an RFC 6901 pointer.
    pub(super) pointer: Option<String>,
    /// Which query parameter or header.
    pub(super) parameter: Option<String>,
    /// All findings, where several can be named at once.
    pub(super) errors: Vec<Finding>,
    /// When to try again, in seconds.
    pub(super) retry_after: Option<u64>,
}

impl Problem {
    /// A problem of this status and code.
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Facts {
            status,
            code: Cow::Borrowed(code),
            detail: detail.into(),
            pointer: None,
            parameter: None,
            errors: Vec::new(),
            retry_after: None,
        }))
    }

    /// With the place in the body.
    pub(super) fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// With the query parameter or header.
    pub(super) fn named(mut self, parameter: impl Into<String>) -> Self {
        self.parameter = Some(parameter.into());
        self
    }

    /// With another code.
    pub(super) fn coded(mut self, code: &'static str) -> Self {
        self.code = Cow::Borrowed(code);
        self
    }

    /// With the time after which to try again.
    fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The body is wrong at this place.
    pub(super) fn field(code: &'static str, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail).at(pointer)
    }

    /// A query parameter or a header is wrong.
    pub(super) fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", detail).named(name)
    }

    /// There is nothing at this path.
    pub(super) fn no_route(path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "route_not_found", format!("nothing is served at {path}"))
    }

    /// The path exists, the method does not.
    pub(super) fn method(method: &str) -> Self {
        let detail = format!("this path does not answer {method}; the Allow header names what it answers");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    /// An id of a form that no id has.
    pub(super) fn no_such(what: &str, code: &'static str, id: &str) -> Self {
        let shown: String = id.chars().take(64).collect();
        Self::new(StatusCode::NOT_FOUND, code, format!("there is no {what} {shown}"))
    }

    /// We are wrong. The cause is in our log, under the trace id, and nowhere else.
    pub(super) fn internal() -> Self {
        let detail = "this is a fault of the server; its log tells more under the trace id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// There are as many connections as there may be.
    pub(super) fn connections(max: usize) -> Self {
        let detail = format!("this node has {max} connections open, which is its limit; come back later");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_connections", detail).after(1)
    }

    /// Moves every place it names below `prefix`, for a document that came inside another.
    pub(super) fn below(mut self, prefix: &str) -> Self {
        self.pointer = self.pointer.take().map(|pointer| format!("{prefix}{pointer}"));
        for finding in &mut self.errors {
            finding.pointer = format!("{prefix}{}", finding.pointer);
            finding.line = None;
            finding.column = None;
        }
        self
    }

    /// The whole document, with a status line for people and a trace id for the log.
    pub(super) fn document(&self, trace_id: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + self.detail.len());
        let mut object = Object::new(&mut out);
        object.text("type", &format!("{TYPE_BASE}{}", self.code));
        object.text("title", self.status.canonical_reason().unwrap_or("Error"));
        object.number("status", u64::from(self.status.as_u16()));
        object.text("code", &self.code);
        object.text("detail", &self.detail);
        if let Some(pointer) = &self.pointer {
            object.text("pointer", pointer);
        }
        if let Some(parameter) = &self.parameter {
            object.text("parameter", parameter);
        }
        if !self.errors.is_empty() {
            object.list("errors", &self.errors, write_finding);
        }
        object.text("trace_id", trace_id);
        object.end();
        out
    }
}

/// Writes one finding of the definition check.
pub(super) fn write_finding(out: &mut Vec<u8>, finding: &Finding) {
    let mut object = Object::new(out);
    object.text("code", finding.code);
    object.text("message", &finding.message);
    object.text("pointer", &finding.pointer);
    if let Some(hint) = &finding.hint {
        object.text("hint", hint);
    }
    if let Some(line) = finding.line {
        object.number("line", u64::from(line));
    }
    if let Some(column) = finding.column {
        object.number("column", u64::from(column));
    }
    object.end();
}

impl std::ops::Deref for Problem {
    type Target = Facts;
    fn deref(&self) -> &Facts {
        &self.0
    }
}

impl std::ops::DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut Facts {
        &mut self.0
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let status = match &rejection {
            Rejection::ExecutionNotFound { .. } | Rejection::AttemptNotFound { .. } => StatusCode::NOT_FOUND,
            Rejection::ExecutionExists { .. }
            | Rejection::NotAllowed { .. }
            | Rejection::NothingToRetry
            | Rejection::NotActive { .. } => StatusCode::CONFLICT,
            Rejection::InvalidInput { .. } | Rejection::Limit { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let problem = Self::new(status, rejection.code(), rejection.to_string());
        match rejection {
            Rejection::InvalidInput { mistakes } => invalid_input(problem, mistakes),
            _ => problem,
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code = error.code();
        let detail = error.to_string();
        match error {
            Error::Rejected(rejection) => rejection.into(),
            Error::Definition(findings) => definition(findings),
            Error::WorkflowNotFound { .. } | Error::VersionNotFound { .. } => {
                Self::new(StatusCode::NOT_FOUND, code, detail)
            }
            Error::VersionConflict { .. } => Self::new(StatusCode::PRECONDITION_FAILED, code, detail),
            Error::NodeNotFound { .. } => Self::new(StatusCode::NOT_FOUND, code, detail),
            Error::NodeRefused(_) | Error::StillHolds { .. } => Self::new(StatusCode::CONFLICT, code, detail),
            Error::KeyReused => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail).named("Idempotency-Key")
            }
            Error::Overloaded { retry_after_ms, .. } => {
                let seconds = retry_after_ms.div_ceil(1_000).max(1);
                Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail).after(seconds)
            }
            Error::DiskScarce { retry_after_ms } => {
                let seconds = retry_after_ms.div_ceil(1_000).max(1);
                Self::new(StatusCode::INSUFFICIENT_STORAGE, code, detail).after(seconds)
            }
            Error::Elsewhere { .. } | Error::Unavailable { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).after(1)
            }
        }
    }
}

/// An input that does not match its schema. The first mistake also stands at the top.
fn invalid_input(mut problem: Problem, mistakes: Vec<InputMistake>) -> Problem {
    let finding = |InputMistake { pointer, message }| Finding {
        pointer: format!("/input{pointer}"),
        code: "invalid_input",
        message,
        hint: None,
        line: None,
        column: None,
    };
    problem.errors = mistakes.into_iter().map(finding).collect();
    problem.pointer = problem.errors.first().map(|finding| finding.pointer.clone());
    problem
}

/// A definition that did not pass its check. The first finding also stands at the top, for those who
/// read only that.
fn definition(findings: Vec<Finding>) -> Problem {
    let detail = match findings.as_slice() {
        [] => "the definition was refused".to_owned(),
        [only] => only.message.clone(),
        [first, rest @ ..] => format!("{} (and {} more)", first.message, rest.len()),
    };
    let mut problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_definition", detail);
    problem.pointer = findings.first().map(|finding| finding.pointer.clone());
    problem.errors = findings;
    problem
}
