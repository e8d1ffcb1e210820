//! Executions that are always under way, and clients that count how often they had to ask again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::is_over;
use crate::cluster::Doors;
use crate::door::{Door, Reply};
use crate::seed::Random;

/// Steps of each execution.
const STEPS: usize = 20;
/// Between two looks at an execution.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The definition: calls, one after the other.
pub(super) fn definition(recorder: &str) -> Value {
    let retry = json!({"attempts": 1000, "backoff": "fixed", "initial": "1ms", "jitter": 0});
    let params = json!({"url": recorder, "method": "POST"});
    let step =
        |number: usize| json!({"id": format!("s{number}"), "type": "http", "params": params, "retry": retry});
    json!({"name": "measure", "status": "active", "steps": (1..=STEPS).map(step).collect::<Vec<_>>()})
}

/// What clients met with.
#[derive(Debug, Default)]
pub(super) struct Counts {
    requests: AtomicU64,
    refused: AtomicU64,
    broken: AtomicU64,
    turned_down: AtomicU64,
    failed: AtomicU64,
}

/// The same, at the end.
#[derive(Debug, Serialize)]
pub(super) struct Met {
    pub(super) requests: u64,
    /// Nobody listened at the first node: a client asks the next one.
    pub(super) refused: u64,
    /// The connection ended before the answer: a client asks the next one.
    pub(super) broken: u64,
    /// 503 or 429.
    pub(super) turned_down: u64,
    /// Requests that a second node did not answer either, and those that were turned down.
    pub(super) failed: u64,
}

/// Clients at work.
pub(super) struct Load {
    counts: Arc<Counts>,
    ids: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

struct Client {
    doors: Doors,
    workflow: String,
    counts: Arc<Counts>,
    ids: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    random: Random,
    key: String,
}

impl Load {
    pub(super) fn start(doors: Doors, workflow: &str, open: u64, seed: u64) -> Self {
        let (counts, ids, stop) = (Arc::default(), Arc::default(), Arc::default());
        let mut clients = JoinSet::new();
        for number in 0..open {
            let client = Client {
                doors: doors.clone(),
                workflow: workflow.to_owned(),
                counts: Arc::clone(&counts),
                ids: Arc::clone(&ids),
                stop: Arc::clone(&stop),
                random: Random::new(seed ^ ((number + 1) << 32)),
                key: format!("measure-{seed}-{number}"),
            };
            clients.spawn(client.work());
        }
        Self { counts, ids, stop, clients }
    }

    /// Lets what is under way end; all executions there were, and what the clients met with.
    pub(super) async fn finish(mut self) -> Result<(Vec<String>, Met)> {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.clients.join_next().await {
            ended?;
        }
        let of = |count: &AtomicU64| count.load(Ordering::SeqCst);
        let Counts { requests, refused, broken, turned_down, failed } = &*self.counts;
        let met = Met {
            requests: of(requests),
            refused: of(refused),
            broken: of(broken),
            turned_down: of(turned_down),
            failed: of(failed),
        };
        let ids = self.ids.lock().expect("nothing panics with the lock").clone();
        Ok((ids, met))
    }
}

impl Client {
    async fn work(mut self) {
        // Not all at once, so that attempts end at all times.
        sleep(self.random.duration(Duration::from_secs(1))).await;
        for number in 0.. {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let (workflow, key) = (self.workflow.clone(), format!("{}-{number}", self.key));
            let execution = self
                .ask(|door| {
                    let (workflow, key) = (workflow.clone(), key.clone());
                    async move { door.submit(&workflow, &key, &Value::Null).await }
                })
                .await;
            let Some(id) = execution["execution_id"].as_str().map(str::to_owned) else { return };
            self.ids.lock().expect("nothing panics with the lock").push(id.clone());
            loop {
                sleep(LOOK_EVERY).await;
                let path = format!("/api/executions/{id}");
                let execution = self
                    .ask(|door| {
                        let path = path.clone();
                        async move { door.get(&path).await }
                    })
                    .await;
                if is_over(&execution["status"]) {
                    break;
                }
            }
        }
    }

    /// Asks nodes in turn until one answers, beginning with any.
    async fn ask<F: Future<Output = Reply>>(&mut self, question: impl Fn(Door) -> F) -> Value {
        let add = |count: &AtomicU64| count.fetch_add(1, Ordering::Relaxed);
        let first = usize::try_from(self.random.next() >> 1).unwrap_or(0);
        let (counts, mut failed) = (self.counts.clone(), false);
        add(&counts.requests);
        for tries in 0.. {
            let door = {
                let doors = self.doors.read().expect("nothing panics with the lock");
                doors[first.wrapping_add(tries) % doors.len()].clone()
            };
            let fails = match question(door).await {
                Reply::Done(answer) => return answer,
                Reply::NotNow(_) => {
                    add(&counts.refused);
                    tries > 0
                }
                Reply::Unknown(_) => {
                    add(&counts.broken);
                    tries > 0
                }
                Reply::Unavailable(_) | Reply::Refused(..) => {
                    add(&counts.turned_down);
                    true
                }
            };
            if fails && !failed {
                add(&counts.failed);
                failed = true;
            }
            if tries > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        }
        Value::Null
    }
}
