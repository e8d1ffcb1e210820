//! W17: what nodes say how many there are, held against what they list.
//!
//! A few executions sleep through the whole run, so that there is something to count in the end: everything else has
//! ended by then. Then each node has to list, for each status, those and only those that the whole list has with it; and in each
//! partition each replica has to count as many unfinished executions as its leader does, all leaders together as many
//! as are listed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::client::is_over;
use crate::cluster::{POLL, Standing};
use crate::door::{Door, Reply};
use crate::site;
use crate::summary::Summary;

/// How many sleep: some for each partition.
const SLEEPERS: u64 = 24;
/// Every word that the API knows for a status.
const STATUSES: [&str; 8] =
    ["pending", "running", "paused", "compensating", "completed", "failed", "cancelled", "dead_lettered"];
/// Ids that are shown of those that are wrong.
const SHOWN: usize = 5;
/// Replicas are a moment behind their leader.
const PATIENCE: Duration = Duration::from_secs(15);

/// Executions that sleep through the whole run.
#[derive(Debug)]
pub(crate) struct Sleepers(BTreeSet<String>);

impl Sleepers {
    /// Submits them, before anything breaks.
    pub(crate) async fn submit(door: &Door, seed: u64) -> Result<Self> {
        let week = json!({"id": "sleep", "type": "delay", "params": {"for": "7d"}});
        let workflow =
            site::create(door, &json!({"name": "sleep", "status": "active", "steps": [week]})).await?;
        let (mut sleepers, began) = (BTreeSet::new(), Instant::now());
        while (sleepers.len() as u64) < SLEEPERS {
            let key = format!("sleep-{seed}-{}", sleepers.len());
            match door.submit(&workflow, &key, &Value::Null).await {
                Reply::Done(execution) => {
                    sleepers.insert(execution["execution_id"].as_str().context("it has an id")?.to_owned());
                }
                other if began.elapsed() > PATIENCE => bail!("a sleeper is not taken: {other:?}"),
                _ => sleep(POLL).await,
            }
        }
        Ok(Self(sleepers))
    }
}

/// Holds the numbers of each node against what it lists.
pub(crate) async fn check(doors: &[(u64, Door)], sleepers: &Sleepers, summary: &mut Summary) -> Result<()> {
    let mut unfinished = 0;
    for (node, door) in doors {
        let all = list(door, "").await.with_context(|| format!("node {node} does not list"))?;
        let open: BTreeSet<_> =
            all.iter().filter(|(_, status)| !is_over(status)).map(|(id, _)| id.clone()).collect();
        unfinished = open.len();
        summary.counted += all.len() as u64;
        if open != sleepers.0 {
            let wrong: Vec<_> = open.symmetric_difference(&sleepers.0).take(SHOWN).collect();
            summary.violations.push(format!(
                "W17: node {node} lists {} unfinished, {} sleep: {wrong:?}",
                open.len(),
                sleepers.0.len()
            ));
        }
        for status in STATUSES {
            let told = list(door, &format!("&status={status}")).await?;
            let wanted: BTreeMap<_, _> =
                all.iter().filter(|(_, it)| *it == status).map(|(id, it)| (id.clone(), it.clone())).collect();
            if told != wanted {
                summary.violations.push(format!(
                    "W17: node {node} lists {} as {status}, and {} in the whole list",
                    told.len(),
                    wanted.len()
                ));
            }
        }
    }
    let began = Instant::now();
    loop {
        let wrong = disagree(doors, unfinished as u64).await?;
        if wrong.is_empty() || began.elapsed() > PATIENCE {
            summary.violations.extend(wrong.into_iter().map(|text| format!("W17: {text}")));
            return Ok(());
        }
        sleep(POLL * 10).await;
    }
}

/// The status of each execution of a list, page by page.
async fn list(door: &Door, filter: &str) -> Result<BTreeMap<String, Value>> {
    let (mut found, mut next) = (BTreeMap::new(), format!("/api/executions?limit=200{filter}"));
    let began = Instant::now();
    loop {
        let page = match door.get(&next).await {
            Reply::Done(page) => page,
            other if began.elapsed() > PATIENCE => bail!("{next}: {other:?}"),
            _ => {
                sleep(POLL).await;
                continue;
            }
        };
        for execution in page["items"].as_array().context("a list has items")? {
            let id = execution["id"].as_str().context("an execution has an id")?;
            found.insert(id.to_owned(), execution["status"].clone());
        }
        let Some(cursor) = page["next_cursor"].as_str() else { return Ok(found) };
        next = format!("/api/executions?limit=200{filter}&cursor={cursor}");
    }
}

/// In what the nodes' counts differ from each other, and from the list.
async fn disagree(doors: &[(u64, Door)], unfinished: u64) -> Result<Vec<String>> {
    let (mut counts, mut leaders) = (BTreeMap::new(), BTreeMap::new());
    for (node, door) in doors {
        let Reply::Done(health) = door.get("/api/health").await else {
            return Ok(vec![format!("node {node} is silent")]);
        };
        for partition in health["partitions"].as_array().context("health has partitions")? {
            let number = partition["partition"].as_u64().context("a partition has a number")?;
            let of = |name: &str| partition[name].as_u64().unwrap_or(0);
            counts.insert((number, *node), of("active") + of("parked"));
            if partition["leading"] == true {
                leaders.insert(number, *node);
            }
        }
    }
    let (_, door) = doors.first().context("a node is left")?;
    let Reply::Done(standing) = door.get("/api/cluster").await else {
        return Ok(vec!["no node answers".to_owned()]);
    };
    Ok(differences(&counts, &leaders, &Standing::read(&standing)?, unfinished))
}

type Counts = BTreeMap<(u64, u64), u64>;

fn differences(
    counts: &Counts,
    leaders: &BTreeMap<u64, u64>,
    standing: &Standing,
    unfinished: u64,
) -> Vec<String> {
    let (mut wrong, mut total) = (Vec::new(), 0);
    for (number, group) in (0_u64..).zip(&standing.partitions) {
        let Some(leader) = leaders.get(&number) else {
            wrong.push(format!("nobody says that it leads partition {number}"));
            continue;
        };
        let led = counts[&(number, *leader)];
        total += led;
        for voter in &group.voters {
            match counts.get(&(number, *voter)) {
                Some(count) if *count == led => {}
                count => wrong.push(format!(
                    "node {voter} counts {count:?} unfinished in partition {number}, its leader {led}"
                )),
            }
        }
    }
    if total != unfinished {
        wrong.push(format!("the leaders count {total} unfinished, {unfinished} are listed"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_counts_are_found() {
        let group = json!({"leader": 1, "voters": [1, 2], "changing": false, "behind": {}});
        let standing =
            Standing::read(&json!({"nodes": [], "partitions": [group, group]})).expect("it stands");
        let counts = |second: u64| {
            Counts::from([((0, 1), 0), ((0, 2), 0), ((1, 1), 4), ((1, 2), second), ((1, 3), 9)])
        };
        let leaders = BTreeMap::from([(0, 1), (1, 1)]);
        assert_eq!(differences(&counts(4), &leaders, &standing, 4), [""; 0]);
        assert_eq!(differences(&counts(5), &leaders, &standing, 4).len(), 1);
        assert_eq!(differences(&counts(4), &leaders, &standing, 5).len(), 1);
        assert_eq!(differences(&counts(4), &BTreeMap::from([(1, 1)]), &standing, 4).len(), 1);
    }
}
