//! What a simulation comes to: what users were told, what happened outside, and what every replica holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use everstep::actors;
use everstep::consensus::{self, Counts, ListQuery};
use everstep::engine::definition::Spec;
use everstep::engine::model::{Execution, ExecutionId, PartitionId, Recorded, SpecHash};

use crate::effects::Seen;
use crate::journal::Operation;
use crate::users::tenant;

/// Executions listed at once.
const PAGE: usize = 500;

/// All there is to judge.
#[derive(Default)]
pub(crate) struct Account {
    /// In the order of their answers.
    pub(crate) operations: Vec<Operation>,
    /// In order.
    pub(crate) effects: Vec<Seen>,
    /// Who led: by partition and epoch.
    pub(crate) leaders: BTreeMap<(u16, u64), u64>,
    /// Of every node and partition, after everything has ended.
    pub(crate) replicas: Vec<Replica>,
    /// The same, after all nodes have lost their power and read their disks.
    pub(crate) replayed: Vec<Replica>,
    /// The definitions.
    pub(crate) specs: BTreeMap<SpecHash, Arc<Spec>>,
}

/// A partition, as one node has it.
#[derive(Clone)]
pub(crate) struct Replica {
    pub(crate) node: u64,
    pub(crate) partition: u16,
    pub(crate) applied: u64,
    pub(crate) digest: u64,
    pub(crate) counts: Counts,
    /// Executions with an actor.
    pub(crate) active: usize,
    pub(crate) executions: BTreeMap<ExecutionId, Kept>,
}

/// An execution, as one node has it.
#[derive(Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) execution: Execution,
    pub(crate) history: Vec<Recorded>,
}

impl Account {
    /// Every execution, once, with its partition.
    pub(crate) fn executions(&self) -> BTreeMap<ExecutionId, (u16, &Kept)> {
        let all = self
            .replicas
            .iter()
            .flat_map(|replica| replica.executions.iter().map(|(id, kept)| (*id, (replica.partition, kept))));
        all.collect()
    }

    /// What each invariant says about each execution, with its id in front.
    pub(crate) fn of_each(&self, check: impl Fn(&Kept, &Spec) -> Vec<String>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (id, (_, kept)) in self.executions() {
            let Some(spec) = self.specs.get(&kept.execution.spec) else {
                wrong.push(format!("{id}: nobody knows its definition"));
                continue;
            };
            wrong.extend(check(kept, spec).into_iter().map(|what| format!("{id}: {what}")));
        }
        wrong
    }
}

impl Replica {
    /// Reads everything of a partition.
    pub(crate) fn read(
        node: u64,
        partition: PartitionId,
        consensus: &consensus::Handle,
        actors: &actors::Handle,
    ) -> Self {
        let machine = consensus.machine(partition);
        let mut executions = BTreeMap::new();
        let mut before = None;
        loop {
            let query = ListQuery { before, limit: PAGE, ..ListQuery::default() };
            let page = machine.list(&tenant(), &query).unwrap();
            for record in page.items {
                let id = record.execution.id;
                let history = machine.history(&tenant(), id, 0, usize::MAX).unwrap().unwrap();
                executions.insert(id, Kept { execution: record.execution.clone(), history });
            }
            match page.next {
                Some(next) => before = Some(next),
                None => break,
            }
        }
        let health = actors.health().into_iter().find(|health| health.partition == partition.0).unwrap();
        Self {
            node,
            partition: partition.0,
            applied: machine.applied().index,
            digest: machine.digest().unwrap(),
            counts: machine.counts(),
            active: health.active,
            executions,
        }
    }
}
