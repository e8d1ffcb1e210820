//! The workflow endpoints.

use std::time::Duration;

use futures_util::Stream;
use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use crate::Result;
use crate::client::Client;
use crate::error::Error;
use crate::execution::Execution;
use crate::pages::{self, Page};
use crate::workflow::{Text, Validation, Workflow, WorkflowFilter, WorkflowVersion};

/// The workflow endpoints of a server; from [`Client::workflows`].
#[derive(Debug, Clone, Copy)]
pub struct Workflows<'a> {
    pub(crate) client: &'a Client,
}

#[derive(Serialize)]
struct Given<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a Value>,
}

impl Workflows<'_> {
    /// Saves a new workflow from JSON or YAML text.
    ///
    /// Errors: a problem `invalid_definition` lists every finding.
    pub async fn create(&self, text: Text<'_>) -> Result<Workflow> {
        let call = self.client.call(Method::POST, &["api", "workflows"]);
        call.text(text.content_type(), text.0).idempotent(None).send().await
    }

    /// One workflow in its latest version.
    pub async fn get(&self, id: &str) -> Result<Workflow> {
        self.client.get(&["api", "workflows", id]).send().await
    }

    /// One workflow as of a certain version.
    pub async fn get_version(&self, id: &str, version: u32) -> Result<Workflow> {
        let version = version.to_string();
        self.client.get(&["api", "workflows", id]).query("version", Some(&version)).send().await
    }

    /// One page of workflows.
    pub async fn page(&self, filter: &WorkflowFilter, cursor: Option<&str>) -> Result<Page<Workflow>> {
        let limit = filter.limit.map(|limit| limit.to_string());
        let call = self.client.get(&["api", "workflows"]);
        call.query("status", filter.status.as_deref())
            .query("limit", limit.as_deref())
            .query("cursor", cursor)
            .send()
            .await
    }

    /// All workflows the filter finds, page after page.
    pub fn list(&self, filter: WorkflowFilter) -> impl Stream<Item = Result<Workflow>> + use<> {
        let client = self.client.clone();
        pages::stream(move |cursor| {
            let (client, filter) = (client.clone(), filter.clone());
            async move { client.workflows().page(&filter, cursor.as_deref()).await }
        })
    }

    /// Makes a new version. Running executions keep theirs.
    pub async fn update(&self, id: &str, text: Text<'_>) -> Result<Workflow> {
        let call = self.client.call(Method::PUT, &["api", "workflows", id]);
        call.text(text.content_type(), text.0).send().await
    }

    /// Deletes it; one with running executions is archived instead.
    pub async fn delete(&self, id: &str) -> Result<()> {
        self.client.call(Method::DELETE, &["api", "workflows", id]).send_empty().await
    }

    /// One page of its versions, newest first.
    pub async fn versions_page(&self, id: &str, cursor: Option<&str>) -> Result<Page<WorkflowVersion>> {
        self.client.get(&["api", "workflows", id, "versions"]).query("cursor", cursor).send().await
    }

    /// All its versions, newest first.
    pub fn versions(&self, id: &str) -> impl Stream<Item = Result<WorkflowVersion>> + use<> {
        let (client, id) = (self.client.clone(), id.to_owned());
        pages::stream(move |cursor| {
            let (client, id) = (client.clone(), id.clone());
            async move { client.workflows().versions_page(&id, cursor.as_deref()).await }
        })
    }

    /// Checks a definition without saving it. A definition that is wrong is a [`Validation`], not an error.
    pub async fn validate(&self, text: Text<'_>) -> Result<Validation> {
        let call = self.client.call(Method::POST, &["api", "workflows", "validate"]);
        match call.text(text.content_type(), text.0).idempotent(None).send().await {
            Err(Error::Problem(problem)) if !problem.errors.is_empty() => {
                Ok(Validation { valid: false, errors: problem.errors, ..Validation::default() })
            }
            answer => answer,
        }
    }

    /// Starts an execution and does not wait for it.
    ///
    /// Without `key` the client makes an idempotency key of its own before the first try.
    pub async fn trigger(&self, id: &str, input: Option<&Value>, key: Option<&str>) -> Result<Execution> {
        let call = self.client.call(Method::POST, &["api", "workflows", id, "trigger"]);
        call.json(&Given { input })?.idempotent(key).send().await
    }

    /// Starts an execution and waits at most `wait` (whole milliseconds) for its end; answers it as it then
    /// stands. The server cuts long waits short; [`crate::Executions::wait`] has no limit.
    pub async fn execute(
        &self,
        id: &str,
        input: Option<&Value>,
        wait: Duration,
        key: Option<&str>,
    ) -> Result<Execution> {
        let path = ["api", "workflows", id, "execute"];
        let call =
            self.client.call(Method::POST, &path).query("wait", Some(&format!("{}ms", wait.as_millis())));
        call.json(&Given { input })?.idempotent(key).patience(wait).send().await
    }
}
