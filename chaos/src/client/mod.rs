//! Clients: they submit, read, cancel and list at any node, and keep account of what they were told.
//!
//! A client does what a careful program does. It submits under an idempotency key, and as long as nobody tells it
//! what came of it, it asks again under the same key, mostly at another node. It gives up only when the run is over,
//! and nothing is broken any more by then: so every submission is acknowledged in the end.

mod ledger;
mod watch;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::cluster::{Doors, POLL};
use crate::door::{Door, Reply};
use crate::recorder::REFUSES;
use crate::seed::Random;
pub(crate) use ledger::{Cancel, Done, Known, Ledger};
pub(crate) use watch::watch_effects;

/// The wait before a submission is repeated.
const AGAIN: Duration = Duration::from_millis(20);
/// One in so many executions is cancelled.
const CANCELS: u64 = 8;
/// One in so many submissions is followed by a list.
const LISTS: u64 = 16;

/// What clients are to do.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Clients that submit.
    pub(crate) writers: u64,
    /// Clients that read.
    pub(crate) readers: u64,
    /// Submissions a second, of all writers together.
    pub(crate) rate: f64,
    /// Unfinished executions beyond which nobody submits.
    pub(crate) open_max: usize,
    /// Whether some executions are cancelled.
    pub(crate) cancels: bool,
}

/// All clients while they work.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) ledger: Ledger,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

/// One client.
#[derive(Debug, Clone)]
struct Client {
    doors: Doors,
    workflow: String,
    ledger: Ledger,
    plan: Plan,
    seed: u64,
    next: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    random: Random,
}

/// The definition: steps that leave a line outside, by both runners, before and after they linger; one that sleeps
/// durably; one that a person decides about when its node is lost; and one that is always refused. `recorder` is where
/// the outside record listens.
pub(crate) fn definition(effects: &Path, recorder: SocketAddr) -> Value {
    let line = format!(
        "echo \"$EVERSTEP_EXECUTION_ID $EVERSTEP_STEP $EVERSTEP_ATTEMPT\" >> '{}'",
        effects.display()
    );
    // A fault may hit the same step again and again; that must not use up its attempts.
    let retry = json!({"attempts": 1000, "backoff": "fixed", "initial": "10ms", "jitter": 0});
    let shell = |id: &str, command: String| json!({"id": id, "type": "shell", "params": {"command": command}, "retry": retry});
    // Longer than an attempt takes, so that who does not wait is found out.
    let briefly = json!({"attempts": 2, "backoff": "fixed", "initial": "150ms", "jitter": 0});
    let http = |path: &str| json!({"url": format!("http://{recorder}{path}"), "method": "POST"});
    json!({"name": "chaos", "status": "active", "steps": [
        {"id": "s1", "type": "http", "params": http("/"), "retry": retry},
        shell("s2", format!("{line}; sleep 0.02")),
        {"id": "s3", "type": "delay", "params": {"for": "100ms"}},
        {"id": "s4", "type": "http", "params": http("/"), "retry": retry, "on_lost": "uncertain"},
        shell("s5", format!("sleep 0.02; {line}")),
        {"id": "s6", "type": "http", "params": http(REFUSES), "retry": briefly, "on_error": "continue"},
    ]})
}

/// The steps of it that have to complete.
pub(crate) const STEPS: [&str; 4] = ["s1", "s2", "s4", "s5"];
/// All of them, each of which begins when the one before it is done.
pub(crate) const ORDER: &[&str] = &["s1", "s2", "s3", "s4", "s5", "s6"];

impl Clients {
    pub(crate) fn start(doors: Doors, workflow: &str, plan: &Plan, seed: u64) -> Self {
        let (ledger, stop) = (Ledger::default(), Arc::<AtomicBool>::default());
        let mut tasks = JoinSet::new();
        let client = |number: u64| Client {
            doors: doors.clone(),
            workflow: workflow.to_owned(),
            ledger: ledger.clone(),
            plan: plan.clone(),
            seed,
            next: Arc::default(),
            stop: stop.clone(),
            random: Random::new(seed ^ (number + 1) << 32),
        };
        let next = Arc::<AtomicU64>::default();
        for number in 0..plan.writers {
            tasks.spawn(Client { next: next.clone(), ..client(number) }.write());
        }
        for number in 0..plan.readers {
            tasks.spawn(client(plan.writers + number).read());
        }
        Self { ledger, stop, tasks }
    }

    /// No new submissions; those on their way are carried through. Readers stop as well.
    pub(crate) async fn finish(mut self) -> Result<Ledger> {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended?;
        }
        Ok(self.ledger)
    }
}

/// The idempotency key of a submission.
pub(crate) fn key(seed: u64, number: u64) -> String {
    format!("chaos-{seed}-{number}")
}

/// Whether a person has to decide about a step.
pub(crate) fn is_uncertain(execution: &Value) -> bool {
    let steps = execution["current_steps"].as_array();
    steps.into_iter().flatten().any(|step| step["status"] == "uncertain")
}

/// Decides that what is uncertain is tried again. If somebody else has, it is refused with 409.
pub(crate) async fn decide(door: &Door, id: &str) -> Reply {
    door.post(&format!("/api/executions/{id}/retry"), &json!({"from": "failed"})).await
}

/// Whether a status is final.
pub(crate) fn is_over(status: &Value) -> bool {
    matches!(status.as_str(), Some("completed" | "failed" | "cancelled" | "dead_lettered"))
}

impl Client {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Any node, whether it is there or not.
    fn door(&mut self) -> Option<Door> {
        let doors = self.doors.read().expect("nothing panics with the lock").clone();
        if doors.is_empty() { None } else { Some(self.random.choice(&doors).clone()) }
    }

    async fn write(mut self) {
        let pace = Duration::from_secs_f64(self.plan.writers as f64 / self.plan.rate);
        let mut due = Instant::now() + self.random.duration(pace);
        while !self.stopped() {
            sleep_until(due).await;
            due = (due + pace).max(Instant::now());
            if self.ledger.open() >= self.plan.open_max {
                continue;
            }
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            let Some(id) = self.submit(number).await else { return };
            self.look(&id).await;
            if self.plan.cancels && self.random.once_in(CANCELS) {
                self.cancel(&id).await;
            }
            if self.random.once_in(LISTS) {
                self.list().await;
            }
        }
    }

    /// Submits until it is acknowledged; its id.
    async fn submit(&mut self, number: u64) -> Option<String> {
        let (key, input) = (key(self.seed, number), json!({ "number": number }));
        loop {
            let door = self.door()?;
            match door.submit(&self.workflow, &key, &input).await {
                Reply::Done(execution) => {
                    let id = execution["execution_id"].as_str().unwrap_or_default().to_owned();
                    self.ledger.acknowledge(number, &id, execution["version"].as_u64().unwrap_or(0));
                    return Some(id);
                }
                other => self.note("submit", &other),
            }
            self.ledger.count(|done| done.repeated += 1);
            sleep(AGAIN).await;
        }
    }

    /// Counts an answer that is none. One that no fault explains is a violation.
    fn note(&self, what: &str, reply: &Reply) {
        match reply {
            Reply::Done(_) => {}
            Reply::NotNow(_) => self.ledger.count(|done| done.not_now += 1),
            Reply::Unavailable(_) | Reply::Unknown(_) => self.ledger.count(|done| done.unknown += 1),
            Reply::Refused(status, text) => {
                self.ledger.violation(&format!("W14: {what} is refused with {status}: {text}"));
            }
        }
    }

    async fn look(&mut self, id: &str) {
        let Some(door) = self.door() else { return };
        let floor = self.ledger.floor(id);
        match door.get(&format!("/api/executions/{id}")).await {
            Reply::Done(execution) => {
                let version = execution["version"].as_u64().unwrap_or(0);
                let by = format!("a read from {}", door.address());
                self.ledger.saw(id, floor, version, is_over(&execution["status"]), &by);
                self.ledger.count(|done| done.reads += 1);
                if is_uncertain(&execution) {
                    self.decide(id).await;
                }
            }
            other => self.note(&format!("read {id} from {}", door.address()), &other),
        }
    }

    async fn decide(&mut self, id: &str) {
        let Some(door) = self.door().filter(|_| self.ledger.may_decide(id)) else { return };
        match decide(&door, id).await {
            Reply::Done(execution) => {
                self.ledger.saw(id, 0, execution["version"].as_u64().unwrap_or(0), false, "a decision");
                self.ledger.count(|done| done.decided += 1);
            }
            Reply::Refused(status, _) if status.as_u16() == 409 => {}
            other => self.note(&format!("decide about {id}"), &other),
        }
    }

    async fn look_back(&mut self, id: &str) {
        let Some(door) = self.door() else { return };
        let floor = self.ledger.floor(id);
        match door.history(id).await {
            Reply::Done(Value::Array(events)) => {
                self.ledger.told(id, floor, events, door.address());
                self.ledger.count(|done| done.reads += 1);
            }
            Reply::Done(other) => {
                self.ledger.violation(&format!("W2: {id}: a history that is no list: {other}"));
            }
            other => self.note(&format!("history of {id} from {}", door.address()), &other),
        }
    }

    /// Cancels once. An execution that is over already refuses it.
    async fn cancel(&mut self, id: &str) {
        sleep(self.random.duration(Duration::from_millis(150))).await;
        let Some(door) = self.door() else { return };
        if !self.ledger.may_cancel(id) {
            return;
        }
        match door.post(&format!("/api/executions/{id}/cancel"), &json!({"reason": "chaos"})).await {
            Reply::Done(execution) => {
                self.ledger.set_cancel(id, Cancel::Acknowledged);
                self.ledger.saw(id, 0, execution["version"].as_u64().unwrap_or(0), true, "a cancel");
                self.ledger.count(|done| done.cancelled += 1);
            }
            Reply::Refused(status, _) if status.as_u16() == 409 => self.ledger.set_cancel(id, Cancel::Never),
            other => {
                let nobody_knows = matches!(other, Reply::Unavailable(_) | Reply::Unknown(_));
                self.ledger.set_cancel(id, if nobody_knows { Cancel::Unknown } else { Cancel::Never });
                self.note(&format!("cancel {id}"), &other);
            }
        }
    }

    async fn list(&mut self) {
        let Some(door) = self.door() else { return };
        match door.get("/api/executions?limit=20").await {
            Reply::Done(_) => self.ledger.count(|done| done.lists += 1),
            other => self.note("list", &other),
        }
    }

    async fn read(mut self) {
        while !self.stopped() {
            let ledger = self.ledger.clone();
            for (id, _) in ledger.some_open(&mut self.random, 8) {
                if self.random.once_in(4) {
                    self.look_back(&id).await;
                } else {
                    self.look(&id).await;
                }
            }
            sleep(POLL).await;
        }
    }
}
