//! Problems as gRPC statuses, with the details of `google.rpc`.

use std::collections::HashMap;

use axum::http::StatusCode;
use prost::Message;
use prost_types::{Any, Duration};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::actors::Error;
use crate::api::problem::Problem;

use crate::api::edge::GRPC_CODE;

// The messages of google/rpc/status.proto and error_details.proto that are used here; declaring
// them takes fewer lines than another dependency.

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
}

#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

#[derive(Clone, PartialEq, Message)]
struct FieldViolation {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(string, tag = "2")]
    description: String,
    #[prost(string, tag = "3")]
    reason: String,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Duration>,
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let code = code(&problem);
        let mut details = vec![any(
            "ErrorInfo",
            &ErrorInfo { reason: problem.code.to_string(), domain: "everstep".to_owned() },
        )];
        let field_violations = violations(&problem);
        if !field_violations.is_empty() {
            details.push(any("BadRequest", &BadRequest { field_violations }));
        }
        if let Some(seconds) = problem.retry_after {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            let retry_delay = Some(Duration { seconds, nanos: 0 });
            details.push(any("RetryInfo", &RetryInfo { retry_delay }));
        }
        let status = RpcStatus { code: code.into(), message: problem.detail.clone(), details };
        let mut metadata = MetadataMap::new();
        if let Ok(value) = MetadataValue::try_from(problem.code.as_ref()) {
            metadata.insert(GRPC_CODE, value);
        }
        Self::with_details_and_metadata(code, problem.detail.clone(), status.encode_to_vec().into(), metadata)
    }
}

/// An error of the actors as a status, by way of the problem it is.
pub(super) fn failed(error: Error) -> Status {
    Problem::from(error).into()
}

fn code(problem: &Problem) -> Code {
    match (problem.status, &*problem.code) {
        (StatusCode::CONFLICT, "execution_exists") => Code::AlreadyExists,
        (StatusCode::CONFLICT, _) => Code::FailedPrecondition,
        (StatusCode::NOT_FOUND, _) => Code::NotFound,
        (StatusCode::PRECONDITION_FAILED, _) => Code::Aborted,
        (StatusCode::TOO_MANY_REQUESTS | StatusCode::INSUFFICIENT_STORAGE, _) => Code::ResourceExhausted,
        (StatusCode::SERVICE_UNAVAILABLE, _) => Code::Unavailable,
        (status, _) if status.is_server_error() => Code::Internal,
        _ => Code::InvalidArgument,
    }
}

/// Where the mistakes are: every finding, or the one place that the problem names.
fn violations(problem: &Problem) -> Vec<FieldViolation> {
    if problem.errors.is_empty() {
        let place = problem.pointer.clone().or_else(|| problem.parameter.clone());
        let description = problem.detail.clone();
        let reason = problem.code.to_string();
        return place.map(|field| FieldViolation { field, description, reason }).into_iter().collect();
    }
    let violation = |finding: &crate::engine::definition::Finding| FieldViolation {
        field: finding.pointer.clone(),
        description: finding.message.clone(),
        reason: finding.code.to_owned(),
    };
    problem.errors.iter().map(violation).collect()
}

fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/google.rpc.{name}"), value: message.encode_to_vec() }
}

/// The map type of the generated messages.
pub(super) type Map = HashMap<String, String>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::definition::Finding;

    #[test]
    fn a_definition_with_findings_names_all_of_them() {
        let finding = |pointer: &str| Finding {
            pointer: pointer.to_owned(),
            code: "unknown_field",
            message: "no".to_owned(),
            hint: None,
            line: None,
            column: None,
        };
        let status = failed(Error::Definition(vec![finding("/a"), finding("/b")]));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.metadata().get(GRPC_CODE).unwrap(), "invalid_definition");
        let details = RpcStatus::decode(status.details()).unwrap().details;
        assert_eq!(details.len(), 2);
        let places = BadRequest::decode(&*details[1].value).unwrap().field_violations;
        assert_eq!(places.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), ["/a", "/b"]);
    }

    #[test]
    fn overload_says_when_to_try_again() {
        let status = failed(Error::Overloaded { what: "partition", retry_after_ms: 1_200 });
        assert_eq!(status.code(), Code::ResourceExhausted);
        let details = RpcStatus::decode(status.details()).unwrap().details;
        let info = RetryInfo::decode(&*details[1].value).unwrap();
        assert_eq!(info.retry_delay.unwrap().seconds, 2);
    }
}
