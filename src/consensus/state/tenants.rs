//! Small numbers for tenants, so that an index of a million executions does not repeat their names.
//!
//! The numbers are this process's own: they differ between replicas and are never stored.

use std::collections::BTreeMap;

use crate::engine::model::{ExecutionId, TenantId};

/// A tenant's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TenantNumber(u32);

/// Which execution, within a machine. Keys of a tenant sort by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub tenant: TenantNumber,
    pub id: ExecutionId,
}

/// The tenants seen so far.
#[derive(Debug, Default)]
pub(super) struct Tenants {
    numbers: BTreeMap<TenantId, TenantNumber>,
    names: Vec<TenantId>,
}

impl Tenants {
    /// The number of a tenant, a new one if it has none.
    pub(super) fn intern(&mut self, tenant: &TenantId) -> TenantNumber {
        if let Some(number) = self.numbers.get(tenant) {
            return *number;
        }
        let number = TenantNumber(u32::try_from(self.names.len()).expect("a slug space is not exhausted"));
        self.names.push(tenant.clone());
        self.numbers.insert(tenant.clone(), number);
        number
    }

    /// The number of a tenant that was seen.
    pub(super) fn find(&self, tenant: &TenantId) -> Option<TenantNumber> {
        self.numbers.get(tenant).copied()
    }

    pub(super) fn name(&self, number: TenantNumber) -> &TenantId {
        &self.names[number.0 as usize]
    }
}
