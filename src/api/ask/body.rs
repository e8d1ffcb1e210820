//! Request bodies: bounded in bytes, time and depth, and of a type we know.

use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

use crate::api::front::Front;
use crate::api::problem::Problem;
use crate::engine::definition::Finding;
use crate::engine::model::OversizedInteger;
use crate::engine::model::limits::JSON_DEPTH_MAX;

use super::fields::Fields;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Format {
    Json,
    Yaml,
}

/// A body that was read whole.
#[derive(Debug)]
pub(in crate::api) struct Body {
    bytes: Bytes,
    format: Option<Format>,
}

impl FromRequest<Front> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, front: &Front) -> Result<Self, Problem> {
        let max = front.settings.body_bytes_max;
        let format = format(request.headers());
        plain(request.headers())?;
        if content_length(request.headers()).is_some_and(|length| length > max as u64) {
            return Err(too_large(max));
        }
        let reading = Limited::new(request.into_body(), max).collect();
        let bytes = match tokio::time::timeout(front.settings.body_time_max, reading).await {
            Ok(Ok(collected)) => collected.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large(max)),
            Ok(Err(_)) => {
                return Err(Problem::new(
                    StatusCode::BAD_REQUEST,
                    "body_cut_off",
                    "the body broke off before its end",
                ));
            }
            Err(_) => {
                let detail = "the body did not arrive in time";
                return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail));
            }
        };
        if bytes.is_empty() {
            return Ok(Self { bytes, format: Some(Format::Json) });
        }
        Ok(Self { bytes, format })
    }
}

impl Body {
    /// The fields of a JSON object; none if there is no body, or null. Errors: another type, bad JSON, or
    /// something that is not an object.
    pub(in crate::api) fn fields(self) -> Result<Fields, Problem> {
        if self.format != Some(Format::Json) {
            return Err(unsupported("application/json"));
        }
        if self.bytes.is_empty() {
            return Ok(Fields::default());
        }
        match json(&self.bytes)? {
            Value::Object(map) => Ok(Fields::new(map)),
            Value::Null => Ok(Fields::default()),
            other => Err(Problem::field(
                "invalid_field",
                "",
                format!("the body has to be an object, not {}", super::fields::kind(&other)),
            )),
        }
    }

    /// The text of a definition, JSON or YAML.
    pub(in crate::api) fn definition(&self) -> Result<&str, Problem> {
        let Some(format) = self.format else {
            return Err(unsupported("application/json or application/yaml"));
        };
        let text = text(&self.bytes)?;
        if format == Format::Json {
            json(&self.bytes)?;
        }
        Ok(text)
    }
}

/// What the headers call the body; a body without a type is taken for JSON.
fn format(headers: &HeaderMap) -> Option<Format> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Some(Format::Json) };
    let essence = value.to_str().ok()?.split(';').next()?.trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => Some(Format::Json),
        "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" => Some(Format::Yaml),
        other if other.starts_with("application/") && other.ends_with("+json") => Some(Format::Json),
        _ => None,
    }
}

/// Refuses a compressed body. Read as it is, it would be reported as broken JSON.
fn plain(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(()) };
    if value.as_bytes().eq_ignore_ascii_case(b"identity") {
        return Ok(());
    }
    let detail = "bodies are taken as they are: send this one uncompressed, without Content-Encoding";
    let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", detail);
    Err(problem.named("Content-Encoding"))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn text(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|error| {
        let detail = format!("the body is not UTF-8 from byte {} on", error.valid_up_to());
        Problem::new(StatusCode::BAD_REQUEST, "invalid_utf8", detail)
    })
}

/// Parses JSON. Errors name line and column. An integer that a [`Value`] cannot hold is refused, since it
/// would come back as another one.
pub(in crate::api) fn json(bytes: &[u8]) -> Result<Value, Problem> {
    let text = text(bytes)?;
    if too_deep(bytes) {
        let detail = format!("the document is nested deeper than {JSON_DEPTH_MAX} levels");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "too_deep", detail));
    }
    let value = serde_json::from_str(text).map_err(|error| {
        let detail = format!("the body is not JSON: {error}");
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        placed("invalid_json", detail, number(error.line()), number(error.column()))
    })?;
    if let Some(OversizedInteger { digits, line, column }) = OversizedInteger::find(text) {
        let detail = format!(
            "the integer {digits:.40} at line {line} column {column} does not fit 64 bits and would lose \
             digits; write it as a string"
        );
        return Err(placed("integer_too_large", detail, line, column));
    }
    Ok(value)
}

/// A problem of a text, with its place for those who can show it.
fn placed(code: &'static str, detail: String, line: u32, column: u32) -> Problem {
    let finding = Finding {
        pointer: String::new(),
        code: "malformed",
        message: detail.clone(),
        hint: None,
        line: Some(line),
        column: Some(column.max(1)),
    };
    let mut problem = Problem::new(StatusCode::BAD_REQUEST, code, detail);
    problem.errors.push(finding);
    problem
}

/// Whether brackets nest too deeply; looked at before anything is built.
fn too_deep(bytes: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut escaped = false;
    for byte in bytes {
        match (quoted, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => quoted = !quoted,
            (false, b'[' | b'{') => depth += 1,
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > JSON_DEPTH_MAX {
            return true;
        }
    }
    false
}

fn too_large(max: usize) -> Problem {
    let detail = format!("a body may have {max} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

fn unsupported(expected: &str) -> Problem {
    let detail = format!("the Content-Type of this body has to be {expected}");
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_json_has_a_place() {
        let problem = json(b"{\"a\": 1,\n  b}").unwrap_err();
        assert_eq!(problem.code, "invalid_json");
        assert!(problem.detail.contains("line 2 column 3"), "{}", problem.detail);
        assert_eq!((problem.errors[0].line, problem.errors[0].column), (Some(2), Some(3)));
    }

    #[test]
    fn an_integer_that_would_lose_digits_is_refused() {
        assert_eq!(json(b"[18446744073709551615]").unwrap().to_string(), "[18446744073709551615]");
        let problem = json(b"{\"id\": 18446744073709551617}").unwrap_err();
        assert_eq!(problem.code, "integer_too_large");
        assert!(problem.detail.contains("18446744073709551617 at line 1 column 8"), "{}", problem.detail);
    }

    #[test]
    fn compressed_bodies_are_refused_by_name() {
        let with = |text: &'static str| {
            plain(&HeaderMap::from_iter([(CONTENT_ENCODING, text.parse().expect("a header"))]))
        };
        let problem = with("gzip").unwrap_err();
        assert_eq!((problem.status.as_u16(), &*problem.code), (415, "unsupported_encoding"));
        assert!(with("identity").is_ok() && plain(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn depth_is_bounded_and_brackets_in_texts_do_not_count() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(json(nested(127).as_bytes()).is_ok());
        assert_eq!(json(nested(128).as_bytes()).unwrap_err().code, "too_deep");
        assert_eq!(json(nested(1_000_000).as_bytes()).unwrap_err().code, "too_deep");
        let quoted = serde_json::to_string(&format!("\"{}\\", "[".repeat(1_000))).unwrap();
        assert!(json(quoted.as_bytes()).is_ok());
    }

    #[test]
    fn types_are_read_without_their_parameters() {
        let of = |text: &'static str| {
            format(&HeaderMap::from_iter([(CONTENT_TYPE, text.parse().expect("a header"))]))
        };
        assert_eq!(of("application/json; charset=utf-8"), Some(Format::Json));
        assert_eq!(of("Text/YAML"), Some(Format::Yaml));
        assert_eq!(of("application/problem+json"), Some(Format::Json));
        assert_eq!(of("application/x-www-form-urlencoded"), None);
        assert_eq!(format(&HeaderMap::new()), Some(Format::Json));
    }
}
