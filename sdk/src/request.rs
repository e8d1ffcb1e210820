//! One call: sent, repeated where that is safe, and its answer read.

use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Method, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::error::Problem;
use crate::retry;
use crate::{Error, Result};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// One call, before it is sent.
pub(crate) struct Call<'a> {
    client: &'a Client,
    method: Method,
    url: Url,
    body: Option<(&'static str, Vec<u8>)>,
    idempotency_key: Option<String>,
    headers: HeaderMap,
    timeout: Option<Duration>,
}

/// An answer of success whose body may still be on its way.
struct Answer {
    response: Response,
    address: String,
}

impl Answer {
    async fn body(self) -> Result<impl AsRef<[u8]>> {
        self.response.bytes().await.map_err(|source| network(&self.address, source))
    }
}

impl Client {
    pub(crate) fn get(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::GET, path)
    }

    pub(crate) fn call(&self, method: Method, path: &[&str]) -> Call<'_> {
        let mut url = self.inner.base.clone();
        // An http URL always has a path to extend; ids are escaped by `extend`.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let timeout = Some(self.inner.timeout);
        let headers = HeaderMap::new();
        Call { client: self, method, url, body: None, idempotency_key: None, headers, timeout }
    }
}

impl Call<'_> {
    /// Adds a query parameter where there is a value.
    pub(crate) fn query(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            self.url.query_pairs_mut().append_pair(name, value);
        }
        self
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self> {
        let bytes = serde_json::to_vec(body)
            .map_err(|error| Error::Setup { reason: format!("write the request: {error}") })?;
        self.body = Some(("application/json", bytes));
        Ok(self)
    }

    pub(crate) fn text(mut self, content_type: &'static str, text: &str) -> Self {
        self.body = Some((content_type, text.as_bytes().to_vec()));
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Self> {
        let value =
            value.parse().map_err(|_| Error::Setup { reason: format!("{name} cannot carry {value:?}") })?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Makes a creation safe to repeat. Without a key of the caller's, a fresh one.
    pub(crate) fn idempotent(mut self, key: Option<&str>) -> Self {
        self.idempotency_key = Some(key.map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned));
        self
    }

    /// Allows this much longer than usual, because the server was asked to wait.
    pub(crate) fn patience(mut self, extra: Duration) -> Self {
        self.timeout = self.timeout.map(|timeout| timeout.saturating_add(extra));
        self
    }

    /// Takes any time: for streams.
    pub(crate) fn endless(mut self) -> Self {
        self.timeout = None;
        self
    }

    pub(crate) async fn send<T: DeserializeOwned>(self) -> Result<T> {
        let bytes = self.repeat(async |call: &Self| call.send_once().await?.body().await).await?;
        let address = self.client.address().to_owned();
        serde_json::from_slice(bytes.as_ref())
            .map_err(|error| Error::Malformed { address, reason: error.to_string() })
    }

    pub(crate) async fn send_empty(self) -> Result<()> {
        self.repeat(async |call: &Self| call.send_once().await).await.map(drop)
    }

    /// The head of the answer; its body is the caller's to read.
    pub(crate) async fn send_head(self) -> Result<Response> {
        Ok(self.repeat(async |call: &Self| call.send_once().await).await?.response)
    }

    /// Tries `once`, and again while the policy allows and a repeat is safe.
    async fn repeat<T>(&self, once: impl AsyncFn(&Self) -> Result<T>) -> Result<T> {
        let (mut failures, begun) = (0, Instant::now());
        loop {
            let error = match once(self).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            failures += 1;
            let policy = &self.client.inner.retry;
            // Nobody waits longer for many tries than for one that is not answered.
            let late = self.timeout.is_some_and(|timeout| begun.elapsed() >= timeout);
            if late || failures >= policy.attempts || !self.is_repeatable(&error) {
                return Err(error);
            }
            let asked = error.problem().and_then(|problem| problem.retry_after);
            tokio::time::sleep(policy.delay(failures, asked, retry::chance())).await;
        }
    }

    async fn send_once(&self) -> Result<Answer> {
        let mut request = self
            .client
            .inner
            .http
            .request(self.method.clone(), self.url.clone())
            .headers(self.headers.clone());
        if let Some((content_type, body)) = &self.body {
            request = request.header(CONTENT_TYPE, *content_type).body(body.clone());
        }
        if let Some(key) = &self.idempotency_key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        if let Some(timeout) = self.timeout {
            request = request.timeout(timeout);
        }
        let address = self.client.address();
        let response = request.send().await.map_err(|source| network(address, source))?;
        if response.status().is_success() {
            Ok(Answer { response, address: address.to_owned() })
        } else {
            Err(refusal(response).await)
        }
    }

    fn is_repeatable(&self, error: &Error) -> bool {
        match error {
            // The server never got the call, or refused it before doing anything.
            Error::Unreachable { .. } => true,
            Error::Problem(problem) if problem.status == 429 => true,
            _ if !error.is_unavailable() => false,
            _ => self.method != Method::POST || self.idempotency_key.is_some(),
        }
    }
}

pub(crate) fn network(address: &str, source: reqwest::Error) -> Error {
    let address = address.to_owned();
    if source.is_connect() {
        Error::Unreachable { address, source }
    } else if source.is_timeout() {
        Error::TimedOut { address }
    } else {
        Error::Broken { address, source }
    }
}

/// A problem document, or one made up from what a proxy in between has said.
async fn refusal(response: Response) -> Error {
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|it| it.to_str().ok()?.parse().ok());
    let bytes = response.bytes().await.unwrap_or_default();
    let mut problem = serde_json::from_slice::<Problem>(&bytes).unwrap_or_default();
    problem.status = status.as_u16();
    problem.retry_after = retry_after;
    if problem.title.is_empty() {
        problem.title = status.to_string();
    }
    if problem.code.is_empty() {
        problem.code = format!("http_{}", status.as_u16());
    }
    Error::Problem(Box::new(problem))
}
