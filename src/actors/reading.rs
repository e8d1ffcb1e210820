//! Reads, from this node's replica or from another's.
//!
//! A node that holds a partition reads its own state, after the leader has named the entry it has to have. A node
//! that does not hold it passes the question on to one that does.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::consensus::{GroupView, ListQuery, Page, Record};
use crate::engine::definition::Spec;
use crate::engine::model::{
    ExecutionId, PartitionId, Recorded, Rejection, SpecHash, TenantId, Version, WorkflowId,
};
use crate::points::{self, Point};

use super::handle::Handle;
use super::partition::Partition;
use super::passing::{Answer, Ask};
use super::read;
use super::request::Error;
use super::route::{Repeat, misplaced};

/// Between two looks whether this node holds what it waits for.
const LEARN_EVERY: Duration = Duration::from_millis(100);

/// Looks after which somebody else is asked: this replica is far behind, as a new one is, or cut off from its leader.
const LOOKS_MAX: usize = 10;

/// What is asked of a partition's state. Add variants at the end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Question {
    /// One execution.
    Execution(TenantId, ExecutionId),
    /// Events of one, from a version on, so many at most.
    History(TenantId, ExecutionId, Version, usize),
    /// A page of them.
    List(TenantId, Box<ListQuery>),
    /// The text of a definition.
    Definition(SpecHash),
    /// How many of a workflow are unfinished.
    Unfinished(TenantId, WorkflowId),
    /// What came of an idempotency key, by its hash.
    Claimed(TenantId, [u8; 32]),
}

/// What is answered. Add variants at the end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Found {
    Execution(Arc<Record>),
    History(Vec<Recorded>),
    List(Page),
    Definition(Arc<str>),
    Unfinished(usize),
    /// Which execution, and the hash of its request.
    Claimed(Option<(ExecutionId, [u8; 32])>),
}

/// Who holds the partitions this node may not hold, as their leaders said last.
#[derive(Debug, Default)]
pub(super) struct Table(Mutex<BTreeMap<u16, Holding>>);

#[derive(Debug, Clone)]
struct Holding {
    epoch: u64,
    leader: Option<u64>,
    members: BTreeSet<u64>,
}

impl Table {
    /// A leader has said who holds its partition.
    pub(super) fn learn(&self, view: &GroupView) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if view.epoch == 0 || table.get(&view.partition).is_some_and(|known| known.epoch > view.epoch) {
            return;
        }
        let members = view.voters.union(&view.learners).copied().collect();
        table.insert(view.partition, Holding { epoch: view.epoch, leader: view.leader, members });
    }

    /// Who leads a partition, unless the node that was named does not any more.
    pub(super) fn leader(&self, partition: PartitionId) -> Option<u64> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.get(&partition.0)?.leader
    }

    /// A node has said that another one leads, or that it does not know.
    pub(super) fn correct(&self, partition: PartitionId, leader: Option<u64>) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = table.get_mut(&partition.0) {
            // Nobody known: one member after the other is asked, until one says.
            let after = known.leader.map_or(Bound::Unbounded, Bound::Excluded);
            let next = known.members.range((after, Bound::Unbounded)).next();
            let next = next.or_else(|| known.members.first()).copied();
            known.leader = leader.or(next);
        }
    }

    fn holds(&self, partition: PartitionId, node: u64) -> Option<bool> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.get(&partition.0).map(|known| known.members.contains(&node))
    }
}

impl Handle {
    /// Whether this node holds a replica of a partition that follows. One that its leader cannot reach does not.
    pub(super) fn holds(&self, partition: PartitionId) -> bool {
        if self.inner.fitness.is_cut_off() {
            return false;
        }
        let me = self.inner.consensus.node();
        // Its own log does not tell a node that it was removed.
        self.inner.table.holds(partition, me).unwrap_or_else(|| self.inner.consensus.is_member(partition))
    }

    /// Whether changes of an execution wake a watch of this node.
    pub(super) fn holds_execution(&self, id: ExecutionId) -> bool {
        self.holds(self.partition_of(id).id)
    }

    /// Reads, linearizable.
    pub(super) async fn ask_state(&self, partition: &Partition, question: Question) -> Result<Found, Error> {
        if let Some(answered) = self.answer_if_held(partition, &question).await {
            return answered;
        }
        let here = || self.answered_here(partition.id, &question);
        let ask = || Ask::Read { partition: partition.id, question: question.clone() };
        match self.carry_out(partition.id, Repeat::Harmless, here, ask).await? {
            Answer::Found(found) => Ok(found),
            other => Err(misplaced(&other)),
        }
    }

    /// Answers from this node's replica; `None` if it has none, learns while it waits that it has none any more, or
    /// has waited for long.
    async fn answer_if_held(
        &self,
        partition: &Partition,
        question: &Question,
    ) -> Option<Result<Found, Error>> {
        let mut answering = std::pin::pin!(self.answer_here(partition, question));
        for _ in 0..LOOKS_MAX {
            if !self.holds(partition.id) {
                break;
            }
            if let Ok(answered) = tokio::time::timeout(LEARN_EVERY, &mut answering).await {
                return Some(answered);
            }
        }
        None
    }

    pub(super) async fn answered_here(
        &self,
        partition: PartitionId,
        question: &Question,
    ) -> Result<Answer, Error> {
        let here = self.inner.partitions.iter().find(|it| it.id == partition);
        let here = here.ok_or(Error::Elsewhere { partition, leader: None })?;
        self.answer_here(here, question).await.map(Answer::Found)
    }

    async fn answer_here(&self, partition: &Partition, question: &Question) -> Result<Found, Error> {
        self.inner.consensus.linearize(partition.id).await?;
        points::cross(Point::ReadConfirmed).await;
        let machine = partition.machine();
        let failed = |what: &str, error: &dyn std::fmt::Display| Error::Unavailable {
            reason: format!("{what}: {error}"),
        };
        Ok(match question {
            Question::Execution(tenant, id) => Found::Execution(read::record(partition, tenant, *id)?),
            Question::History(tenant, id, from, limit) => match machine.history(tenant, *id, *from, *limit) {
                Ok(Some(events)) => Found::History(events),
                Ok(None) => return Err(Rejection::ExecutionNotFound { id: *id }.into()),
                Err(error) => return Err(failed("read a history", &error)),
            },
            Question::List(tenant, query) => {
                let page = machine.list(tenant, query);
                Found::List(page.map_err(|error| failed("list executions", &error))?)
            }
            Question::Definition(hash) => Found::Definition(read::spec_text(partition, *hash)?),
            Question::Unfinished(tenant, workflow) => {
                Found::Unfinished(machine.running_of(tenant, *workflow))
            }
            Question::Claimed(tenant, key) => {
                let claimed = machine.claimed(tenant, key);
                Found::Claimed(claimed.map_err(|error| failed("read an idempotency key", &error))?)
            }
        })
    }

    /// The definition an execution keeps.
    pub async fn spec_of(&self, record: &Record) -> Result<Arc<Spec>, Error> {
        let hash = record.execution.spec;
        let partition = self.partition_of(record.execution.id);
        if let Ok(spec) = read::spec(partition, hash) {
            return Ok(spec);
        }
        if let Some(spec) = self.inner.specs.find(hash) {
            return Ok(spec);
        }
        match self.ask_state(partition, Question::Definition(hash)).await? {
            Found::Definition(text) => {
                self.inner.specs.get(hash, || Spec::load(&text)).map_err(Error::Definition)
            }
            other => Err(misplaced(&other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nobody_is_known_to_lead_each_member_is_asked_in_turn() {
        let table = Table::default();
        let partition = PartitionId(1);
        let view = GroupView {
            partition: 1,
            leader: Some(2),
            epoch: 1,
            voters: BTreeSet::from([2, 4, 6]),
            ..GroupView::default()
        };
        table.learn(&view);
        let asked: Vec<_> = (0..4)
            .map(|_| {
                table.correct(partition, None);
                table.leader(partition)
            })
            .collect();
        assert_eq!(asked, [Some(4), Some(6), Some(2), Some(4)]);
        table.correct(partition, Some(6));
        assert_eq!(table.leader(partition), Some(6));
    }
}
