//! The reckoning: what clients were told, what the histories say on every node, and what happened outside.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{self, Cancel, Known, Ledger, STEPS};
use crate::cluster::{self, Cluster, POLL};
use crate::counts::{self, Sleepers};
use crate::door::{Door, Reply};
use crate::effects::{self, Effects};
use crate::history::{self, Ending};
use crate::lawful;
use crate::policy::Policies;
use crate::summary::Summary;

/// How long all that is unfinished may take once nothing breaks any more.
const PEACE: Duration = Duration::from_secs(60);
/// Questions that are asked at the same time.
const AT_ONCE: usize = 16;
/// Nothing is broken any more, so a node that does not answer for this long is a violation.
const PATIENCE: Duration = Duration::from_secs(15);

/// What was done while things broke.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) workflow: &'a str,
    pub(crate) policies: &'a Policies,
    pub(crate) sleepers: &'a Sleepers,
    pub(crate) seed: u64,
    /// The record outside.
    pub(crate) effects: &'a Path,
}

/// Waits until everything is finished, and compares all accounts.
pub(crate) async fn reckon(cluster: &mut Cluster, work: &Work<'_>, summary: &mut Summary) -> Result<()> {
    let Work { ledger, workflow, policies, sleepers, seed, effects: record } = *work;
    let executions = ledger.executions();
    let doors: Vec<(u64, Door)> = cluster.nodes.iter().map(|node| (node.id, node.door.clone())).collect();
    let began = Instant::now();
    let mut histories = settle(&doors, &executions, summary).await?;
    summary.settled_ms = u64::try_from(began.elapsed().as_millis())?;
    compare_nodes(&doors, &mut histories, &executions, summary).await?;
    check_lists(&doors, workflow, &executions, summary).await?;
    counts::check(&doors, sleepers, summary).await?;
    submit_again(&doors, workflow, seed, &executions, summary).await?;

    let (effects, strange) = effects::read(record)?;
    summary.effects = effects.values().sum();
    summary.violations.extend(strange.iter().map(|line| format!("W6: strange effect {line:?}")));
    check_histories(&histories, &executions, policies, &effects, summary);
    summary.clients = ledger.done();
    summary.violations.extend(ledger.violations());

    cluster
        .until("the replicas are level", PATIENCE, cluster::Standing::is_whole)
        .await
        .map_or_else(|error| summary.violations.push(format!("W1: {error:#}")), |_| ());
    let wrong = cluster.stop().await?;
    summary.violations.extend(wrong);
    scan_logs(&cluster.ground.dir, summary)
}

type Histories = BTreeMap<String, Vec<Value>>;

/// Reads each execution until it is over; then its history.
async fn settle(
    doors: &[(u64, Door)],
    executions: &BTreeMap<String, Known>,
    summary: &mut Summary,
) -> Result<Histories> {
    let deadline = Instant::now() + PEACE;
    let (_, door) = doors.first().context("a node is left")?;
    let ended = each(executions.keys(), |id| {
        let door = door.clone();
        async move {
            let mut last = String::new();
            while Instant::now() < deadline {
                match door.get(&format!("/api/executions/{id}")).await {
                    Reply::Done(execution) if client::is_over(&execution["status"]) => {
                        return (id.clone(), Ok(read_history(&door, &id).await));
                    }
                    Reply::Done(execution) => {
                        if client::is_uncertain(&execution) {
                            // What came of it shows at the next look.
                            let _ = client::decide(&door, &id).await;
                        }
                        let (status, steps) = (&execution["status"], &execution["current_steps"]);
                        last = format!("W19: {id} is still {status} after {PEACE:?} of peace, at {steps}");
                    }
                    Reply::Refused(status, text) => {
                        return (
                            id.clone(),
                            Err(format!("W1: {id} was acknowledged, and now: {status} {text}")),
                        );
                    }
                    Reply::NotNow(why) | Reply::Unavailable(why) | Reply::Unknown(why) => {
                        last = format!("W19: {id} cannot be read: {why}")
                    }
                }
                sleep(POLL * 10).await;
            }
            (id.clone(), Err(last))
        }
    });
    let mut histories = Histories::new();
    for (id, history) in ended.await? {
        match history.and_then(std::convert::identity) {
            Ok(events) => drop(histories.insert(id, events)),
            Err(violation) => summary.violations.push(violation),
        }
    }
    Ok(histories)
}

/// Does something for each id, some at the same time.
async fn each<'a, T, F>(ids: impl Iterator<Item = &'a String>, work: impl Fn(String) -> F) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut all = JoinSet::new();
    for id in ids {
        let turn = turns.clone().acquire_owned().await?;
        let one = work(id.clone());
        all.spawn(async move {
            let done = one.await;
            drop(turn);
            done
        });
    }
    Ok(all.join_all().await)
}

async fn read_history(door: &Door, id: &str) -> Result<Vec<Value>, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match door.history(id).await {
            Reply::Done(Value::Array(events)) => return Ok(events),
            other if Instant::now() >= deadline => return Err(format!("W2: the history of {id}: {other:?}")),
            _ => sleep(POLL * 5).await,
        }
    }
}

/// Every node tells every history alike.
async fn compare_nodes(
    doors: &[(u64, Door)],
    histories: &mut Histories,
    executions: &BTreeMap<String, Known>,
    summary: &mut Summary,
) -> Result<()> {
    for (node, door) in &doors[1..] {
        let told = each(histories.keys(), |id| {
            let door = door.clone();
            async move { (id.clone(), read_history(&door, &id).await) }
        });
        for (id, events) in told.await? {
            summary.histories_compared += 1;
            match (events, &histories[&id]) {
                (Ok(events), first) if events == *first => {}
                (Ok(events), first) => {
                    let differs =
                        history::extends(&id, &events, first).or(history::extends(&id, first, &events));
                    summary.violations.push(format!("{} on node {node}", differs.unwrap_or_default()));
                }
                (Err(violation), _) => summary.violations.push(format!("{violation} on node {node}")),
            }
        }
    }
    for (id, events) in histories {
        summary.violations.extend(history::extends(id, &executions[id].history, events));
    }
    Ok(())
}

/// W1: every node lists each acknowledged execution once, and no other.
async fn check_lists(
    doors: &[(u64, Door)],
    workflow: &str,
    executions: &BTreeMap<String, Known>,
    summary: &mut Summary,
) -> Result<()> {
    for (node, door) in doors {
        let mut seen = BTreeSet::new();
        let mut next = format!("/api/executions?workflow_id={workflow}&limit=200");
        loop {
            let page = match door.get(&next).await {
                Reply::Done(page) => page,
                other => bail!("node {node} does not list: {other:?}"),
            };
            for execution in page["items"].as_array().context("a list has items")? {
                let id = execution["id"].as_str().unwrap_or_default().to_owned();
                if !executions.contains_key(&id) {
                    summary.violations.push(format!("W1: node {node} lists {id}, and nobody was told"));
                }
                if !seen.insert(id.clone()) {
                    summary.violations.push(format!("W1: node {node} lists {id} twice"));
                }
            }
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            next = format!("/api/executions?workflow_id={workflow}&limit=200&cursor={cursor}");
        }
        let missing = executions.keys().filter(|id| !seen.contains(*id));
        summary.violations.extend(missing.map(|id| format!("W1: node {node} does not list {id}")));
    }
    Ok(())
}

/// W1: the same key asked for again is the same execution, at any node.
async fn submit_again(
    doors: &[(u64, Door)],
    workflow: &str,
    seed: u64,
    executions: &BTreeMap<String, Known>,
    summary: &mut Summary,
) -> Result<()> {
    let answers = each(executions.keys(), |id| {
        let number = executions[&id].number;
        let (_, door) = doors[usize::try_from(number).unwrap_or(0) % doors.len()].clone();
        let workflow = workflow.to_owned();
        async move {
            let input = json!({ "number": number });
            (id, door.submit(&workflow, &client::key(seed, number), &input).await)
        }
    });
    for (id, reply) in answers.await? {
        match reply {
            Reply::Done(again) if again["execution_id"] == id.as_str() => {}
            other => summary.violations.push(format!("W1: the key of {id}, used again, answers {other:?}")),
        }
    }
    Ok(())
}

fn check_histories(
    histories: &Histories,
    executions: &BTreeMap<String, Known>,
    policies: &Policies,
    effects: &Effects,
    summary: &mut Summary,
) {
    let steps = STEPS.map(str::to_owned);
    // By execution, so that each is not held against all.
    let mut by_execution: BTreeMap<&str, Effects> = BTreeMap::new();
    for (attempt, count) in effects {
        by_execution.entry(&attempt.execution).or_default().insert(attempt.clone(), *count);
    }
    for (id, events) in histories {
        let ending = match executions[id].cancel {
            Cancel::Never => Ending::Completed,
            Cancel::Asked | Cancel::Unknown => Ending::Either,
            Cancel::Acknowledged => Ending::Cancelled,
        };
        let (told, violations) = history::check_until(id, events, &steps, ending);
        let compared = told.compare(id, by_execution.get(id.as_str()).unwrap_or(&Effects::new()));
        let unlawful = lawful::check(events, client::ORDER).map(|text| format!("{id}: W3: {text}"));
        let beyond = policies.check(events).into_iter().map(|text| format!("{id}: {text}"));
        summary.violations.extend(violations.into_iter().chain(compared).chain(unlawful).chain(beyond));
        summary.started += told.started;
        summary.lost += told.lost;
    }
    let foreign = by_execution.keys().filter(|id| !executions.contains_key(**id));
    summary.violations.extend(foreign.map(|id| format!("W1: an effect of {id}, which nobody was told of")));
}

/// A panic is a violation, whatever came of it.
fn scan_logs(dir: &Path, summary: &mut Summary) -> Result<()> {
    for log in cluster::logs(dir)? {
        let text = std::fs::read(&log).with_context(|| format!("read {}", log.display()))?;
        let text = String::from_utf8_lossy(&text);
        let panics = text.lines().filter(|line| line.contains("panicked at"));
        summary.violations.extend(panics.map(|line| format!("{}: {line}", log.display())));
    }
    Ok(())
}
