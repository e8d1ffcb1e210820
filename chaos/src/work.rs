//! The work that goes on while things break: submissions, and histories read along the way.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::api::Api;
use crate::process::POLL;
use crate::seed::Random;

/// Submissions that may be on their way at the same time.
const SUBMITTERS: usize = 8;

/// What every submitter works with.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) api: Api,
    workflow: String,
    seed: u64,
    /// A permit for each submission that is due.
    due: Arc<Semaphore>,
    acknowledged: Arc<Mutex<BTreeMap<u64, String>>>,
}

/// The definition: each step leaves a line outside. Odd steps leave it first and linger, even steps
/// linger first, so that kills fall both before and after the effect.
pub(crate) fn definition(steps: &[String], effects: &Path) -> Value {
    let line = format!(
        "echo \"$EVERSTEP_EXECUTION_ID $EVERSTEP_STEP $EVERSTEP_ATTEMPT\" >> '{}'",
        effects.display()
    );
    let steps: Vec<Value> = steps
        .iter()
        .enumerate()
        .map(|(place, id)| {
            let command =
                if place % 2 == 0 { format!("{line}; sleep 0.02") } else { format!("sleep 0.02; {line}") };
            // A kill may hit the same step again and again; that must not use up its attempts.
            let retry = json!({"attempts": 1000, "backoff": "fixed", "initial": "10ms", "jitter": 0});
            json!({"id": id, "type": "shell", "params": {"command": command}, "retry": retry})
        })
        .collect();
    json!({"name": "chaos", "status": "active", "steps": steps})
}

impl Work {
    pub(crate) fn new(api: Api, workflow: String, seed: u64) -> Self {
        let due = Arc::new(Semaphore::new(0));
        Self { api, workflow, seed, due, acknowledged: Arc::default() }
    }

    /// Makes so many more submissions due.
    pub(crate) fn release(&self, submissions: usize) {
        self.due.add_permits(submissions);
    }

    /// What was acknowledged so far: number of the submission, id of its execution.
    pub(crate) fn acknowledged(&self) -> BTreeMap<u64, String> {
        self.acknowledged.lock().expect("no submitter panics with the lock").clone()
    }

    /// Makes all submissions, each as soon as it is due and again until it is acknowledged.
    pub(crate) async fn submit(self, submissions: u64) -> Result<()> {
        let mut submitters = JoinSet::new();
        for submitter in 0..SUBMITTERS as u64 {
            let work = self.clone();
            submitters.spawn(async move {
                for number in (submitter..submissions).step_by(SUBMITTERS) {
                    work.due.acquire().await?.forget();
                    let id = work.submit_one(number).await?;
                    work.acknowledged.lock().expect("no submitter panics with the lock").insert(number, id);
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = submitters.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// Submits until it is acknowledged, with a key, so that a repeat is no second submission.
    pub(crate) async fn submit_one(&self, number: u64) -> Result<String> {
        let key = format!("chaos-{}-{number}", self.seed);
        loop {
            let input = json!({ "number": number });
            if let Ok(id) = self.api.trigger(&self.workflow, &key, &input).await? {
                return Ok(id);
            }
            sleep(POLL).await;
        }
    }

    /// The whole history of an execution, if the node is there to tell it.
    pub(crate) async fn history(&self, id: &str) -> Result<Option<Vec<Value>>> {
        Ok(self.api.list(&format!("/api/executions/{id}/history?limit=1000")).await?.ok())
    }

    /// Reads the histories of some executions, chosen at random.
    pub(crate) async fn sample(
        &self,
        random: &mut Random,
        count: usize,
    ) -> Result<Vec<(String, Vec<Value>)>> {
        let ids: Vec<String> = self.acknowledged().into_values().collect();
        let mut read = Vec::new();
        // The newest are the ones at work, and the ones that a kill can hurt.
        let recent = &ids[ids.len().saturating_sub(64)..];
        for _ in 0..count.min(recent.len()) {
            let id = &recent[usize::try_from(random.below(recent.len() as u64))?];
            if let Some(events) = self.history(id).await? {
                read.push((id.clone(), events));
            }
        }
        Ok(read)
    }

    /// Every execution of the workflow that the node lists, by id.
    pub(crate) async fn listed(&self) -> Result<Vec<Value>> {
        let path = format!("/api/executions?workflow_id={}&limit=200", self.workflow);
        loop {
            if let Ok(listed) = self.api.list(&path).await? {
                return Ok(listed);
            }
            sleep(POLL).await;
        }
    }
}
