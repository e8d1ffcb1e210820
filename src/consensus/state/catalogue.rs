//! The workflows of all tenants: kept in memory whole, because there are few and every start asks for one.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::model::{DefinitionStatus, TenantId, WorkflowId};

use super::super::view::Workflow;

/// A workflow in memory.
#[derive(Debug)]
pub(super) struct Slot {
    pub workflow: Arc<Workflow>,
    /// The entry that changed it last.
    pub changed: u64,
    /// It is as the store had it at the start: entries up to `changed` are in it already.
    pub loaded: bool,
}

/// The workflows of a partition; only partition 0 has any.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    tenants: BTreeMap<TenantId, BTreeMap<WorkflowId, Slot>>,
}

impl Catalogue {
    pub(super) fn get(&self, tenant: &TenantId, id: WorkflowId) -> Option<&Slot> {
        self.tenants.get(tenant)?.get(&id)
    }

    pub(super) fn insert(&mut self, slot: Slot) {
        let tenant = self.tenants.entry(slot.workflow.tenant.clone()).or_default();
        tenant.insert(slot.workflow.id, slot);
    }

    pub(super) fn remove(&mut self, tenant: &TenantId, id: WorkflowId) -> Option<Arc<Workflow>> {
        self.tenants.get_mut(tenant)?.remove(&id).map(|slot| slot.workflow)
    }

    /// All of them, by tenant and id.
    pub(super) fn all(&self) -> impl Iterator<Item = &Slot> {
        self.tenants.values().flat_map(BTreeMap::values)
    }

    /// A page, newest first.
    pub(super) fn page(
        &self,
        tenant: &TenantId,
        status: Option<DefinitionStatus>,
        before: Option<WorkflowId>,
        limit: usize,
    ) -> Vec<Arc<Workflow>> {
        let Some(workflows) = self.tenants.get(tenant) else { return Vec::new() };
        let newest_first = workflows.iter().rev().filter(|(id, _)| before.is_none_or(|before| **id < before));
        let wanted = newest_first
            .map(|(_, slot)| &slot.workflow)
            .filter(|workflow| status.is_none_or(|status| workflow.status == status));
        wanted.take(limit).cloned().collect()
    }
}
