//! One node under test, and the changes it is asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use everstep::consensus::{
    Append, Config, Consensus, Handle, Leadership, Machine, MachineOptions, StateLimits, Transport,
};
use everstep::engine::model::{
    Created, Epoch, Event, ExecutionId, Moment, PartitionId, Payload, SpecHash, TenantId, Timestamp, Version,
};
use everstep::storage::{DataDir, Driver, HardState, Log, LogOptions, MemoryHardState, MemoryStore, Store};
use everstep::world::{Clock, Entropy, World};

/// Longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A moment per look, so that time never stands still. Its machine sleeps when it is told to.
#[derive(Default)]
pub(crate) struct Ticking {
    looks: AtomicU64,
    slept_ms: AtomicU64,
}

impl Ticking {
    pub(crate) fn sleep(&self, length: Duration) {
        self.slept_ms.fetch_add(u64::try_from(length.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000 + self.looks.fetch_add(1, Ordering::Relaxed))
    }

    fn slept(&self) -> Duration {
        Duration::from_millis(self.slept_ms.load(Ordering::Relaxed))
    }
}

pub(crate) struct Counted(AtomicU64);

impl Entropy for Counted {
    fn bits(&self) -> u128 {
        u128::from(self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)) << 32
    }
}

pub(crate) fn world(seed: u64, clock: Arc<Ticking>) -> World {
    World { clock, entropy: Arc::new(Counted(AtomicU64::new(seed))) }
}

/// What survives a node.
#[derive(Clone)]
pub(crate) struct Disks {
    pub(crate) log: Arc<dyn Store>,
    pub(crate) hard_state: Arc<dyn HardState>,
    pub(crate) state: Arc<dyn Store>,
}

impl Disks {
    pub(crate) fn in_memory() -> Self {
        Self {
            log: Arc::new(MemoryStore::new()),
            hard_state: Arc::new(MemoryHardState::default()),
            state: Arc::new(MemoryStore::new()),
        }
    }

    pub(crate) fn of(data: &DataDir) -> Self {
        Self { log: data.log.clone(), hard_state: data.hard_state.clone(), state: data.state.clone() }
    }
}

/// Under a leadership, long ago: the node's own clock is later.
pub(crate) fn decided(epoch: Epoch) -> Moment {
    Moment { at: Timestamp::default(), epoch }
}

/// A node that runs.
pub(crate) struct Node {
    pub(crate) consensus: Consensus,
    pub(crate) handle: Handle,
    pub(crate) clock: Arc<Ticking>,
    log: Log,
}

impl Node {
    pub(crate) async fn start(config: Config, disks: &Disks, transport: Arc<dyn Transport>) -> Self {
        // `RUST_LOG=openraft=info` shows what Raft does.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let driver = if config.inline_io { Driver::Task } else { Driver::Thread };
        let options = LogOptions::new(disks.log.clone(), disks.hard_state.clone(), config.node);
        let options = LogOptions { driver, ..options };
        let (log, recovered) = Log::open(options).unwrap();
        let machine = |partition| {
            let limits = StateLimits::default();
            Machine::open(MachineOptions { partition, store: disks.state.clone(), limits }).unwrap()
        };
        let machines = (0..=config.partitions).map(PartitionId).map(machine).collect();
        let clock = Arc::new(Ticking::default());
        let world = world(config.node, clock.clone());
        let consensus =
            Consensus::start(config, world, log.clone(), recovered, machines, transport).await.unwrap();
        let handle = consensus.handle();
        Self { consensus, handle, clock, log }
    }

    /// In good order.
    pub(crate) async fn stop(self) {
        self.consensus.shutdown().await.unwrap();
        self.log.shutdown();
    }

    /// Without a last checkpoint.
    pub(crate) async fn crash(self) {
        self.consensus.crash().await;
        self.log.shutdown();
    }

    /// The oldest entry this node's log still has.
    pub(crate) fn first_in_log(&self, partition: PartitionId) -> Option<u64> {
        self.log.bounds(partition.0).0
    }

    /// Waits until this node leads a partition.
    pub(crate) async fn leads(&self, partition: PartitionId) -> Epoch {
        let mut leadership = self.handle.leadership(partition);
        let leads = leadership.wait_for(|leadership| matches!(leadership, Leadership::Leading { .. }));
        match *tokio::time::timeout(PATIENCE, leads).await.expect("it leads in time").unwrap() {
            Leadership::Leading { epoch } => epoch,
            Leadership::Following { .. } => unreachable!("that was waited for"),
        }
    }
}

/// The execution with a number, in a slot of the first data partition.
pub(crate) fn execution(number: u64) -> ExecutionId {
    ExecutionId::new(1_700_000_000_000 + number, u128::from(number) << 20, 0)
}

pub(crate) fn tenant() -> TenantId {
    TenantId::new("default").unwrap()
}

/// The first event of an execution.
pub(crate) fn creation(number: u64) -> Append {
    let created = Created {
        tenant: tenant(),
        workflow: None,
        workflow_version: 1,
        workflow_name: "order".to_owned(),
        spec: SpecHash([7; 32]),
        steps: 1,
        input: Payload::from_text(&format!("{{\"number\":{number}}}")).unwrap(),
        labels: BTreeMap::new(),
        priority: 0,
        by: "test".to_owned(),
        deadline: None,
    };
    append(number, 0, Event::Created(Box::new(created)))
}

/// Another event.
pub(crate) fn pause(number: u64, expected: Version) -> Append {
    append(number, expected, Event::Paused { by: "test".to_owned(), reason: "a look".to_owned() })
}

fn append(number: u64, expected: Version, event: Event) -> Append {
    Append { tenant: tenant(), execution: execution(number), expected, events: vec![event], claim: None }
}
