//! Tests of the machine as a whole, over a store that forgets like a disk.

mod claims;
mod golden;
mod lists;
mod lives;
mod nodes;
mod replay;
mod snapshots;
mod watches;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::model::{
    AfterFailure, Created, Epoch, Event, ExecutionId, Fault, PartitionId, Payload, SpecHash, StepIndex,
    StepKey, TenantId, Timestamp, Version, Wait, WorkflowId,
};
use crate::storage::MemoryStore;

use super::super::command::{Append, Batch, Claim, Command, Conflict, Reply};
use super::super::view::Record;
use super::{Limits, Machine, MachineOptions};

/// 2024-11-19, where the tests begin.
pub(super) const START_MS: u64 = 1_732_000_000_000;

/// A machine, its store, and the end of its log.
pub(super) struct Bench {
    pub store: MemoryStore,
    pub machine: Arc<Machine>,
    pub limits: Limits,
    pub index: u64,
    pub now_ms: u64,
}

impl Bench {
    /// A machine with a leadership in its log.
    pub(super) fn new(limits: Limits) -> Self {
        let store = MemoryStore::new();
        let machine = open(&store, 1, &limits);
        let mut bench = Self { store, machine, limits, index: 0, now_ms: START_MS };
        bench.lead();
        bench
    }

    pub(super) fn lead(&mut self) -> Epoch {
        self.index += 1;
        match self.machine.apply(self.index, &Command::LeaderEpoch { node: 1, boot: 1, at: at(self.now_ms) })
        {
            Reply::Epoch(epoch) => epoch,
            other => panic!("a leadership answers an epoch, not {other:?}"),
        }
    }

    pub(super) fn append(&mut self, append: Append) -> Result<Arc<Record>, Conflict> {
        let epoch = self.machine.epoch();
        self.batch(Batch { epoch, at: at(self.now_ms), pins: vec![], appends: vec![append] }).remove(0)
    }

    pub(super) fn batch(&mut self, batch: Batch) -> Vec<Result<Arc<Record>, Conflict>> {
        self.index += 1;
        match self.machine.apply(self.index, &Command::Batch(batch)) {
            Reply::Batch(replies) => replies,
            other => panic!("a batch answers a batch, not {other:?}"),
        }
    }

    /// Creates an execution at its first attempt.
    pub(super) fn start(&mut self, tenant: &str, id: ExecutionId) {
        self.append(append(tenant, id, 0, vec![created(tenant), started(0, 1)])).expect("it is new");
    }

    /// Appends what fits whatever version it has.
    pub(super) fn go_on(&mut self, tenant: &str, id: ExecutionId, events: Vec<Event>) {
        let record = self.machine.record(&self::tenant(tenant), id).unwrap().expect("it exists");
        let version = record.execution.version;
        drop(record);
        self.append(append(tenant, id, version, events)).expect("it fits");
    }

    /// Checkpoints until everything is written, however young it is.
    pub(super) fn write_all(&mut self) {
        for _ in 0..1_000 {
            self.machine.checkpoint(&meta_at).unwrap();
            if self.machine.durable() == self.index && self.machine.counts().dirty == 0 {
                return;
            }
        }
        panic!("checkpoints do not catch up: {:?}", self.machine.counts());
    }

    /// The process dies and starts again; the log is not replayed.
    pub(super) fn restart(&mut self) {
        self.store.lose_unsynced();
        self.machine = open(&self.store, 1, &self.limits);
        self.index = self.machine.applied().index;
    }
}

pub(super) fn open(store: &MemoryStore, partition: u16, limits: &Limits) -> Arc<Machine> {
    let store = Arc::new(store.clone());
    Machine::open(MachineOptions { partition: PartitionId(partition), store, limits: limits.clone() })
        .unwrap()
}

/// Every limit so small that every path is taken.
pub(super) fn tight() -> Limits {
    Limits {
        cache_records_max: 2,
        slice_records_max: 3,
        slice_looks_max: 16,
        finished_rounds: 1,
        parked_rounds: 1,
        moving_rounds: 3,
        pack_bytes_max: 1_024,
        window_packs_max: 2,
        tail_events_max: 4,
        history_bytes_max: 400,
        list_looks_max: 5,
        chunk_bytes_max: 512,
        ..Limits::default()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that checkpoints ask for")]
pub(super) fn meta_at(index: u64) -> Option<Vec<u8>> {
    Some(index.to_be_bytes().to_vec())
}

pub(super) fn at(ms: u64) -> Timestamp {
    Timestamp::from_micros(ms * 1_000)
}

pub(super) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

/// The `number`th id of a millisecond.
pub(super) fn id(ms: u64, number: u16) -> ExecutionId {
    ExecutionId::new(ms, u128::from(number) << 16, number % 4_096)
}

pub(super) fn workflow_id(number: u128) -> WorkflowId {
    WorkflowId::from_uuid(uuid::Uuid::from_u128(number))
}

pub(super) fn append(tenant: &str, id: ExecutionId, expected: Version, events: Vec<Event>) -> Append {
    Append { tenant: self::tenant(tenant), execution: id, expected, events, claim: None }
}

pub(super) fn claim(key: u8, request: u8) -> Claim {
    Claim { key: [key; 32], request: [request; 32] }
}

pub(super) fn created(tenant: &str) -> Event {
    Event::Created(Box::new(Created {
        tenant: self::tenant(tenant),
        workflow: Some(workflow_id(7)),
        workflow_version: 1,
        workflow_name: "order".into(),
        spec: SpecHash([3; 32]),
        steps: 2,
        input: Payload::from_text("{\"n\":1}").unwrap(),
        labels: BTreeMap::from([("team".into(), "blue".into())]),
        priority: 5,
        by: "ada".into(),
        deadline: None,
    }))
}

pub(super) fn step(index: u16) -> StepKey {
    StepKey::plain(StepIndex(index))
}

pub(super) fn started(index: u16, attempt: u32) -> Event {
    Event::AttemptStarted {
        step: step(index),
        attempt,
        params: Payload::from_text("{\"url\":\"x\"}").unwrap(),
        deadline: None,
        epoch: Epoch(1),
    }
}

pub(super) fn done(index: u16, attempt: u32) -> Event {
    Event::AttemptCompleted { step: step(index), attempt, output: Payload::from_text("[1,2]").unwrap() }
}

pub(super) fn backoff(index: u16, attempt: u32, until_ms: u64) -> Event {
    Event::AttemptFailed {
        step: step(index),
        attempt,
        fault: Fault::retryable("http_503", "busy"),
        next: AfterFailure::Backoff { until: at(until_ms) },
    }
}

pub(super) fn waiting(index: u16, until_ms: u64) -> Event {
    Event::StepWaiting { step: step(index), params: Payload::null(), wait: Wait::Until(at(until_ms)) }
}

pub(super) fn completed() -> Event {
    Event::Completed { output: Some(Payload::from_text("\"fine\"").unwrap()) }
}

pub(super) fn retried() -> Event {
    Event::Retried { by: "eve".into(), steps: vec![step(0)], deadline: None }
}
