//! The public HTTP API, spoken plainly: no client of the project stands between it and the checks.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;

/// One try; a node that was killed answers nothing, and the next try finds the next node.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The API of a node.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: Client,
    base: String,
}

/// An answer that says no for now: the node is gone, starting, or full.
#[derive(Debug)]
pub(crate) struct NotNow;

impl Api {
    pub(crate) fn new(base: String) -> Result<Self> {
        let http = Client::builder().timeout(TIMEOUT).connect_timeout(Duration::from_secs(2)).build()?;
        Ok(Self { http, base })
    }

    pub(crate) async fn ready(&self) -> bool {
        let answer = self.http.get(format!("{}/readyz", self.base)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Saves a workflow; its id.
    pub(crate) async fn create_workflow(&self, definition: &Value) -> Result<String> {
        let answer = self.http.post(format!("{}/api/workflows", self.base)).json(definition).send().await?;
        let workflow = read(answer).await?;
        Ok(workflow["id"].as_str().context("a workflow has an id")?.to_owned())
    }

    /// Submits once. The inner error means that nobody knows whether it was taken.
    pub(crate) async fn trigger(
        &self,
        workflow: &str,
        key: &str,
        input: &Value,
    ) -> Result<Result<String, NotNow>> {
        let url = format!("{}/api/workflows/{workflow}/trigger", self.base);
        let body = serde_json::json!({ "input": input });
        let sent = self.http.post(url).header("idempotency-key", key).json(&body).send().await;
        match self.answer(sent).await? {
            Ok(execution) => {
                let id = execution["execution_id"].as_str().context("a submission answers execution_id")?;
                Ok(Ok(id.to_owned()))
            }
            Err(not_now) => Ok(Err(not_now)),
        }
    }

    /// Reads something once.
    pub(crate) async fn get(&self, path: &str) -> Result<Result<Value, NotNow>> {
        let sent = self.http.request(Method::GET, format!("{}{path}", self.base)).send().await;
        self.answer(sent).await
    }

    /// All pages of a list.
    pub(crate) async fn list(&self, path: &str) -> Result<Result<Vec<Value>, NotNow>> {
        let mut items = Vec::new();
        let mut next = path.to_owned();
        loop {
            let mut page = match self.get(&next).await? {
                Ok(page) => page,
                Err(not_now) => return Ok(Err(not_now)),
            };
            let Value::Array(found) = page["items"].take() else { bail!("{path} answers no items") };
            items.extend(found);
            match page["next_cursor"].as_str() {
                None => return Ok(Ok(items)),
                Some(cursor) => {
                    let joint = if path.contains('?') { '&' } else { '?' };
                    next = format!("{path}{joint}cursor={cursor}");
                }
            }
        }
    }

    async fn answer(&self, sent: reqwest::Result<Response>) -> Result<Result<Value, NotNow>> {
        let answer = match sent {
            Ok(answer) => answer,
            // Whatever breaks on the way is the kill's doing; what a node answers is not.
            Err(_) => return Ok(Err(NotNow)),
        };
        let status = answer.status();
        if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE {
            return Ok(Err(NotNow));
        }
        if !status.is_success() {
            return read(answer).await.map(Ok);
        }
        match answer.bytes().await {
            Ok(bytes) => Ok(Ok(serde_json::from_slice(&bytes).context("read an answer")?)),
            Err(_) => Ok(Err(NotNow)),
        }
    }
}

async fn read(answer: Response) -> Result<Value> {
    let (status, url) = (answer.status(), answer.url().clone());
    let text = answer.text().await?;
    if !status.is_success() {
        bail!("{} answers {status}: {text}", url.path());
    }
    serde_json::from_str(&text).with_context(|| format!("read the answer of {}", url.path()))
}
