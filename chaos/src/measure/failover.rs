//! A leader is killed, again and again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use tokio::time::sleep;

use super::{Setting, gaps};
use crate::cluster::POLL;
use crate::seed::{self, Random};
use crate::summary::spread;
use crate::{report, site};

/// How long the killed node stays away: longer than any election takes.
const AWAY: Duration = Duration::from_secs(3);
/// How long leaderships may take to spread again.
const SPREAD_MAX: Duration = Duration::from_secs(20);

/// Arguments of `failover`.
#[derive(Debug, Args)]
pub(crate) struct FailoverArgs {
    /// How often
    #[arg(long, default_value_t = 20, value_name = "N")]
    kills: usize,
    #[command(flatten)]
    setting: Setting,
}

/// Measures; always true, as the figures are for people to judge.
pub(crate) async fn run(args: FailoverArgs) -> Result<bool> {
    let seed = args.setting.seed.unwrap_or_else(seed::fresh);
    let (dir, temporary) = site::directory(args.setting.dir.as_deref())?;
    let mut bench = args.setting.start(&dir, seed).await?;
    let mut random = Random::new(seed);
    let (mut deaths, mut led) = (Vec::new(), Vec::new());
    for _ in 0..args.kills {
        spread_out(&bench).await?;
        sleep(random.between(Duration::from_millis(500), Duration::from_secs(1))).await;
        let standing = bench.cluster.standing().await?;
        let leaders: Vec<_> = standing.partitions.iter().filter_map(|group| group.leader).collect();
        let leader = *random.choice(&leaders);
        led.push(leaders.iter().filter(|other| **other == leader).count());
        let node = bench.cluster.node(leader)?;
        deaths.push(gaps::now());
        node.kill().await?;
        sleep(AWAY).await;
        let node = bench.cluster.node(leader)?;
        node.start()?;
        node.ready().await?;
    }
    let (ids, met) = bench.load.finish().await?;
    let door = bench.cluster.nodes.first().context("there is a node")?.door.clone();
    let gaps = gaps::read(&door, &ids, &deaths).await?;
    let wrong = bench.cluster.stop().await?;
    report::violations(&wrong);

    let all: Vec<u64> = gaps.iter().flatten().copied().collect();
    let worst: Vec<u64> = gaps.iter().filter_map(|gaps| gaps.iter().max().copied()).collect();
    report::say(&format!(
        "failover: seed {seed}, {} nodes, {} partitions",
        args.setting.nodes, args.setting.partitions
    ));
    report::table(&[
        ("kills", format!("{}, of them with executions affected {}", deaths.len(), worst.len())),
        ("executions affected", format!("{} of {}", all.len(), ids.len())),
        ("stood still, ms: median / p99 / max", spread(&all)),
        ("the last one of each kill, ms", spread(&worst)),
        ("partitions led by the killed", format!("{led:?}")),
        ("requests", format!("{met:?}")),
    ]);
    args.setting.write(&json!({"seed": seed, "gaps_ms": gaps, "led": led, "requests": met}))?;
    if temporary && wrong.is_empty() {
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(wrong.is_empty())
}

/// Waits until every node leads something, so that whoever is hit leads some.
async fn spread_out(bench: &super::Bench) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < SPREAD_MAX {
        let standing = bench.cluster.standing().await?;
        if standing.is_up() && standing.nodes.iter().all(|node| node.leads > 0) {
            return Ok(());
        }
        sleep(POLL * 10).await;
    }
    report::say("leaderships did not spread over all nodes in time");
    Ok(())
}
