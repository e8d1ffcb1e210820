//! Asks whether nodes serve: something is submitted to each of them, and has to finish.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::client::is_over;
use crate::cluster::POLL;
use crate::door::{Door, Reply};

/// A small workflow for the question.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    workflow: String,
    partitions: u16,
    limit: Duration,
    next: Arc<AtomicU64>,
}

/// The definition.
pub(crate) fn definition() -> Value {
    json!({"name": "probe", "status": "active", "steps": [{"id": "nothing", "type": "noop"}]})
}

impl Probe {
    /// Nodes that do not answer within `limit` do not serve.
    pub(crate) fn new(workflow: String, partitions: u16, limit: Duration) -> Self {
        Self { workflow, partitions, limit, next: Arc::default() }
    }

    /// Waits until each of these nodes serves; which one took longest.
    pub(crate) async fn through(&self, doors: &[Door]) -> Result<String> {
        let deadline = Instant::now() + self.limit;
        let mut asking = tokio::task::JoinSet::new();
        for door in doors {
            // Keys spread over the partitions: so many of them meet nearly all.
            for _ in 0..u64::from(self.partitions) * 2 {
                let number = self.next.fetch_add(1, Ordering::SeqCst);
                asking.spawn(self.clone().one(door.clone(), number, deadline));
            }
        }
        let began = Instant::now();
        let mut last = String::new();
        while let Some(asked) = asking.join_next().await {
            let answered = asked??;
            last = format!("{answered} served after {} ms", began.elapsed().as_millis());
        }
        Ok(last)
    }

    async fn one(self, door: Door, number: u64, deadline: Instant) -> Result<String> {
        let key = format!("probe-{number}");
        let id = loop {
            match door.submit(&self.workflow, &key, &Value::Null).await {
                Reply::Done(execution) => {
                    break execution["execution_id"].as_str().unwrap_or_default().to_owned();
                }
                Reply::Refused(status, text) => bail!("a probe is refused with {status}: {text}"),
                Reply::NotNow(why) | Reply::Unavailable(why) | Reply::Unknown(why)
                    if Instant::now() >= deadline =>
                {
                    bail!("a probe is not taken within {:?}: {why}", self.limit)
                }
                Reply::NotNow(_) | Reply::Unavailable(_) | Reply::Unknown(_) => sleep(POLL).await,
            }
        };
        loop {
            let reply = door.get(&format!("/api/executions/{id}")).await;
            match &reply {
                Reply::Done(execution) if is_over(&execution["status"]) => {
                    return Ok(format!("{} with {key}", door.address()));
                }
                Reply::Refused(status, text) => bail!("reading probe {id} is refused with {status}: {text}"),
                _ if Instant::now() >= deadline => {
                    bail!("probe {id} is not finished within {:?}: {reply:?}", self.limit)
                }
                _ => sleep(POLL).await,
            }
        }
    }
}
