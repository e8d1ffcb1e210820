//! One request: admitted, sent, redirected, answered.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde_json::{Map, Value, json};

use super::Egress;
use super::trust::distrusted;
use crate::engine::model::{Fault, TenantId, Timestamp, codes};
use crate::runners::{Attempt, fit};

/// Redirects followed. Browsers follow twenty; an API that needs more than five is lost.
const REDIRECTS_MAX: usize = 5;
/// Bytes of an answer's headers that are kept.
const HEADERS_BYTES_MAX: usize = 16 << 10;

/// Headers that go along to another origin. All others may hold secrets, whatever their names.
const HARMLESS: [HeaderName; 4] =
    [header::ACCEPT, header::ACCEPT_LANGUAGE, header::CONTENT_TYPE, header::USER_AGENT];

/// What to send.
#[derive(Debug, Clone)]
pub(in crate::runners) struct Request {
    pub(in crate::runners) method: Method,
    pub(in crate::runners) url: Url,
    pub(in crate::runners) headers: HeaderMap,
    pub(in crate::runners) body: Option<Vec<u8>>,
    /// Whether redirects are followed.
    pub(in crate::runners) follow: bool,
}

/// What came back.
#[derive(Debug)]
pub(in crate::runners) struct Response {
    pub(in crate::runners) status: StatusCode,
    pub(in crate::runners) headers: HeaderMap,
    body: Vec<u8>,
}

impl Egress {
    /// Makes one request for an attempt, with the headers that let the other side tell a repeat.
    ///
    /// Errors: `refused`, `connection`, `certificate`, `timeout` (of the attempt's deadline, or of the settings if it
    /// has none), `limit` for a body beyond the cap. Any status is an answer, not an error.
    pub(in crate::runners) async fn send(
        &self,
        attempt: &Attempt,
        mut request: Request,
    ) -> Result<Response, Fault> {
        identify(attempt, &mut request.headers)?;
        let allowed = self.allowed(attempt.deadline);
        let answer = async {
            let _turn = self.turns.acquire().await.expect("the turns are never closed");
            self.follow(&attempt.tenant, request).await
        };
        match tokio::time::timeout(allowed, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::retryable(
                codes::TIMEOUT,
                format!("no complete answer within {} ms", allowed.as_millis()),
            )),
        }
    }

    fn allowed(&self, deadline: Option<Timestamp>) -> Duration {
        deadline.map_or(self.settings.timeout, |deadline| deadline.since(self.now()).duration())
    }

    async fn follow(&self, tenant: &TenantId, mut request: Request) -> Result<Response, Fault> {
        for _ in 0..=REDIRECTS_MAX {
            let response = self.once(tenant, &request).await?;
            let target = request.follow.then(|| target(&request.url, &response)).flatten();
            let Some(target) = target else {
                return self.read(response).await;
            };
            redirect(&mut request, response.status(), target);
        }
        Err(Fault::fatal(codes::LIMIT, format!("more than {REDIRECTS_MAX} redirects")))
    }

    async fn once(&self, tenant: &TenantId, request: &Request) -> Result<reqwest::Response, Fault> {
        let admitted = self.guard.admit(request.url.clone()).await?;
        let client = self.clients.client(tenant, &admitted)?;
        let mut builder =
            client.request(request.method.clone(), admitted.url).headers(request.headers.clone());
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        builder.send().await.map_err(broken)
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Response, Fault> {
        let bytes_max = self.settings.response_bytes_max;
        let too_large = || {
            Fault::fatal(
                codes::LIMIT,
                format!("the answer's body has more than {bytes_max} bytes, the limit"),
            )
        };
        if response.content_length().is_some_and(|length| length > bytes_max as u64) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > bytes_max {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status: response.status(), headers: std::mem::take(response.headers_mut()), body })
    }
}

impl Response {
    /// The headers by name, in lower case; several of one name joined by a comma.
    pub(in crate::runners) fn headers(&self) -> Value {
        let mut object = Map::new();
        let mut bytes = 0;
        for (name, value) in &self.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            bytes += name.as_str().len() + value.len();
            if bytes > HEADERS_BYTES_MAX {
                break;
            }
            match object.get_mut(name.as_str()) {
                Some(Value::String(joined)) => {
                    joined.push_str(", ");
                    joined.push_str(&value);
                }
                _ => {
                    object.insert(name.as_str().to_owned(), json!(value));
                }
            }
        }
        Value::Object(object)
    }

    /// The body: parsed if it is JSON, otherwise as text, with what is not UTF-8 replaced.
    ///
    /// It counts as JSON by its content type, or without one by its first character.
    pub(in crate::runners) fn body(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let claims_json = kind.map_or_else(|| text.trim_start().starts_with(['{', '[']), is_json);
        if claims_json
            && fit::shallow(&text)
            && let Ok(value) = serde_json::from_str(&text)
        {
            return value;
        }
        Value::String(text.into_owned())
    }
}

/// Whether a content type is JSON: `application/json`, or any that ends in `+json`.
fn is_json(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(essence.as_str(), "application/json" | "text/json") || essence.ends_with("+json")
}

/// Adds the headers that name the attempt, unless the step sets its own.
fn identify(attempt: &Attempt, headers: &mut HeaderMap) -> Result<(), Fault> {
    let named = [
        (HeaderName::from_static("idempotency-key"), attempt.idempotency_key()),
        (HeaderName::from_static("everstep-attempt"), attempt.attempt.to_string()),
    ];
    for (name, text) in named {
        let value = HeaderValue::from_str(&text).map_err(|error| {
            Fault::fatal(codes::INTERNAL, format!("name the attempt in a header: {error}"))
        })?;
        headers.entry(name).or_insert(value);
    }
    Ok(())
}

/// Where an answer sends us, if it does.
fn target(from: &Url, response: &reqwest::Response) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    from.join(location).ok()
}

/// The next request of a redirect, as browsers do it.
fn redirect(request: &mut Request, status: StatusCode, target: Url) {
    let becomes_get = match status.as_u16() {
        303 => request.method != Method::HEAD,
        301 | 302 => request.method == Method::POST,
        _ => false,
    };
    if becomes_get {
        request.method = Method::GET;
        request.body = None;
        request.headers.remove(header::CONTENT_TYPE);
    }
    if target.origin() != request.url.origin() {
        let mut harmless = HeaderMap::new();
        for name in HARMLESS {
            if let Some(value) = request.headers.get(&name) {
                harmless.insert(name, value.clone());
            }
        }
        request.headers = harmless;
    }
    request.url = target;
}

/// A connection that could not be made, or broke. The URL stays out: it may hold a secret.
fn broken(error: reqwest::Error) -> Fault {
    let error = error.without_url();
    if let Some(fault) = distrusted(&error) {
        return fault;
    }
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    let code = if error.is_timeout() { codes::TIMEOUT } else { codes::CONNECTION };
    Fault::retryable(code, message)
}
