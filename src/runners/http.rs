//! `http`: calls a URL.

mod check;

use std::collections::BTreeMap;

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use std::sync::Arc;

pub(super) use check::{check_headers, check_url};

use super::egress::{Egress, Request, Response};
use super::{Attempt, Outcome, Runner, Running, params};
use crate::engine::definition::RunnerShape;
use crate::engine::model::{Fault, Payload, codes};

/// Bytes of a body kept in a fault. A fault is recorded per attempt and is there to be read.
const FAULT_BODY_BYTES_MAX: usize = 16 << 10;

/// Headers that frame a message or address it; a step that could set them could smuggle.
const RESERVED: [HeaderName; 7] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
];

/// The runner. See the module.
pub(super) struct Http {
    egress: Arc<Egress>,
}

#[derive(Deserialize)]
struct Params {
    url: String,
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
    #[serde(default)]
    query: BTreeMap<String, Value>,
    json: Option<Value>,
    body: Option<Value>,
    form: Option<BTreeMap<String, Value>>,
    credential: Option<Value>,
    expect: Option<Expect>,
}

/// Which statuses are a success.
#[derive(Deserialize)]
#[serde(untagged)]
enum Expect {
    One(Status),
    Several(Vec<Status>),
}

/// `204`, `"204"` or `"2xx"`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Status {
    Number(u16),
    Text(String),
}

impl Http {
    pub(super) fn new(egress: Arc<Egress>) -> Self {
        Self { egress }
    }

    async fn attempt(&self, attempt: &Attempt) -> Outcome {
        let params: Params = params::decode(&attempt.params)?;
        if params.credential.is_some() {
            return Err(Fault::fatal(
                codes::MISSING_CREDENTIALS,
                "this node keeps no credentials, so `credential` names none",
            ));
        }
        let expect = params.expect.as_ref().map(Ranges::read).transpose()?;
        let request = request(params, expect.as_ref())?;
        let started = Instant::now();
        let response = self.egress.send(attempt, request).await?;
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let good = match &expect {
            None => response.status.as_u16() < 400,
            Some(ranges) => ranges.hold(response.status),
        };
        if good { Ok(output(&response, duration_ms)) } else { Err(fault(&response)) }
    }
}

impl Runner for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn shape(&self) -> RunnerShape {
        let known =
            ["url", "method", "headers", "query", "json", "body", "form", "credential", "expect", "timeout"];
        RunnerShape {
            actions: params::names(&["request"]),
            required: params::names(&["url"]),
            known: params::names(&known),
            check: Some(check::check),
        }
    }

    fn run<'a>(&'a self, attempt: &'a Attempt) -> Running<'a> {
        Box::pin(self.attempt(attempt))
    }
}

/// The output of a request that went well.
pub(super) fn output(response: &Response, duration_ms: u64) -> Payload {
    Payload::from_value(&json!({
        "status": response.status.as_u16(),
        "headers": response.headers(),
        "body": response.body(),
        "duration_ms": duration_ms,
    }))
}

/// The fault of an answer that is none of those wanted.
pub(super) fn fault(response: &Response) -> Fault {
    let status = response.status;
    let code = format!("http_{}", status.as_u16());
    let reason = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
    let message = format!("the server answered {}{reason}", status.as_u16());
    let mut details = json!({ "status": status.as_u16(), "headers": response.headers() });
    let body = response.body();
    details["body"] = match body.to_string() {
        text if text.len() <= FAULT_BODY_BYTES_MAX => body,
        text => json!(super::fit::cut(text, FAULT_BODY_BYTES_MAX)),
    };
    if let Some(after) = response.headers.get(header::RETRY_AFTER) {
        details["retry_after"] = json!(String::from_utf8_lossy(after.as_bytes()));
    }
    let passing = matches!(status.as_u16(), 408 | 429) || status.is_server_error();
    let fault = if passing { Fault::retryable(code, message) } else { Fault::fatal(code, message) };
    fault.with_details(Payload::from_value(&details))
}

/// Header names and values a step may set. Errors: a `schema` fault that names the header.
pub(super) fn headers(given: &BTreeMap<String, Value>) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let text = params::text(&format!("headers.{name}"), value)?;
        let header = header_name(name)?;
        let value = header_value(&header, text)?;
        headers.append(header, value);
    }
    Ok(headers)
}

fn header_name(name: &str) -> Result<HeaderName, Fault> {
    let header =
        HeaderName::try_from(name).map_err(|_| params::wrong(format!("{name:?} is no name of a header")))?;
    if RESERVED.contains(&header) {
        return Err(params::wrong(format!("the header `{header}` is set by the connection, not by a step")));
    }
    Ok(header)
}

fn header_value(header: &HeaderName, text: String) -> Result<HeaderValue, Fault> {
    HeaderValue::try_from(text)
        .map_err(|_| params::wrong(format!("the value of the header `{header}` cannot be sent")))
}

/// A URL. Errors: a `schema` fault.
pub(super) fn url(text: &str) -> Result<Url, Fault> {
    Url::parse(text).map_err(|error| params::wrong(format!("`url` is no absolute URL: {error}")))
}

fn request(params: Params, expect: Option<&Ranges>) -> Result<Request, Fault> {
    let mut url = url(&params.url)?;
    for (name, value) in &params.query {
        append(&mut url, name, value)?;
    }
    let mut headers = headers(&params.headers)?;
    let body = body(&params)?;
    if let Some((kind, _)) = &body {
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
    }
    let body = body.map(|(_, bytes)| bytes);
    let method = match &params.method {
        Some(name) => method(name)?,
        None if body.is_some() => Method::POST,
        None => Method::GET,
    };
    // Who expects a redirect wants to see it.
    let follow = !expect.is_some_and(Ranges::hold_redirects);
    Ok(Request { method, url, headers, body, follow })
}

fn method(name: &str) -> Result<Method, Fault> {
    Method::from_bytes(name.to_ascii_uppercase().as_bytes())
        .map_err(|_| params::wrong(format!("`method` is none: {name:?}")))
}

/// Adds a query parameter; a list adds one per entry, null adds none.
fn append(url: &mut Url, name: &str, value: &Value) -> Result<(), Fault> {
    match value {
        Value::Null => Ok(()),
        Value::Array(values) => values.iter().try_for_each(|value| append_one(url, name, value)),
        value => append_one(url, name, value),
    }
}

fn append_one(url: &mut Url, name: &str, value: &Value) -> Result<(), Fault> {
    let text = params::text(&format!("query.{name}"), value)?;
    url.query_pairs_mut().append_pair(name, &text);
    Ok(())
}

/// The body and what it is.
fn body(params: &Params) -> Result<Option<(&'static str, Vec<u8>)>, Fault> {
    match (&params.json, &params.body, &params.form) {
        (None, None, None) => Ok(None),
        (Some(json), None, None) => Ok(Some(("application/json", json.to_string().into_bytes()))),
        (None, Some(Value::String(text)), None) => {
            Ok(Some(("text/plain; charset=utf-8", text.clone().into_bytes())))
        }
        (None, Some(value), None) => Ok(Some(("application/json", value.to_string().into_bytes()))),
        (None, None, Some(form)) => {
            let mut encoded = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in form {
                encoded.append_pair(name, &params::text(&format!("form.{name}"), value)?);
            }
            Ok(Some(("application/x-www-form-urlencoded", encoded.finish().into_bytes())))
        }
        _ => Err(params::wrong("`json`, `body` and `form` exclude each other")),
    }
}

/// Inclusive ranges of statuses.
struct Ranges(Vec<(u16, u16)>);

impl Ranges {
    fn read(expect: &Expect) -> Result<Self, Fault> {
        let statuses = match expect {
            Expect::One(status) => std::slice::from_ref(status),
            Expect::Several(statuses) => statuses,
        };
        statuses.iter().map(range).collect::<Result<_, _>>().map(Self)
    }

    fn hold(&self, status: StatusCode) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&status.as_u16()))
    }

    fn hold_redirects(&self) -> bool {
        self.0.iter().any(|(first, last)| *first <= 399 && *last >= 300)
    }
}

fn range(status: &Status) -> Result<(u16, u16), Fault> {
    let exact = |number: u16| (100..=599).contains(&number).then_some((number, number));
    let range = match status {
        Status::Number(number) => exact(*number),
        Status::Text(text) => match text.as_bytes() {
            [hundred @ b'1'..=b'5', b'x' | b'X', b'x' | b'X'] => {
                let first = u16::from(hundred - b'0') * 100;
                Some((first, first + 99))
            }
            _ => text.parse().ok().and_then(exact),
        },
    };
    range.ok_or_else(|| params::wrong("`expect` holds statuses, such as 204 or \"2xx\", or a list of them"))
}

#[cfg(test)]
pub(super) mod tests;
