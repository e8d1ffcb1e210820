//! A data directory of a real node with real work in it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::served::{self, Served};
use crate::client::is_over;
use crate::door::{Door, Reply};
use crate::process::{Launch, POLL};
use crate::site;

/// How long the work may take.
const WORK_MAX: Duration = Duration::from_secs(120);

/// A directory, and what is served from it.
#[derive(Debug)]
pub(super) struct Sound {
    pub(super) dir: std::path::PathBuf,
    pub(super) truth: Served,
    /// A workflow that can be started.
    pub(super) workflow: String,
}

/// Has a node work, and stops it, or kills it. `launch` keeps its data in the directory that is left.
pub(super) async fn make(launch: &Launch, executions: u64, killed: bool) -> Result<Sound> {
    let door = Door::new(launch.address())?;
    let mut process = launch.start()?;
    process.ready_at(&door).await?;
    let mut workflow = String::new();
    for definition in definitions() {
        let id = site::create(&door, &definition).await?;
        for number in 0..executions {
            submit(&door, &id, &format!("{}-{number}", definition["name"]), number).await?;
        }
        if workflow.is_empty() {
            workflow = id;
        }
    }
    settle(&door).await?;
    if killed {
        process.kill().await?;
    } else {
        let status = process.stop().await?;
        ensure!(status.success(), "the node stopped with {status}");
    }
    // What a start writes is part of what may be damaged: a table of pages, an entry for the new leader.
    let mut process = launch.start()?;
    process.ready_at(&door).await?;
    let read = served::everything(&door).await?;
    ensure!(read.errors.is_empty(), "a sound node answers with errors: {:?}", read.errors);
    if killed {
        process.kill().await?;
    } else {
        process.stop().await?;
    }
    let damage = launch.verify().await?;
    ensure!(damage.is_none(), "verify says of a sound directory: {damage:?}");
    Ok(Sound { dir: launch.data_dir(), truth: read.served, workflow })
}

/// Steps of all kinds that need nobody outside: short ones, one that fails, one with an output that the store cuts into
/// pieces, one that sleeps through everything.
fn definitions() -> [Value; 4] {
    let shell = |id: &str, command: &str| json!({"id": id, "type": "shell", "params": {"command": command}});
    let large = "head -c 70000 /dev/urandom | base64 -w 0";
    let twice = json!({"attempts": 2, "backoff": "fixed", "initial": "10ms", "jitter": 0});
    let mut fails = shell("fails", "exit 3");
    fails["retry"] = twice;
    [
        json!({"name": "works", "status": "active", "steps": [
            shell("one", "echo one"), {"id": "wait", "type": "delay", "params": {"for": "50ms"}}, {"id": "three", "type": "noop"}]}),
        json!({"name": "fails", "status": "active", "steps": [fails]}),
        json!({"name": "large", "status": "active", "steps": [shell("large", large)]}),
        json!({"name": "sleeps", "status": "active", "steps": [
            shell("before", "echo before"), {"id": "sleep", "type": "delay", "params": {"for": "90d"}}]}),
    ]
}

pub(super) async fn submit(door: &Door, workflow: &str, key: &str, number: u64) -> Result<String> {
    match door.submit(workflow, key, &json!({ "number": number })).await {
        Reply::Done(execution) => Ok(execution["execution_id"].as_str().context("it has an id")?.to_owned()),
        other => anyhow::bail!("a submission is not taken: {other:?}"),
    }
}

/// Waits until nothing moves any more.
async fn settle(door: &Door) -> Result<()> {
    let began = Instant::now();
    loop {
        let read = served::everything(door).await?;
        let moves = |(question, answer): (&String, &Value)| {
            let single = question.starts_with("/api/executions/") && answer["status"].is_string();
            let sleeps = answer["current_steps"][0]["step_id"] == "sleep";
            single && !is_over(&answer["status"]) && !sleeps
        };
        if !read.served.iter().any(moves) {
            return Ok(());
        }
        ensure!(began.elapsed() < WORK_MAX, "the work is not done after {WORK_MAX:?}");
        sleep(POLL * 10).await;
    }
}
