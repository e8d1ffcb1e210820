//! Nodes are stopped in order and started again, one after the other.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use tokio::time::sleep;

use super::{Setting, gaps};
use crate::seed;
use crate::summary::spread;
use crate::{report, site};

/// Between the start of one node and the stop of the next: leaderships spread again.
const REST: Duration = Duration::from_secs(5);

/// Arguments of `handover`.
#[derive(Debug, Args)]
pub(crate) struct HandoverArgs {
    /// How often each node is restarted
    #[arg(long, default_value_t = 4, value_name = "N")]
    rounds: usize,
    #[command(flatten)]
    setting: Setting,
}

/// Measures; true if no request failed.
pub(crate) async fn run(args: HandoverArgs) -> Result<bool> {
    let seed = args.setting.seed.unwrap_or_else(seed::fresh);
    let (dir, temporary) = site::directory(args.setting.dir.as_deref())?;
    let mut bench = args.setting.start(&dir, seed).await?;
    let (mut stops, mut took) = (Vec::new(), Vec::new());
    sleep(REST).await;
    for _ in 0..args.rounds {
        for id in bench.cluster.ids() {
            let node = bench.cluster.node(id)?;
            stops.push(gaps::now());
            let began = std::time::Instant::now();
            node.stop().await?;
            took.push(u64::try_from(began.elapsed().as_millis())?);
            node.start()?;
            node.ready().await?;
            sleep(REST).await;
        }
    }
    let (ids, met) = bench.load.finish().await?;
    let door = bench.cluster.nodes.first().context("there is a node")?.door.clone();
    let gaps = gaps::read(&door, &ids, &stops).await?;
    let wrong = bench.cluster.stop().await?;
    report::violations(&wrong);

    let all: Vec<u64> = gaps.iter().flatten().copied().collect();
    report::say(&format!(
        "handover: seed {seed}, {} nodes, {} partitions",
        args.setting.nodes, args.setting.partitions
    ));
    report::table(&[
        ("restarts", stops.len().to_string()),
        ("from SIGTERM to the end, ms", spread(&took)),
        ("executions with an attempt cut off", format!("{} of {}", all.len(), ids.len())),
        ("stood still, ms: median / p99 / max", spread(&all)),
        ("requests", met.requests.to_string()),
        ("asked again at another node", format!("{} refused, {} broken off", met.refused, met.broken)),
        ("failed", format!("{}, turned down {}", met.failed, met.turned_down)),
    ]);
    args.setting.write(&json!({"seed": seed, "gaps_ms": gaps, "stop_ms": took, "requests": met}))?;
    if temporary && wrong.is_empty() {
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(wrong.is_empty() && met.failed == 0)
}
