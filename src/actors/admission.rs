//! Admission control: how much may be asked at the same time.
//!
//! Mailboxes have no limit of their own, so the limit stands in front of them. A request holds a permit
//! from before it is sent until it is answered; without one the caller hears `Overloaded` at once and
//! nothing was done. One tenant may hold only part of what a node has, so that another is still served.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::model::{ExecutionId, TenantId};

use super::partition::overloaded;
use super::request::Error;

/// Requests of a node in flight. Each is a few kilobytes.
const REQUESTS_MAX: usize = 16_384;
/// Requests of one tenant: three quarters, so that one alone cannot shut the others out.
const TENANT_REQUESTS_MAX: usize = REQUESTS_MAX / 4 * 3;
/// Wishes for one execution that wait at the same time: people and systems, not a stream.
const EXECUTION_REQUESTS_MAX: usize = 64;

/// Counts the requests in flight. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Admission {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: AtomicUsize,
    tenants: Mutex<BTreeMap<TenantId, usize>>,
    executions: Mutex<BTreeMap<ExecutionId, usize>>,
}

/// Leave for one request. Dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Permit {
    counts: Arc<Counts>,
    tenant: TenantId,
    execution: Option<ExecutionId>,
}

impl Admission {
    /// Leave for a submission.
    pub(crate) fn submission(&self, tenant: &TenantId) -> Result<Permit, Error> {
        self.admit(tenant, None)
    }

    /// Leave for a wish about one execution.
    pub(crate) fn wish(&self, tenant: &TenantId, id: ExecutionId) -> Result<Permit, Error> {
        self.admit(tenant, Some(id))
    }

    fn admit(&self, tenant: &TenantId, execution: Option<ExecutionId>) -> Result<Permit, Error> {
        let counts = &self.counts;
        if counts.all.load(Ordering::Relaxed) >= REQUESTS_MAX {
            return Err(overloaded("requests on this node"));
        }
        if !take(&counts.tenants, tenant, TENANT_REQUESTS_MAX) {
            return Err(overloaded("requests of this tenant"));
        }
        if let Some(id) = execution
            && !take(&counts.executions, &id, EXECUTION_REQUESTS_MAX)
        {
            give_back(&counts.tenants, tenant);
            return Err(overloaded("requests for this execution"));
        }
        counts.all.fetch_add(1, Ordering::Relaxed);
        Ok(Permit { counts: counts.clone(), tenant: tenant.clone(), execution })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.counts.all.fetch_sub(1, Ordering::Relaxed);
        give_back(&self.counts.tenants, &self.tenant);
        if let Some(id) = &self.execution {
            give_back(&self.counts.executions, id);
        }
    }
}

fn take<K: Ord + Clone>(counts: &Mutex<BTreeMap<K, usize>>, key: &K, limit: usize) -> bool {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    match counts.get_mut(key) {
        Some(count) if *count >= limit => false,
        Some(count) => {
            *count += 1;
            true
        }
        None => {
            counts.insert(key.clone(), 1);
            true
        }
    }
}

fn give_back<K: Ord>(counts: &Mutex<BTreeMap<K, usize>>, key: &K) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(count) = counts.get_mut(key) else { return };
    *count -= 1;
    if *count == 0 {
        counts.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_takes_so_many_wishes_and_gives_the_places_back() {
        let admission = Admission::default();
        let tenant = TenantId::new("default").unwrap();
        let id = ExecutionId::new(1, 2, 3);
        let permits: Vec<_> =
            (0..EXECUTION_REQUESTS_MAX).map(|_| admission.wish(&tenant, id).unwrap()).collect();
        let refused = admission.wish(&tenant, id).unwrap_err();
        assert_eq!(refused.code(), "overloaded");
        assert!(admission.wish(&tenant, ExecutionId::new(1, 2, 4)).is_ok(), "another execution is served");
        drop(permits);
        assert!(admission.wish(&tenant, id).is_ok());
        assert_eq!(admission.counts.all.load(Ordering::Relaxed), 0, "every place was given back");
    }

    #[test]
    fn one_tenant_leaves_room_for_another() {
        let admission = Admission::default();
        let (greedy, modest) = (TenantId::new("greedy").unwrap(), TenantId::new("modest").unwrap());
        let mut permits = Vec::new();
        while let Ok(permit) = admission.submission(&greedy) {
            permits.push(permit);
        }
        assert_eq!(permits.len(), TENANT_REQUESTS_MAX);
        assert!(admission.submission(&modest).is_ok());
    }
}
