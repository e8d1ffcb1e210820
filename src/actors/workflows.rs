//! The door to the actors: workflows, which live in the catalogue.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::consensus::{CatalogueChange, CatalogueConflict, Claim, Workflow};
use crate::engine::definition::Spec;
use crate::engine::model::{DefinitionStatus, PartitionId, WorkflowId};

use super::handle::Handle;
use super::reading::{Found, Question};
use super::request::{Caller, Error, PutWorkflow, WorkflowPage};
use super::route::misplaced;

/// Workflows on one page.
const PAGE_MAX: usize = 200;

impl Handle {
    /// Creates a workflow or adds a version. The flag tells that the idempotency key was used before, for
    /// the same request.
    pub async fn put_workflow(
        &self,
        caller: &Caller,
        put: PutWorkflow,
    ) -> Result<(Arc<Workflow>, bool), Error> {
        let parsed = Spec::parse(&put.text, self.catalogue()).map_err(Error::Definition)?;
        let claim = put.idempotency_key.as_deref().map(|key| Claim {
            key: Sha256::digest(key).into(),
            request: Sha256::digest(&parsed.canonical).into(),
        });
        let workflow = put.id.unwrap_or_else(|| self.new_workflow_id());
        let spec = Arc::new(parsed.spec);
        let change = CatalogueChange::PutWorkflow {
            tenant: caller.tenant.clone(),
            workflow,
            expected: if put.id.is_none() { Some(0) } else { put.expected },
            name: spec.name.clone(),
            status: spec.status,
            labels: spec.labels.clone(),
            hash: spec.hash,
            text: parsed.canonical.into(),
            by: caller.user.clone(),
            claim,
        };
        match self.change(change).await? {
            Ok(workflow) => {
                self.inner.specs.keep(spec);
                Ok((workflow, false))
            }
            Err(CatalogueConflict::NotFound) => Err(Error::WorkflowNotFound { id: workflow }),
            Err(CatalogueConflict::Version { current }) => Err(Error::VersionConflict { current }),
            Err(CatalogueConflict::Claimed { same_request: false, .. }) => Err(Error::KeyReused),
            Err(CatalogueConflict::Claimed { workflow, .. }) => {
                self.workflow(caller, workflow).await.map(|workflow| (workflow, true))
            }
        }
    }

    /// One workflow, linearizable.
    pub async fn workflow(&self, caller: &Caller, id: WorkflowId) -> Result<Arc<Workflow>, Error> {
        self.inner.consensus.linearize(PartitionId::CATALOGUE).await?;
        self.known_workflow(caller, id)
    }

    /// Workflows, newest first, with ids below `before`; at most `limit` and at most 200.
    pub async fn workflows(
        &self,
        caller: &Caller,
        status: Option<DefinitionStatus>,
        before: Option<WorkflowId>,
        limit: usize,
    ) -> Result<WorkflowPage, Error> {
        self.inner.consensus.linearize(PartitionId::CATALOGUE).await?;
        let limit = limit.clamp(1, PAGE_MAX);
        let machine = self.inner.consensus.machine(PartitionId::CATALOGUE);
        let mut items = machine.workflows(&caller.tenant, status, before, limit + 1);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|workflow| workflow.id);
        Ok(WorkflowPage { items, next })
    }

    /// Deletes a workflow, or archives it if executions of it are unfinished. The flag tells that it was
    /// archived.
    pub async fn delete_workflow(&self, caller: &Caller, id: WorkflowId) -> Result<bool, Error> {
        self.workflow(caller, id).await?;
        let mut unfinished = 0;
        for partition in &self.inner.partitions {
            match self.ask_state(partition, Question::Unfinished(caller.tenant.clone(), id)).await? {
                Found::Unfinished(count) => unfinished += count,
                other => return Err(misplaced(&other)),
            }
        }
        let (tenant, by) = (caller.tenant.clone(), caller.user.clone());
        let archive = unfinished > 0;
        let change = if archive {
            CatalogueChange::SetStatus { tenant, workflow: id, status: DefinitionStatus::Archived, by }
        } else {
            CatalogueChange::DeleteWorkflow { tenant, workflow: id, by }
        };
        match self.change(change).await? {
            Ok(_) => Ok(archive),
            Err(_) => Err(Error::WorkflowNotFound { id }),
        }
    }

    /// A workflow as this node has it.
    pub(super) fn known_workflow(&self, caller: &Caller, id: WorkflowId) -> Result<Arc<Workflow>, Error> {
        self.inner
            .consensus
            .machine(PartitionId::CATALOGUE)
            .workflow(&caller.tenant, id)
            .ok_or(Error::WorkflowNotFound { id })
    }

    fn new_workflow_id(&self) -> WorkflowId {
        let world = &self.inner.world;
        let id = crate::engine::model::ExecutionId::new(world.clock.now().unix_ms(), world.entropy.bits(), 0);
        WorkflowId::from_uuid(id.uuid())
    }
}
