//! Figures: how long work stands still when a node dies, or is stopped in order.
//!
//! No proxies here, nothing is in the way. Executions have steps that call a server of ours, one after the other, so
//! that each of them always has an attempt in flight. What the histories say afterwards is the measure: an execution is
//! affected if an attempt of it was lost with the node, and it stood still from that instant until its next attempt was
//! started. The instants of the histories and ours are of one machine, so they compare.

mod failover;
mod gaps;
mod handover;
mod load;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::cluster::{Cluster, Ground};
use crate::net::Net;
use crate::ports::Ports;
use crate::recorder::Recorder;
use crate::site;
pub(crate) use failover::{FailoverArgs, run as failover};
pub(crate) use handover::{HandoverArgs, run as handover};
use load::Load;

/// What both measurements take.
#[derive(Debug, Clone, Args)]
pub(crate) struct Setting {
    /// The binary to measure; a release build
    #[arg(long, default_value = "target/release/everstep", value_name = "PATH")]
    binary: PathBuf,
    /// Nodes
    #[arg(long, default_value_t = 3)]
    nodes: u64,
    /// Data partitions
    #[arg(long, default_value_t = 8)]
    partitions: u16,
    /// Executions under way at the same time
    #[arg(long, default_value_t = 64, value_name = "N")]
    open: u64,
    /// How long each step takes, in milliseconds
    #[arg(long, default_value_t = 100, value_name = "MS")]
    step_ms: u64,
    /// Chooses whom it hits and when; printed with the result
    #[arg(long)]
    seed: Option<u64>,
    /// Where to keep everything; a fresh directory that is removed afterwards if not given
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The first port to take
    #[arg(long, value_name = "PORT")]
    first_port: Option<u16>,
    /// Also write the figures as JSON here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A cluster at work.
struct Bench {
    cluster: Cluster,
    load: Load,
    _recorder: Recorder,
}

impl Setting {
    async fn start(&self, dir: &Path, seed: u64) -> Result<Bench> {
        let binary = self.binary.canonicalize().with_context(|| format!("find {}", self.binary.display()))?;
        let ground = Ground {
            binary,
            dir: dir.to_owned(),
            net: Net::default(),
            ports: Arc::new(Ports::new(self.first_port)),
            partitions: self.partitions,
            power_loss: false,
            proxied: false,
            disk_mib: 0,
            replicas: 3,
            clock: None,
            eio: None,
            log: "warn,openraft=error".to_owned(),
        };
        let at = ground.ports.take()?;
        let recorder = Recorder::start(at, &dir.join("effects"), Duration::from_millis(self.step_ms)).await?;
        let cluster = Cluster::found(ground, self.nodes).await?;
        let door = cluster.nodes.first().context("there is a node")?.door.clone();
        let workflow = site::create(&door, &load::definition(&format!("http://{at}/"))).await?;
        let load = Load::start(cluster.doors.clone(), &workflow, self.open, seed);
        Ok(Bench { cluster, load, _recorder: recorder })
    }

    fn write(&self, figures: &serde_json::Value) -> Result<()> {
        let Some(at) = &self.json else { return Ok(()) };
        std::fs::write(at, serde_json::to_string_pretty(figures)?)
            .with_context(|| format!("write {}", at.display()))
    }
}
