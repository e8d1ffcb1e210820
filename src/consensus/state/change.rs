//! Folding changes of the catalogue.

use std::borrow::Cow;
use std::sync::Arc;

use crate::engine::model::{DefinitionStatus, PartitionId, TenantId, Timestamp, WorkflowId};

use super::super::command::{CatalogueChange, CatalogueConflict, Reply};
use super::super::view::{Workflow, WorkflowVersion};
use super::apply::Fold;
use super::catalogue::Slot;
use super::keys::{self, Domain};
use super::stored::{self, StoredClaim, StoredWorkflow};

type Changed = std::result::Result<Arc<Workflow>, CatalogueConflict>;

impl Fold<'_> {
    pub(super) fn change(
        &mut self,
        partition: PartitionId,
        at: Timestamp,
        change: &CatalogueChange,
    ) -> Reply {
        if partition != PartitionId::CATALOGUE {
            return Reply::Catalogue(Err(CatalogueConflict::NotFound));
        }
        let at = self.advance(at);
        Reply::Catalogue(match change {
            CatalogueChange::PutWorkflow { .. } => self.put(at, change),
            CatalogueChange::SetStatus { tenant, workflow, status, by: _ } => {
                self.set_status(at, tenant, *workflow, *status)
            }
            CatalogueChange::DeleteWorkflow { tenant, workflow, by: _ } => self.delete(tenant, *workflow),
        })
    }

    fn put(&mut self, at: Timestamp, change: &CatalogueChange) -> Changed {
        let CatalogueChange::PutWorkflow {
            tenant,
            workflow,
            expected,
            name,
            status,
            labels,
            hash,
            text,
            by,
            claim,
        } = change
        else {
            unreachable!("only puts come here");
        };
        if let Some(claim) = claim
            && let Some(held) = self.claimed(tenant, Domain::Workflow, claim, workflow.uuid())
        {
            let same_request = held.request == claim.request;
            return Err(CatalogueConflict::Claimed {
                workflow: WorkflowId::from_uuid(held.owner),
                same_request,
            });
        }
        let version = |version| WorkflowVersion {
            version,
            name: name.clone(),
            labels: labels.clone(),
            hash: *hash,
            text: Arc::clone(text),
            created_at: at,
            by: by.clone(),
        };
        let changed = match self.folded(tenant, *workflow) {
            Some(Folded::Already(workflow)) => return Ok(workflow),
            Some(Folded::Before(before)) => {
                let current = before.latest().version;
                if expected.is_some_and(|expected| expected != current) {
                    return Err(CatalogueConflict::Version { current });
                }
                let mut after = Workflow::clone(&before);
                after.versions.push(version(current + 1));
                after.status = *status;
                after.updated_at = at;
                after
            }
            None if *expected == Some(0) => Workflow {
                id: *workflow,
                tenant: tenant.clone(),
                status: *status,
                created_at: at,
                updated_at: at,
                versions: vec![version(1)],
            },
            None => return Err(CatalogueConflict::NotFound),
        };
        if let Some(claim) = claim {
            let suffix = keys::claim(tenant, Domain::Workflow, &claim.key);
            let claim = StoredClaim { owner: workflow.uuid(), request: claim.request, index: self.index };
            self.state.loose.set(self.index, suffix, Some(stored::encode_claim(&claim)));
        }
        Ok(self.keep(changed))
    }

    fn set_status(
        &mut self,
        at: Timestamp,
        tenant: &TenantId,
        workflow: WorkflowId,
        status: DefinitionStatus,
    ) -> Changed {
        match self.folded(tenant, workflow).ok_or(CatalogueConflict::NotFound)? {
            Folded::Already(workflow) => Ok(workflow),
            Folded::Before(before) => {
                let after = Workflow { status, updated_at: at, ..Workflow::clone(&before) };
                Ok(self.keep(after))
            }
        }
    }

    fn delete(&mut self, tenant: &TenantId, workflow: WorkflowId) -> Changed {
        match self.folded(tenant, workflow).ok_or(CatalogueConflict::NotFound)? {
            Folded::Already(workflow) => Ok(workflow),
            Folded::Before(before) => {
                self.state.catalogue.remove(tenant, workflow);
                self.state.loose.set(self.index, keys::workflow(tenant, workflow), None);
                Ok(before)
            }
        }
    }

    /// A workflow, and whether it has this entry already.
    fn folded(&self, tenant: &TenantId, workflow: WorkflowId) -> Option<Folded> {
        self.state.catalogue.get(tenant, workflow).map(|slot| {
            let workflow = Arc::clone(&slot.workflow);
            if slot.loaded && slot.changed >= self.index {
                Folded::Already(workflow)
            } else {
                Folded::Before(workflow)
            }
        })
    }

    fn keep(&mut self, workflow: Workflow) -> Arc<Workflow> {
        let workflow = Arc::new(workflow);
        let stored = StoredWorkflow { changed: self.index, workflow: Cow::Owned(Workflow::clone(&workflow)) };
        let suffix = keys::workflow(&workflow.tenant, workflow.id);
        self.state.loose.set(self.index, suffix, Some(stored::encode_workflow(&stored)));
        let slot = Slot { workflow: Arc::clone(&workflow), changed: self.index, loaded: false };
        self.state.catalogue.insert(slot);
        workflow
    }
}

enum Folded {
    /// The store was ahead: the entry is in it.
    Already(Arc<Workflow>),
    /// As it was before this entry.
    Before(Arc<Workflow>),
}
