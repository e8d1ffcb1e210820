//! What can break, and how it is made sure that it did.
//!
//! A fault has four parts: it is inflicted, there is proof that it took effect, it lasts, and it is taken back. In the
//! end everything is as an operator would leave it: all nodes run, nothing is in the way. Faults come one after the
//! other, so never more than a minority is down, except by the kinds that take all at once.
//!
//! While a minority is down the others have to serve; `serving` in an account says how long it took until they did.

mod clock;
mod disk;
mod eio;
mod link;
mod members;
mod process;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::client::Ledger;
use crate::cluster::Cluster;
use crate::probe::Probe;
use crate::seed::Random;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// SIGKILL of the leader of some partition.
    KillLeader,
    /// SIGKILL of any node.
    KillAny,
    /// SIGKILL of all nodes.
    KillAll,
    /// SIGTERM: it hands over and stops; then it is started again.
    Restart,
    /// SIGTERM and start of all nodes, one after the other.
    RollingRestart,
    /// SIGSTOP for less than a lease.
    PauseShort,
    /// SIGSTOP for ten leases and more.
    PauseLong,
    /// A node is cut off from all others, both ways.
    Cut,
    /// Two nodes cannot reach each other; both reach the third.
    CutPair,
    /// Nothing a node says arrives; it hears everything.
    Mute,
    /// Nothing arrives at a node; everything it says does.
    Deaf,
    /// Everything between a node and the others takes longer.
    Delay,
    /// Connections of a node break, again and again.
    Reset,
    /// Connections to a node are taken and never answered.
    HalfOpen,
    /// Little passes between a node and the others.
    Slow,
    /// Of what is sent between a node and the others, much is lost.
    Loss,
    /// The disk of a node is full.
    DiskFull,
    /// The disk of a node answers writes, syncs or both with an error.
    DiskError,
    /// Bytes of a stopped node's files change.
    Flip,
    /// A node loses its disk; another takes its place.
    Wipe,
    /// An older copy of a node's disk takes its place; another node takes that node's place.
    GoBack,
    /// One more node.
    Add,
    /// One node less, in order.
    Drain,
    /// SIGKILL of all nodes, and what was not synced is gone.
    PowerLoss,
    /// The clock of a node jumps.
    ClockStep,
}

impl Kind {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 25] = [
        Self::KillLeader,
        Self::KillAny,
        Self::KillAll,
        Self::Restart,
        Self::RollingRestart,
        Self::PauseShort,
        Self::PauseLong,
        Self::Cut,
        Self::CutPair,
        Self::Mute,
        Self::Deaf,
        Self::Delay,
        Self::Reset,
        Self::HalfOpen,
        Self::Slow,
        Self::Loss,
        Self::DiskFull,
        Self::DiskError,
        Self::Flip,
        Self::Wipe,
        Self::GoBack,
        Self::Add,
        Self::Drain,
        Self::PowerLoss,
        Self::ClockStep,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// What became of a fault.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Account {
    /// Which node or nodes.
    pub(crate) nodes: Vec<u64>,
    /// What shows that it took effect; none if nothing does.
    pub(crate) proof: Option<String>,
    /// Milliseconds until the others served again.
    pub(crate) serving_ms: Option<u64>,
    /// What else is worth telling.
    pub(crate) remarks: Vec<String>,
    /// What it has brought to light.
    pub(crate) violations: Vec<String>,
}

/// Everything that a fault may lay hands on.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) probe: Probe,
    pub(crate) random: Random,
    /// Nodes in the beginning: what the cluster comes back to.
    pub(crate) nodes: usize,
    /// How many nodes a fault may take at the same time.
    pub(crate) at_once: u64,
    /// Longer than any lease.
    pub(crate) lease: Duration,
    /// What clients know.
    pub(crate) ledger: Ledger,
    /// Kinds that cannot be tried here, and why.
    pub(crate) unfit: BTreeMap<Kind, String>,
}

impl Stage {
    /// Breaks something, lets it be broken for `time`, and takes it back.
    pub(crate) async fn inflict(&mut self, kind: Kind, time: Duration) -> Result<Account> {
        let inflicted = match kind {
            Kind::KillLeader => self.kill_leader(time).await,
            Kind::KillAny => self.kill_any(time).await,
            Kind::KillAll | Kind::PowerLoss => self.kill_all(time, kind == Kind::PowerLoss).await,
            Kind::Restart => self.restart(time).await,
            Kind::RollingRestart => self.rolling_restart().await,
            Kind::PauseShort => self.pause(time, false).await,
            Kind::PauseLong => self.pause(time.max(self.lease * 10), true).await,
            Kind::Cut
            | Kind::CutPair
            | Kind::Mute
            | Kind::Deaf
            | Kind::Delay
            | Kind::Reset
            | Kind::HalfOpen
            | Kind::Slow
            | Kind::Loss => self.disturb(kind, time).await,
            Kind::DiskFull => self.fill_disk(time).await,
            Kind::DiskError => self.fail_disk(time).await,
            Kind::Flip => self.flip().await,
            Kind::Wipe => self.wipe().await,
            Kind::GoBack => self.go_back(time).await,
            Kind::Add | Kind::Drain if self.cluster.nodes.len() > self.nodes => self.drain().await,
            Kind::Add | Kind::Drain => self.add().await,
            Kind::ClockStep => self.step_clock(time).await,
        };
        inflicted.with_context(|| format!("inflict {kind}"))
    }

    /// Any node.
    fn any(&mut self) -> u64 {
        let ids = self.cluster.ids();
        *self.random.choice(&ids)
    }

    /// Some nodes, no more than may be missing at the same time; `first` among them if there is one.
    fn some(&mut self, first: Option<u64>) -> Vec<u64> {
        let mut all = self.cluster.ids();
        let mut chosen: Vec<u64> = first.into_iter().collect();
        all.retain(|id| !chosen.contains(id));
        let count = usize::try_from(1 + self.random.below(self.at_once)).unwrap_or(1);
        while chosen.len() < count && !all.is_empty() {
            let place = usize::try_from(self.random.below(all.len() as u64)).unwrap_or(0);
            chosen.push(all.swap_remove(place));
        }
        chosen
    }

    /// Waits until the nodes that are not among `down` serve, and then until the fault has lasted for `time`.
    async fn others_serve(&mut self, down: &[u64], time: Duration, account: &mut Account) {
        let began = Instant::now();
        let others = self.cluster.nodes.iter().filter(|node| !down.contains(&node.id));
        let doors: Vec<_> = others.map(|node| node.door.clone()).collect();
        match self.probe.through(&doors).await {
            Ok(_) => {
                account.serving_ms = Some(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
            }
            Err(error) => {
                account.violations.push(format!("W19: without {down:?} the others do not serve: {error:#}"))
            }
        }
        sleep(time.saturating_sub(began.elapsed())).await;
    }
}
