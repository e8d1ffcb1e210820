//! The execution endpoints.

use std::time::Duration;

use futures_util::Stream;
use reqwest::Method;
use serde::Serialize;

use crate::Result;
use crate::client::Client;
use crate::execution::{Execution, ExecutionFilter, Explanation, HistoryEvent, LogLine, Submission};
use crate::pages::{self, Page};
use crate::request::Call;
use crate::watch::{self, WatchEvent};

/// The execution endpoints of a server; from [`Client::executions`].
#[derive(Debug, Clone, Copy)]
pub struct Executions<'a> {
    pub(crate) client: &'a Client,
}

#[derive(Serialize)]
struct Why<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct From<'a> {
    from: &'a str,
}

impl<'a> Executions<'a> {
    /// Submits work: a definition of its own, or a saved workflow.
    ///
    /// Safe to repeat: without a key in `submission` the client makes one before the first try.
    pub async fn submit(&self, submission: &Submission) -> Result<Execution> {
        let call = self.client.call(Method::POST, &["api", "executions"]);
        call.json(submission)?.idempotent(submission.idempotency_key.as_deref()).send().await
    }

    /// One execution as it stands.
    pub async fn get(&self, id: &str) -> Result<Execution> {
        self.one(Method::GET, id, &[]).send().await
    }

    /// One page of executions, newest first. `cursor` is `next_cursor` of the page before.
    pub async fn page(&self, filter: &ExecutionFilter, cursor: Option<&str>) -> Result<Page<Execution>> {
        let mut call = self.client.get(&["api", "executions"]);
        let status = (!filter.status.is_empty()).then(|| filter.status.join(","));
        call = call
            .query("status", status.as_deref())
            .query("workflow_id", filter.workflow_id.as_deref())
            .query("created_from", filter.created_from.as_deref())
            .query("created_before", filter.created_before.as_deref());
        for (name, value) in &filter.labels {
            call = call.query("label", Some(&format!("{name}:{value}")));
        }
        let limit = filter.limit.map(|limit| limit.to_string());
        call.query("limit", limit.as_deref()).query("cursor", cursor).send().await
    }

    /// All executions the filter finds, page after page.
    pub fn list(&self, filter: ExecutionFilter) -> impl Stream<Item = Result<Execution>> + use<> {
        let client = self.client.clone();
        pages::stream(move |cursor| {
            let (client, filter) = (client.clone(), filter.clone());
            async move { client.executions().page(&filter, cursor.as_deref()).await }
        })
    }

    /// One line per attempt.
    pub async fn logs(&self, id: &str) -> Result<Vec<LogLine>> {
        self.one(Method::GET, id, &["logs"]).send().await
    }

    /// One page of recorded facts, oldest first.
    pub async fn history_page(&self, id: &str, cursor: Option<&str>) -> Result<Page<HistoryEvent>> {
        self.one(Method::GET, id, &["history"]).query("cursor", cursor).send().await
    }

    /// Every recorded fact, oldest first.
    pub fn history(&self, id: &str) -> impl Stream<Item = Result<HistoryEvent>> + use<> {
        let (client, id) = (self.client.clone(), id.to_owned());
        pages::stream(move |cursor| {
            let (client, id) = (client.clone(), id.clone());
            async move { client.executions().history_page(&id, cursor.as_deref()).await }
        })
    }

    /// Why it is not further.
    pub async fn explain(&self, id: &str) -> Result<Explanation> {
        self.one(Method::GET, id, &["explain"]).send().await
    }

    /// Ends it. Once acknowledged, no step starts.
    pub async fn cancel(&self, id: &str, reason: Option<&str>) -> Result<Execution> {
        self.one(Method::POST, id, &["cancel"]).json(&Why { reason })?.send().await
    }

    /// Holds it: attempts in flight end and are recorded, none start.
    pub async fn pause(&self, id: &str, reason: Option<&str>) -> Result<Execution> {
        self.one(Method::POST, id, &["pause"]).json(&Why { reason })?.send().await
    }

    /// Lets a held one go on.
    pub async fn resume(&self, id: &str) -> Result<Execution> {
        self.one(Method::POST, id, &["resume"]).json(&Why { reason: None })?.send().await
    }

    /// Runs it again from the step that failed, or, with `whole`, from the start.
    pub async fn retry(&self, id: &str, whole: bool) -> Result<Execution> {
        let from = if whole { "start" } else { "failed" };
        self.one(Method::POST, id, &["retry"]).json(&From { from })?.send().await
    }

    /// Its recorded facts, those of the past first, then each as it is recorded, until the execution is
    /// finished. A broken connection is taken up again where it broke; nothing is missed or told twice.
    ///
    /// `after` is the version of the last event already known; 0 starts at the first.
    ///
    /// ```no_run
    /// use futures_util::StreamExt;
    /// # async fn example(client: everstep_sdk::Client) -> Result<(), everstep_sdk::Error> {
    /// let mut events = std::pin::pin!(client.executions().watch("0198c2f4-…", 0));
    /// while let Some(event) = events.next().await {
    ///     let event = event?;
    ///     println!("{} {}", event.version, event.kind);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn watch(&self, id: &str, after: u64) -> impl Stream<Item = Result<WatchEvent>> + use<> {
        watch::stream(self.client.clone(), id.to_owned(), after)
    }

    /// Waits, however long it takes, until the execution is finished.
    pub async fn wait(&self, id: &str) -> Result<Execution> {
        watch::wait(self.client, id).await
    }

    /// Waits at most `limit` for the end; answers the execution as it then stands.
    pub async fn wait_at_most(&self, id: &str, limit: Duration) -> Result<Execution> {
        match tokio::time::timeout(limit, self.wait(id)).await {
            Ok(finished) => finished,
            Err(_) => self.get(id).await,
        }
    }

    pub(crate) fn one(&self, method: Method, id: &str, rest: &[&str]) -> Call<'a> {
        let path = [&["api", "executions", id], rest].concat();
        self.client.call(method, &path)
    }
}
