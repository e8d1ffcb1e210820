//! The failures an endpoint can answer with, for the document.

use std::collections::BTreeMap;

use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// An RFC 9457 problem document.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "describes what `problem` writes by hand")]
pub(in crate::api) struct ProblemDocument {
    /// Where this kind of problem is explained.
    #[schema(rename = "type")]
    r#type: String,
    /// The status line, for people.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// Stable; programs decide by it.
    code: String,
    /// What happened, for people.
    detail: String,
    /// Where in the body, as an RFC 6901 pointer.
    #[schema(required = false)]
    pointer: Option<String>,
    /// Which query parameter or header.
    #[schema(required = false)]
    parameter: Option<String>,
    /// All findings of a definition's check, or all mistakes of an input.
    #[schema(required = false)]
    errors: Option<Vec<super::schema::Finding>>,
    /// Names this request in the server's log.
    trace_id: String,
}

/// What a request that changes nothing may be refused with.
pub(in crate::api) struct Reads;

/// What a request that changes something and has no body may be refused with.
pub(in crate::api) struct Changes;

/// What a request with a body may be refused with.
pub(in crate::api) struct Writes;

const READS: &[(u16, &str)] = &[
    (400, "A parameter, a header or the body is malformed."),
    (404, "There is no such thing, for this caller."),
    (429, "Too much at once; nothing was done. `Retry-After` says when to try again."),
    (500, "A fault of the server."),
    (503, "No leader at the moment, or it did not answer. Whether a change happened is unknown."),
];

const WRITES: &[(u16, &str)] = &[
    (408, "The body did not arrive in time."),
    (409, "The status forbids it."),
    (412, "The version named by `If-Match` is not the latest."),
    (413, "The body is too large."),
    (415, "The body is of a type that is not taken."),
    (507, "The disk is nearly full; nothing was done. `Retry-After` says when to try again."),
    (422, "The body is well-formed and says something unlawful; `errors` and `pointer` say what and where."),
];

impl IntoResponses for Reads {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        all(READS.iter())
    }
}

impl IntoResponses for Changes {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        all(READS.iter().chain(WRITES.iter().filter(|(status, _)| *status == 409)))
    }
}

impl IntoResponses for Writes {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        all(READS.iter().chain(WRITES))
    }
}

fn all<'a>(problems: impl Iterator<Item = &'a (u16, &'a str)>) -> BTreeMap<String, RefOr<Response>> {
    problems.map(|(status, description)| (status.to_string(), RefOr::T(one(description)))).collect()
}

fn one(description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}
