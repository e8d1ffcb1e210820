//! The door to the actors: how an execution begins.
//!
//! The node that is asked chooses the definition and the id. The id decides the partition: with an idempotency key
//! it is the one all requests with that key land in, without one it is a partition this node leads, if it leads
//! any, so that the request need not travel.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::consensus::{Claim, Record};
use crate::engine::definition::Spec;
use crate::engine::model::{
    Create, DefinitionStatus, ExecutionId, Input, Rejection, SpecHash, TenantId, WorkflowId,
};

use crate::engine::planted::{self, Bug};
use crate::points::{self, Point};

use super::execution::{Birth, Born};
use super::handle::Handle;
use super::partition::Partition;
use super::passing::{Answer, Ask, Begin};
use super::read;
use super::reading::{Found, Question};
use super::request::{Caller, Error, Submission, Submitted, What};
use super::route::{ANSWER_MAX, Repeat, misplaced, unknown};

/// A definition that is about to run.
struct Chosen {
    spec: Arc<Spec>,
    text: Arc<str>,
    workflow: Option<WorkflowId>,
    version: u32,
}

impl Handle {
    /// Begins an execution. When this answers, it is durable. With the idempotency key of an earlier submission it
    /// answers with that one's execution, also where a new one would be refused by now.
    pub async fn submit(&self, caller: &Caller, submission: Submission) -> Result<Submitted, Error> {
        let _permit = self.inner.admission.submission(&caller.tenant)?;
        let refused = match self.submit_new(caller, &submission).await {
            Err(refused) if depends_on_when(&refused) => refused,
            answer => return answer,
        };
        match (&submission.idempotency_key, &submission.what) {
            (Some(key), What::Workflow { id, .. }) => {
                let claim = claim_of(key, id.as_bytes(), &submission);
                self.submitted_before(caller, key, claim).await?.ok_or(refused)
            }
            (Some(_), What::Inline { .. }) | (None, _) => Err(refused),
        }
    }

    /// What came of the same submission, if it was made before: what has been refused since does not undo it.
    async fn submitted_before(
        &self,
        caller: &Caller,
        key: &str,
        claim: Claim,
    ) -> Result<Option<Submitted>, Error> {
        let partition = self.partition_of_slot(slot_of(caller, key));
        let question = Question::Claimed(caller.tenant.clone(), claim.key);
        let id = match self.ask_state(partition, question).await? {
            Found::Claimed(Some((id, request))) if request == claim.request => id,
            Found::Claimed(_) => return Ok(None),
            other => return Err(misplaced(&other)),
        };
        let record = self.execution(caller, id).await?;
        Ok(Some(Submitted { record, existing: true }))
    }

    async fn submit_new(&self, caller: &Caller, submission: &Submission) -> Result<Submitted, Error> {
        let chosen = self.choose(caller, &submission.what).await?;
        let SpecHash(hash) = &chosen.spec.hash;
        // The same workflow asked for again is the same request, whatever its version is by now.
        let of = chosen.workflow.as_ref().map_or(&hash[..], |id| id.as_bytes());
        let claim = submission.idempotency_key.as_deref().map(|key| claim_of(key, of, submission));
        let id = self.new_id(caller, submission.idempotency_key.as_deref());
        let Chosen { spec, text, workflow, version } = chosen;
        let begin = Begin {
            caller: caller.clone(),
            id,
            hash: spec.hash,
            text,
            workflow,
            version,
            input: submission.input.clone(),
            labels: submission.labels.clone(),
            claim,
            again: false,
        };
        let asked = AtomicBool::new(false);
        let begin = || Begin { again: asked.swap(true, Ordering::Relaxed), ..begin.clone() };
        let here = || self.begin_here(begin(), Some(spec.clone()));
        let ask = || Ask::Submit(Box::new(begin()));
        let partition = self.partition_of(id);
        points::cross(Point::SubmissionAdmitted).await;
        let answer = self.carry_out(partition.id, Repeat::Harmless, here, ask).await?;
        points::cross(Point::SubmissionAnswered).await;
        match answer {
            Answer::Submitted(record, existing) => {
                if !partition.machine().is_pinned(spec.hash) {
                    // Another node leads, and this one learns in a moment.
                    self.inner.specs.keep(spec);
                }
                Ok(Submitted { record, existing })
            }
            other => Err(misplaced(&other)),
        }
    }

    /// Begins an execution in a partition this node leads.
    pub(super) async fn begin_here(
        &self,
        mut begin: Begin,
        spec: Option<Arc<Spec>>,
    ) -> Result<Answer, Error> {
        let partition = self.partition_of(begin.id);
        if partition.directory.tenure().is_none() {
            return Err(partition.no_leader());
        }
        let tenant = begin.caller.tenant.clone();
        if begin.again
            && !planted::is(Bug::SubmittedTwice)
            && let Ok(record) = read::record(partition, &tenant, begin.id)
        {
            // The first try was recorded after all.
            return Ok(Answer::Submitted(record, false));
        }
        if let Err(refused) = partition.admit_submission().and_then(|()| self.inner.disk.admit_submission()) {
            return repeated(partition, &tenant, begin.claim)?.ok_or(refused);
        }
        if begin.again && planted::is(Bug::SubmittedTwice) {
            let entropy = self.inner.world.entropy.bits();
            begin.id = ExecutionId::new(begin.id.unix_ms(), entropy, begin.id.slot());
        }
        let spec = match spec {
            Some(spec) => spec,
            None => {
                let load = || Spec::load(&begin.text);
                self.inner.specs.get(begin.hash, load).map_err(Error::Definition)?
            }
        };
        match self.give_birth(partition, begin, spec).await? {
            Born::New(record) => Ok(Answer::Submitted(record, false)),
            Born::Claimed { same_request: false, .. } => Err(Error::KeyReused),
            Born::Claimed { execution, .. } => {
                let record: Arc<Record> = read::record(partition, &tenant, execution)?;
                Ok(Answer::Submitted(record, true))
            }
        }
    }

    async fn give_birth(
        &self,
        partition: &Arc<Partition>,
        begin: Begin,
        spec: Arc<Spec>,
    ) -> Result<Born, Error> {
        let (reply, answer) = oneshot::channel();
        let pin = (!partition.machine().is_pinned(begin.hash)).then_some((begin.hash, begin.text));
        let Caller { tenant, user } = begin.caller;
        let create = Create {
            tenant: tenant.clone(),
            workflow: begin.workflow,
            workflow_version: begin.version,
            input: begin.input,
            labels: begin.labels,
            by: user,
        };
        let input = Input::Create(Box::new(create));
        let birth = Birth { input, spec, pin, claim: begin.claim, reply };
        partition.create(&tenant, begin.id, birth)?;
        match tokio::time::timeout(ANSWER_MAX, answer).await {
            Ok(Ok(born)) => born,
            Ok(Err(_)) => Err(unknown("the leadership ended before the execution was recorded")),
            Err(_) => Err(unknown("the log did not answer in time")),
        }
    }

    fn new_id(&self, caller: &Caller, key: Option<&str>) -> ExecutionId {
        let entropy = self.inner.world.entropy.bits();
        let chance = slot_of_chance(entropy);
        let slot = match (key, self.led_here(entropy >> 64)) {
            (Some(key), _) => slot_of(caller, key),
            (None, Some(partition)) => {
                let slots = self.inner.consensus.slots_of(partition.id);
                slots.start + chance % (slots.end - slots.start)
            }
            (None, None) => chance,
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

/// The answer to a submission that was made before under the same key; none if there was none. A claim is never taken
/// back, so that even a replica that is behind answers right where it knows of one.
fn repeated(partition: &Partition, tenant: &TenantId, claim: Option<Claim>) -> Result<Option<Answer>, Error> {
    let Some(claim) = claim else { return Ok(None) };
    let unreadable = |error| Error::Unavailable { reason: format!("read an idempotency key: {error}") };
    match partition.machine().claimed(tenant, &claim.key).map_err(unreadable)? {
        Some((id, request)) if request == claim.request => {
            Ok(Some(Answer::Submitted(read::record(partition, tenant, id)?, true)))
        }
        Some(_) | None => Ok(None),
    }
}

/// A slot, each as likely as any other. The bits it takes are not in the id: the time stands there.
fn slot_of_chance(entropy: u128) -> u16 {
    u16::try_from(entropy >> 116).expect("twelve bits are left")
}

/// The slot of an idempotency key: a repeat lands where the first one is.
fn slot_of(caller: &Caller, key: &str) -> u16 {
    let digest =
        Sha256::new().chain_update(caller.tenant.as_str()).chain_update([0]).chain_update(key).finalize();
    u16::from_be_bytes([digest[0], digest[1]]) % ExecutionId::SLOTS
}

/// Whether the refusal may be news since the same request was first made, and nobody has looked for that.
fn depends_on_when(refused: &Error) -> bool {
    match refused {
        Error::Rejected(_) | Error::WorkflowNotFound { .. } => true,
        Error::Definition(_)
        | Error::VersionNotFound { .. }
        | Error::VersionConflict { .. }
        | Error::NodeNotFound { .. }
        | Error::NodeRefused(_)
        | Error::StillHolds { .. }
        | Error::KeyReused
        | Error::Overloaded { .. }
        | Error::DiskScarce { .. }
        | Error::Elsewhere { .. }
        | Error::Unavailable { .. } => false,
    }
}

/// `of`: what identifies the definition.
fn claim_of(key: &str, of: &[u8], submission: &Submission) -> Claim {
    let mut request = Sha256::new();
    request.update(of);
    request.update(submission.input.as_str());
    for (name, value) in &submission.labels {
        request.update([0]);
        request.update(name);
        request.update([0]);
        request.update(value);
    }
    Claim { key: Sha256::digest(key).into(), request: request.finalize().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_is_met_by_chance() {
        let mut met = vec![0_u32; usize::from(ExecutionId::SLOTS)];
        for count in 0..100_u128 * 4096 {
            let entropy = count.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            met[usize::from(slot_of_chance(entropy))] += 1;
        }
        assert!(met.iter().all(|met| (50..200).contains(met)), "{met:?}");
    }
}
