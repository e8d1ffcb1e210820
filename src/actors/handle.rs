//! The door to the actors: executions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::consensus::{self, Leadership, ListQuery, Page, Record};
use crate::engine::definition::{Finding, RunnerCatalogue, Spec};
use crate::engine::model::{ExecutionId, Input, PartitionId, Recorded, Version};
use crate::engine::{self, Reason};
use crate::points::{self, Point};
use crate::storage::Space;
use crate::world::World;

use super::admission::Admission;
use super::disk::{Disk, DiskRoom};
use super::execution::Message;
use super::fitness::Fitness;
use super::partition::{self, Partition};
use super::passing::{Answer, Ask};
use super::read;
use super::reading::{Found, Question, Table};
use super::request::{Caller, Error, PartitionHealth};
use super::route::{ANSWER_MAX, Others, Repeat, is_leading, misplaced, unknown};
use super::specs::Specs;

/// Between two looks at an execution that another node holds.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Tries to reach an actor that parks just now.
const KNOCKS_MAX: usize = 16;
/// Events read at once from a history.
const HISTORY_PAGE_MAX: usize = 1_000;

/// The door to the actors. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) inner: Arc<Inner>,
}

/// What the handle shares.
pub(super) struct Inner {
    pub(super) consensus: consensus::Handle,
    pub(super) partitions: Vec<Arc<Partition>>,
    pub(super) catalogue: RunnerCatalogue,
    pub(super) world: World,
    pub(super) specs: Specs,
    pub(super) admission: Admission,
    pub(super) disk: Disk,
    pub(super) others: Others,
    pub(super) table: Table,
    pub(super) fitness: Fitness,
    /// How many replicas each partition is to have.
    pub(super) replicas: usize,
    /// The node is stopping: it takes over no leadership any more.
    pub(super) leaving: AtomicBool,
}

impl Handle {
    /// Checks a definition without keeping it. Errors: everything that is wrong with it.
    pub fn validate(&self, text: &str) -> Result<Spec, Vec<Finding>> {
        Spec::parse(text, self.catalogue()).map(|parsed| parsed.spec)
    }

    /// The runners of this node.
    #[must_use]
    pub fn catalogue(&self) -> &RunnerCatalogue {
        &self.inner.catalogue
    }

    /// Cancel, pause, resume or retry. When this answers, it is durable.
    pub async fn act(&self, caller: &Caller, id: ExecutionId, input: Input) -> Result<Arc<Record>, Error> {
        let _permit = self.inner.admission.wish(&caller.tenant, id)?;
        let here = || self.act_here(caller, id, &input);
        let ask = || Ask::Act { caller: caller.clone(), id, input: Box::new(input.clone()) };
        match self.carry_out(self.partition_of(id).id, Repeat::Never, here, ask).await? {
            Answer::Acted(record) => Ok(record),
            other => Err(misplaced(&other)),
        }
    }

    /// As `act`, in a partition this node leads.
    pub(super) async fn act_here(
        &self,
        caller: &Caller,
        id: ExecutionId,
        input: &Input,
    ) -> Result<Answer, Error> {
        let partition = self.partition_of(id);
        let leadership = self.inner.consensus.leadership(partition.id);
        let led = *leadership.borrow();
        let answer = self.knock(partition, caller, id, input).await;
        if let Err(Error::Rejected(_)) = &answer {
            // What is recorded was confirmed by that. A refusal rests on this node's state alone, and is old news if
            // another one leads by now.
            self.inner.consensus.linearize(partition.id).await?;
            if !is_leading(&led) || *leadership.borrow() != led {
                return Err(partition.no_leader());
            }
        }
        answer
    }

    /// Has the actor of an execution do something.
    async fn knock(
        &self,
        partition: &Arc<Partition>,
        caller: &Caller,
        id: ExecutionId,
        input: &Input,
    ) -> Result<Answer, Error> {
        if partition.directory.tenure().is_none() {
            return Err(partition.no_leader());
        }
        self.inner.disk.admit_change()?;
        read::record(partition, &caller.tenant, id)?;
        points::cross(Point::ChangeAdmitted).await;
        let knock = async {
            for _ in 0..KNOCKS_MAX {
                let (reply, answer) = oneshot::channel();
                let taken = Arc::new(AtomicBool::new(false));
                let wish = Message::Wish { input: Box::new(input.clone()), reply, taken: taken.clone() };
                partition.tell(&caller.tenant, id, wish, partition::Admission::Outside)?;
                if let Ok(answer) = answer.await {
                    return answer.map(Answer::Acted);
                }
                if taken.load(Ordering::Relaxed) {
                    return Err(unknown("the execution's actor ended while it was asked"));
                }
                // The actor was just leaving; the next one reads the same state.
                tokio::task::yield_now().await;
            }
            Err(unknown("the execution could not be reached"))
        };
        tokio::time::timeout(ANSWER_MAX, knock)
            .await
            .unwrap_or_else(|_| Err(unknown("the execution did not answer in time")))
    }

    /// One execution, linearizable: what was acknowledged before is seen.
    pub async fn execution(&self, caller: &Caller, id: ExecutionId) -> Result<Arc<Record>, Error> {
        let question = Question::Execution(caller.tenant.clone(), id);
        match self.ask_state(self.partition_of(id), question).await? {
            Found::Execution(record) => Ok(record),
            other => Err(misplaced(&other)),
        }
    }

    /// One execution as this node has it, for who has just been woken by a change of it.
    pub async fn glance(&self, caller: &Caller, id: ExecutionId) -> Result<Arc<Record>, Error> {
        if !self.holds_execution(id) {
            return self.execution(caller, id).await;
        }
        read::record(self.partition_of(id), &caller.tenant, id)
    }

    /// Executions, newest first. A page may be short and still name where to go on.
    pub async fn executions(&self, caller: &Caller, query: ListQuery) -> Result<Page, Error> {
        let mut pages = Vec::new();
        for partition in &self.inner.partitions {
            let question = Question::List(caller.tenant.clone(), Box::new(query.clone()));
            match self.ask_state(partition, question).await? {
                Found::List(page) => pages.push(page),
                other => return Err(misplaced(&other)),
            }
        }
        Ok(merge(pages, query.limit))
    }

    /// Events from version `from` (0: the first) on, at most `limit` and at most a thousand.
    pub async fn history(
        &self,
        caller: &Caller,
        id: ExecutionId,
        from: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, Error> {
        let limit = limit.min(HISTORY_PAGE_MAX);
        let question = Question::History(caller.tenant.clone(), id, from, limit);
        match self.ask_state(self.partition_of(id), question).await? {
            Found::History(events) => Ok(events),
            other => Err(misplaced(&other)),
        }
    }

    /// Waits for a change of an execution; on a node that does not hold it, for a moment.
    pub async fn changed(&self, watch: &mut consensus::Watch, id: ExecutionId) {
        if self.holds_execution(id) {
            return watch.changed().await;
        }
        let _time_to_look = tokio::time::timeout(LOOK_EVERY, watch.changed()).await;
    }

    /// Wakes on changes of an execution.
    #[must_use]
    pub fn watch(&self, id: ExecutionId) -> consensus::Watch {
        self.partition_of(id).machine().watch(id)
    }

    /// Why it is not further.
    pub async fn explain(&self, caller: &Caller, id: ExecutionId) -> Result<Vec<Reason>, Error> {
        let record = self.execution(caller, id).await?;
        let spec = self.spec_of(&record).await?;
        let now = self.inner.world.clock.now();
        let mut reasons = engine::explain(&record.execution, &spec, now);
        let partition = self.partition_of(id);
        if !record.execution.status.is_finished() && self.leader_of(partition.id).is_none() {
            reasons.push(Reason {
                code: "no_leader",
                step: None,
                message: format!("partition {} has no leader; it goes on with the next", partition.id),
                until: None,
            });
        }
        if !record.execution.status.is_finished() && partition.disk.is_full() {
            reasons.push(Reason {
                code: "disk_full",
                step: None,
                message: "the disk of its node is full; it goes on when there is room".to_owned(),
                until: None,
            });
        }
        Ok(reasons)
    }

    /// Takes note of the room on the disk, which decides what is still done.
    pub fn note_space(&self, space: Space) {
        self.inner.disk.note(space);
    }

    /// How much room there is on the disk.
    #[must_use]
    pub fn disk_room(&self) -> DiskRoom {
        self.inner.disk.room()
    }

    /// The id of this node.
    #[must_use]
    pub fn node(&self) -> u64 {
        self.inner.consensus.node()
    }

    /// Where this node stands, the catalogue first.
    #[must_use]
    pub fn health(&self) -> Vec<PartitionHealth> {
        let catalogue = PartitionHealth {
            partition: PartitionId::CATALOGUE.0,
            leading: is_leading(&self.inner.consensus.leadership(PartitionId::CATALOGUE).borrow()),
            leader: self.leader_of(PartitionId::CATALOGUE),
            active: 0,
            parked: 0,
        };
        let data = self.inner.partitions.iter().map(|partition| {
            let active = partition.directory.active();
            PartitionHealth {
                partition: partition.id.0,
                leading: partition.directory.tenure().is_some(),
                leader: self.leader_of(partition.id),
                active,
                parked: partition.machine().counts().live.saturating_sub(active),
            }
        });
        std::iter::once(catalogue).chain(data).collect()
    }

    fn leader_of(&self, partition: PartitionId) -> Option<u64> {
        match *self.inner.consensus.leadership(partition).borrow() {
            Leadership::Leading { .. } => Some(self.inner.consensus.node()),
            Leadership::Following { leader } => {
                let me = self.inner.consensus.node();
                // Who was told of a leader that is gone hears of no other where there is no majority.
                let leader = leader.or_else(|| self.inner.table.leader(partition));
                leader.filter(|leader| *leader != me && !self.inner.fitness.is_silent(*leader))
            }
        }
    }

    pub(super) fn partition_of(&self, id: ExecutionId) -> &Arc<Partition> {
        self.partition_of_slot(id.slot())
    }

    pub(super) fn partition_of_slot(&self, slot: u16) -> &Arc<Partition> {
        let wanted = self.inner.consensus.partition_of(slot);
        self.inner
            .partitions
            .iter()
            .find(|partition| partition.id == wanted)
            .expect("the slot map names partitions of this node")
    }

    /// Waits until every partition has a leader, and the actors of those that are led here run.
    pub async fn ready(&self) {
        let all = std::iter::once(PartitionId::CATALOGUE).chain(self.inner.consensus.partitions());
        for partition in all {
            let begun = || tokio::time::Instant::now();
            while self.place(partition, begun()).await.is_err() {}
        }
    }
}

/// Newest first over all partitions, down to where every partition has been looked through.
fn merge(pages: Vec<Page>, limit: usize) -> Page {
    let frontier = pages.iter().filter_map(|page| page.next).max();
    let mut items: Vec<_> = pages.into_iter().flat_map(|page| page.items).collect();
    items.retain(|record| frontier.is_none_or(|frontier| record.execution.id >= frontier));
    items.sort_unstable_by_key(|record| std::cmp::Reverse(record.execution.id));
    let next = if items.len() > limit {
        items.truncate(limit);
        items.last().map(|record| record.execution.id)
    } else {
        frontier
    };
    Page { items, next }
}
