//! One Raft group of this node, put together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openraft::errors::{InitializeError, RaftError};
use openraft::{BasicNode, SnapshotPolicy};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::engine::model::PartitionId;
use crate::storage::{GroupBounds, Log};
use crate::world::World;

use super::applied::Applied;
use super::fatal::Fatal;
use super::leadership::Herald;
use super::lease::Lease;
use super::log_store::{Found, LogStore};
use super::network::{Factory, Transport};
use super::promise::Promise;
use super::proposer::{Proposer, QUEUE_LEN, Wish};
use super::reads::{Barrier, Confirm, READS_MAX, Waiting};
use super::room::Room;
use super::state::Machine;
use super::state_machine::{Raft, StateMachine};
use super::{Config, Error, Leadership, stored};

/// What all groups of a node have in common.
pub(super) struct Common {
    pub(super) config: Config,
    pub(super) world: World,
    pub(super) log: Log,
    pub(super) boot: u64,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) fatal: Fatal,
    pub(super) stop: watch::Receiver<bool>,
}

/// One group that runs.
pub(super) struct Group {
    pub(super) partition: PartitionId,
    pub(super) raft: Raft,
    pub(super) applied: Arc<Applied>,
    pub(super) log_store: LogStore,
    pub(super) wishes: mpsc::Sender<Wish>,
    pub(super) room: Room,
    pub(super) leadership: watch::Receiver<Leadership>,
    pub(super) reads: mpsc::Sender<Waiting>,
    pub(super) confirm: Confirm,
    pub(super) lease: Lease,
    pub(super) promise: Promise,
}

impl Group {
    /// Starts the group with what its log and its state have kept.
    pub(super) async fn start(
        common: &Common,
        partition: PartitionId,
        bounds: Option<&GroupBounds>,
        machine: Arc<Machine>,
        tasks: &mut JoinSet<()>,
    ) -> Result<Self, Error> {
        let fail = |error: &dyn std::fmt::Display| Error::Fatal { partition, reason: error.to_string() };
        let Common { config, log, fatal, .. } = common;
        let applied = Arc::new(Applied::open(partition, machine).map_err(|error| fail(&error))?);
        let found = found(log, partition.0, bounds).map_err(|error| fail(&error))?;
        let length = Duration::from_millis(config.election_ms.1);
        let promise = Promise::kept(config.node, found.vote.as_ref(), length);
        let log_store = LogStore::new(log.clone(), partition.0, found, applied.clone());
        let options = Arc::new(raft_config(config).validate().map_err(|error| fail(&error))?);
        let network =
            Factory { node: config.node, group: partition.0, transport: common.transport.clone(), promise };
        let state_machine = StateMachine::new(applied.clone(), fatal.clone(), config.inline_io);
        let raft = Raft::new(config.node, options, network, log_store.clone(), state_machine).await;
        let raft = raft.map_err(|error| fail(&error))?;
        campaign(&raft, config).await.map_err(|error| fail(&error))?;

        let (wishes, queue) = mpsc::channel(QUEUE_LEN);
        let (watch, leadership) = watch::channel(Leadership::Following { leader: None });
        let lease = Lease::new(config.node, raft.clone(), applied.clone(), length, &common.world);
        let herald = Herald {
            partition,
            node: config.node,
            boot: common.boot,
            raft: raft.clone(),
            applied: applied.clone(),
            world: common.world.clone(),
            patience: Duration::from_millis(config.commit_timeout_ms),
            lease: lease.clone(),
            watch,
            fatal: fatal.clone(),
        };
        let proposer = Proposer {
            partition,
            raft: raft.clone(),
            applied: applied.clone(),
            world: common.world.clone(),
            leadership: leadership.clone(),
            queue,
            patience: Duration::from_millis(config.commit_timeout_ms),
            at: applied.at(),
        };
        let confirm = Confirm {
            partition,
            node: config.node,
            raft: raft.clone(),
            applied: applied.clone(),
            lease: lease.clone(),
            leadership: leadership.clone(),
            patience: Duration::from_millis(config.commit_timeout_ms),
        };
        let (reads, waiting) = mpsc::channel(READS_MAX);
        let barrier = Barrier { confirm: confirm.clone(), transport: common.transport.clone(), waiting };
        tasks.spawn(herald.run(common.stop.clone()));
        tasks.spawn(proposer.run(common.stop.clone()));
        tasks.spawn(barrier.run(common.stop.clone()));
        Ok(Self {
            partition,
            raft,
            applied,
            log_store,
            wishes,
            room: Room::default(),
            leadership,
            reads,
            confirm,
            lease,
            promise,
        })
    }
}

/// Lets a new cluster begin, and a node that is its own quorum lead at once instead of waiting for a leader
/// that cannot exist.
async fn campaign(raft: &Raft, config: &Config) -> Result<(), String> {
    if !raft.is_initialized().await.map_err(|error| error.to_string())? {
        if !config.members.contains_key(&config.node) {
            return Ok(());
        }
        let node = |(id, addr): (&u64, &String)| (*id, BasicNode { addr: addr.clone() });
        let members: BTreeMap<u64, BasicNode> = config.members.iter().map(node).collect();
        return match raft.initialize(members).await {
            // Another member was faster and has already told us.
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
    }
    let voters = raft
        .with_raft_state(|state| state.membership_state.effective().voter_ids().collect::<Vec<_>>())
        .await
        .map_err(|error| error.to_string())?;
    if voters == [config.node] {
        raft.trigger().elect(false).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// What the log has kept for Raft.
fn found(log: &Log, group: u16, bounds: Option<&GroupBounds>) -> std::io::Result<Found> {
    let Some(bounds) = bounds else { return Ok(Found::default()) };
    let purged = bounds.purged.as_deref().map(stored::decode_log_id).transpose()?;
    let vote = bounds.vote.as_deref().map(stored::decode_vote).transpose()?;
    let last = match bounds.last {
        Some(index) => log.read(group, index..index + 1)?.pop().map(stored::entry).transpose()?,
        None => None,
    };
    Ok(Found { vote, purged, last: last.map(|entry| entry.log_id).or(purged) })
}

fn raft_config(config: &Config) -> openraft::Config {
    openraft::Config {
        cluster_name: "everstep".to_owned(),
        heartbeat_interval: config.heartbeat_ms,
        election_timeout_min: config.election_ms.0,
        election_timeout_max: config.election_ms.1,
        // Checkpoints decide when there is a new snapshot and what is purged.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        backoff: "50ms 100ms 200ms ...1s".to_owned(),
        // A node that was cut off must not depose a leader when it comes back.
        enable_pre_vote: Some(true),
        // The state is written behind: who leads has to be elected, so that it has applied everything.
        enable_leader_restore: Some(false),
        ..openraft::Config::default()
    }
}
