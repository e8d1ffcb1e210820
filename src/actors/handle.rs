//! The door to the actors: executions.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::consensus::{self, Claim, Leadership, ListQuery, Page, Record};
use crate::engine::definition::{Finding, RunnerCatalogue, Spec};
use crate::engine::model::{
    Create, DefinitionStatus, ExecutionId, Input, PartitionId, Recorded, Rejection, SpecHash, Version,
    WorkflowId,
};
use crate::engine::{self, Reason};
use crate::world::World;

use super::admission::Admission;
use super::execution::{Birth, Born, Message};
use super::partition::{self, Partition};
use super::read;
use super::request::{Caller, Error, PartitionHealth, Submission, Submitted, What};
use super::specs::Specs;

/// How long a request waits for its answer. A caller that hears nothing for so long is told that the
/// outcome is unknown.
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// How long a request waits for a leader that is just being elected.
const LEADER_MAX: Duration = Duration::from_secs(3);
/// Between two looks whether the actors of a new leadership take work.
const DIRECTORY_POLL: Duration = Duration::from_millis(2);
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
}

/// A definition that is about to run.
struct Chosen {
    spec: Arc<Spec>,
    text: Arc<str>,
    workflow: Option<WorkflowId>,
    version: u32,
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

    /// Begins an execution. When this answers, it is durable.
    pub async fn submit(&self, caller: &Caller, submission: Submission) -> Result<Submitted, Error> {
        let _permit = self.inner.admission.submission(&caller.tenant)?;
        let chosen = self.choose(caller, &submission.what).await?;
        let claim = submission.idempotency_key.as_deref().map(|key| claim_of(key, &submission, &chosen));
        let id = self.new_id(caller, submission.idempotency_key.as_deref());
        let create = Create {
            tenant: caller.tenant.clone(),
            workflow: chosen.workflow,
            workflow_version: chosen.version,
            input: submission.input,
            labels: submission.labels,
            by: caller.user.clone(),
        };
        let partition = self.partition_of(id);
        partition.admit_submission()?;
        self.leader(partition).await?;
        match self.give_birth(partition, caller, id, chosen, create, claim).await? {
            Born::New(record) => Ok(Submitted { record, existing: false }),
            Born::Claimed { same_request: false, .. } => Err(Error::KeyReused),
            Born::Claimed { execution, .. } => {
                let record = read::record(partition, &caller.tenant, execution)?;
                Ok(Submitted { record, existing: true })
            }
        }
    }

    async fn give_birth(
        &self,
        partition: &Arc<Partition>,
        caller: &Caller,
        id: ExecutionId,
        chosen: Chosen,
        create: Create,
        claim: Option<Claim>,
    ) -> Result<Born, Error> {
        let (reply, answer) = oneshot::channel();
        let hash = chosen.spec.hash;
        let pin = (!partition.machine().is_pinned(hash)).then_some((hash, chosen.text));
        let input = Input::Create(Box::new(create));
        let birth = Birth { input, spec: chosen.spec, pin, claim, reply };
        partition.create(&caller.tenant, id, birth)?;
        match tokio::time::timeout(ANSWER_MAX, answer).await {
            Ok(Ok(born)) => born,
            Ok(Err(_)) => Err(unknown("the leadership ended before the execution was recorded")),
            Err(_) => Err(unknown("the log did not answer in time")),
        }
    }

    /// Cancel, pause, resume or retry. When this answers, it is durable.
    pub async fn act(&self, caller: &Caller, id: ExecutionId, input: Input) -> Result<Arc<Record>, Error> {
        let _permit = self.inner.admission.wish(&caller.tenant, id)?;
        let partition = self.partition_of(id);
        self.leader(partition).await?;
        read::record(partition, &caller.tenant, id)?;
        let knock = async {
            for _ in 0..KNOCKS_MAX {
                let (reply, answer) = oneshot::channel();
                let wish = Message::Wish { input: Box::new(input.clone()), reply };
                partition.tell(&caller.tenant, id, wish, partition::Admission::Outside)?;
                if let Ok(answer) = answer.await {
                    return answer;
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
        let partition = self.partition_of(id);
        self.inner.consensus.linearize(partition.id).await?;
        read::record(partition, &caller.tenant, id)
    }

    /// One execution as this node has it, for who has just been woken by a change of it.
    pub fn glance(&self, caller: &Caller, id: ExecutionId) -> Result<Arc<Record>, Error> {
        read::record(self.partition_of(id), &caller.tenant, id)
    }

    /// The definition an execution keeps.
    #[expect(
        clippy::unused_async,
        reason = "a node that does not lead the partition has to ask one that does"
    )]
    pub async fn spec_of(&self, record: &Record) -> Result<Arc<Spec>, Error> {
        read::spec(self.partition_of(record.execution.id), record.execution.spec)
    }

    /// Executions, newest first. A page may be short and still name where to go on.
    pub async fn executions(&self, caller: &Caller, query: ListQuery) -> Result<Page, Error> {
        let mut pages = Vec::new();
        for partition in &self.inner.partitions {
            self.inner.consensus.linearize(partition.id).await?;
            let page = partition.machine().list(&caller.tenant, &query);
            pages.push(
                page.map_err(|error| Error::Unavailable { reason: format!("list executions: {error}") })?,
            );
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
        let partition = self.partition_of(id);
        self.inner.consensus.linearize(partition.id).await?;
        match partition.machine().history(&caller.tenant, id, from, limit.min(HISTORY_PAGE_MAX)) {
            Ok(Some(events)) => Ok(events),
            Ok(None) => Err(Rejection::ExecutionNotFound { id }.into()),
            Err(error) => Err(Error::Unavailable { reason: format!("read the history of {id}: {error}") }),
        }
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
        if !record.execution.status.is_finished() && partition.directory.epoch().is_none() {
            reasons.push(Reason {
                code: "no_leader",
                step: None,
                message: format!(
                    "partition {} has no leader on this node; it goes on with the next",
                    partition.id
                ),
                until: None,
            });
        }
        Ok(reasons)
    }

    /// Where this node stands, the catalogue first.
    #[must_use]
    pub fn health(&self) -> Vec<PartitionHealth> {
        let catalogue = PartitionHealth {
            partition: PartitionId::CATALOGUE.0,
            leading: is_leading(&self.inner.consensus.leadership(PartitionId::CATALOGUE).borrow()),
            active: 0,
            parked: 0,
        };
        let data = self.inner.partitions.iter().map(|partition| {
            let active = partition.directory.active();
            PartitionHealth {
                partition: partition.id.0,
                leading: partition.directory.epoch().is_some(),
                active,
                parked: partition.machine().counts().live.saturating_sub(active),
            }
        });
        std::iter::once(catalogue).chain(data).collect()
    }

    pub(super) fn partition_of(&self, id: ExecutionId) -> &Arc<Partition> {
        let wanted = self.inner.consensus.partition_of(id.slot());
        self.inner
            .partitions
            .iter()
            .find(|partition| partition.id == wanted)
            .expect("the slot map names partitions of this node")
    }

    /// Waits until this node leads every partition and its actors run.
    pub async fn ready(&self) {
        for partition in &self.inner.partitions {
            while self.leader(partition).await.is_err() {}
        }
        let mut catalogue = self.inner.consensus.leadership(PartitionId::CATALOGUE);
        let _stopped = catalogue.wait_for(is_leading).await;
    }

    /// Waits for this node to lead a partition, for a moment.
    async fn leader(&self, partition: &Arc<Partition>) -> Result<(), Error> {
        if partition.directory.epoch().is_some() {
            return Ok(());
        }
        let mut leadership = self.inner.consensus.leadership(partition.id);
        let led = leadership.wait_for(is_leading);
        match tokio::time::timeout(LEADER_MAX, led).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return Err(partition.no_leader()),
        }
        // The directory opens a moment after the leadership is known.
        let opened = async {
            while partition.directory.epoch().is_none() {
                tokio::time::sleep(DIRECTORY_POLL).await;
            }
        };
        tokio::time::timeout(LEADER_MAX, opened).await.map_err(|_| partition.no_leader())
    }

    fn new_id(&self, caller: &Caller, key: Option<&str>) -> ExecutionId {
        let entropy = self.inner.world.entropy.bits();
        let slot = match key {
            Some(key) => slot_of(caller, key),
            None => u16::try_from(entropy >> 100).unwrap_or(0) % ExecutionId::SLOTS,
        };
        ExecutionId::new(self.inner.world.clock.now().unix_ms(), entropy, slot)
    }

    async fn choose(&self, caller: &Caller, what: &What) -> Result<Chosen, Error> {
        match what {
            What::Inline { text } => {
                let parsed = Spec::parse(text, self.catalogue()).map_err(Error::Definition)?;
                Ok(Chosen {
                    spec: Arc::new(parsed.spec),
                    text: parsed.canonical.into(),
                    workflow: None,
                    version: 0,
                })
            }
            What::Workflow { id, version } => {
                let workflow = self.workflow(caller, *id).await?;
                if workflow.status != DefinitionStatus::Active {
                    let name = workflow.latest().name.clone();
                    return Err(Rejection::NotActive { name, status: workflow.status }.into());
                }
                let latest = workflow.latest();
                let chosen = match version {
                    None => latest,
                    Some(number) => workflow.versions.iter().find(|it| it.version == *number).ok_or(
                        Error::VersionNotFound { id: *id, version: *number, latest: latest.version },
                    )?,
                };
                let spec = self.inner.specs.get(chosen.hash, || Spec::load(&chosen.text));
                let spec = spec.map_err(Error::Definition)?;
                Ok(Chosen { spec, text: chosen.text.clone(), workflow: Some(*id), version: chosen.version })
            }
        }
    }
}

fn is_leading(leadership: &Leadership) -> bool {
    matches!(leadership, Leadership::Leading { .. })
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

/// The slot of an idempotency key: a repeat lands where the first one is.
fn slot_of(caller: &Caller, key: &str) -> u16 {
    let digest =
        Sha256::new().chain_update(caller.tenant.as_str()).chain_update([0]).chain_update(key).finalize();
    u16::from_be_bytes([digest[0], digest[1]]) % ExecutionId::SLOTS
}

fn claim_of(key: &str, submission: &Submission, chosen: &Chosen) -> Claim {
    let mut request = Sha256::new();
    let SpecHash(spec) = chosen.spec.hash;
    match chosen.workflow {
        // The same workflow asked for again is the same request, whatever its version is by now.
        Some(id) => request.update(id.as_bytes()),
        None => request.update(spec),
    }
    request.update(submission.input.as_str());
    for (name, value) in &submission.labels {
        request.update([0]);
        request.update(name);
        request.update([0]);
        request.update(value);
    }
    Claim { key: Sha256::digest(key).into(), request: request.finalize().into() }
}

/// The outcome of a request is not known; it may have happened.
pub(super) fn unknown(reason: &str) -> Error {
    Error::Unavailable { reason: format!("{reason}; it may have happened") }
}
