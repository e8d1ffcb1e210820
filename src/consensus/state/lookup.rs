//! Finding one execution: what is dirty, what is cached, the live row, the packs of its window; or its idempotency key.

use std::ops::Bound;
use std::sync::Arc;

use crate::engine::model::{ExecutionId, Recorded, TenantId, Version};
use crate::storage::Direction;

use crate::engine::planted::{self, Bug};

use super::super::view::Record;
use super::disk::Reading;
use super::error::Result;
use super::keys::Domain;
use super::machine::{Machine, damaged};
use super::tenants::Key;
use super::{keys, stored, weight};

impl Machine {
    /// An execution of a tenant; `None` if that tenant has none with this id.
    ///
    /// Errors: the store fails or is damaged.
    pub fn record(&self, tenant: &TenantId, id: ExecutionId) -> Result<Option<Arc<Record>>> {
        let (known, checkpoints) = {
            let mut state = self.state();
            let key = state.tenants.find(tenant).map(|tenant| Key { tenant, id });
            if let Some(key) = key {
                if let Some(dirty) = state.overlay.get(key) {
                    return Ok(Some(Arc::clone(&dirty.record)));
                }
                if let Some(record) = state.cache.get(key) {
                    return Ok(Some(record));
                }
            }
            (key, state.checkpoints)
        };
        let Some(record) = stored_record(&self.disk.reading(), tenant, id)? else { return Ok(None) };
        let record = Arc::new(record);
        let bytes = weight::of_record(&record);
        let mut state = self.state();
        let key = known.unwrap_or_else(|| Key { tenant: state.tenants.intern(tenant), id });
        // It was clean. If it has been changed since, it is dirty, or a checkpoint has made it clean again.
        if state.checkpoints == checkpoints && state.overlay.get(key).is_none() && !state.cache.contains(key)
        {
            state.cache.put(key, Arc::clone(&record), bytes);
        }
        Ok(Some(record))
    }

    /// The execution that an idempotency key of a tenant belongs to, by the key's SHA-256, and the hash of the request it
    /// was used for.
    ///
    /// Errors: the store fails or is damaged.
    pub fn claimed(&self, tenant: &TenantId, key: &[u8; 32]) -> Result<Option<(ExecutionId, [u8; 32])>> {
        let row = self.loose_row(&keys::claim(tenant, Domain::Execution, key))?;
        let claim = row.map(|row| stored::decode_claim(&row)).transpose()?;
        Ok(claim.map(|claim| (ExecutionId::from_uuid(claim.owner), claim.request)))
    }

    /// Up to `limit` events of an execution, beginning with the one after the first `from`; `None` if the tenant
    /// has no such execution.
    ///
    /// Errors: the store fails or is damaged.
    pub fn history(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        from: Version,
        limit: usize,
    ) -> Result<Option<Vec<Recorded>>> {
        let Some(record) = self.record(tenant, id)? else { return Ok(None) };
        let mut events = Vec::new();
        if from < record.tail_from {
            self.sealed(&record, tenant, from, limit, &mut events)?;
        }
        let skipped = usize::try_from(from.saturating_sub(record.tail_from)).unwrap_or(usize::MAX);
        let missing = limit - events.len();
        events.extend(record.tail.iter().skip(skipped).take(missing).cloned());
        if planted::is(Bug::HistoryEndLost) && events.len() > 4 {
            events.pop();
        }
        Ok(Some(events))
    }

    /// Events before the tail of `record`.
    fn sealed(
        &self,
        record: &Record,
        tenant: &TenantId,
        from: Version,
        limit: usize,
        events: &mut Vec<Recorded>,
    ) -> Result<()> {
        let id = record.execution.id;
        let reading = self.disk.reading();
        let first = keys::history(tenant, id, 0);
        let upto = keys::history(tenant, id, from.saturating_add(1));
        // The chunk that `from` lies in is the last one that begins at or before it.
        let within = reading.scan(Bound::Included(&first), &upto, Direction::Backward, 1)?;
        let (mut suffix, mut row) = within.into_iter().next().ok_or_else(|| damaged("a sealed history"))?;
        loop {
            let begins = keys::split_history(&suffix).ok_or_else(|| damaged("a sealed history"))?;
            let chunk = stored::decode_history(&row)?;
            let skipped = usize::try_from(from.saturating_sub(begins)).unwrap_or(usize::MAX);
            let until = begins + chunk.len() as Version;
            let missing = limit - events.len();
            events.extend(chunk.into_iter().skip(skipped).take(missing));
            // A record that is being read may be older than what was sealed since: its own tail goes on.
            if events.len() >= limit || until >= record.tail_from {
                return Ok(());
            }
            let end = keys::history(tenant, id, record.tail_from);
            let next = reading.scan(Bound::Excluded(&suffix), &end, Direction::Forward, 1)?;
            (suffix, row) = next.into_iter().next().ok_or_else(|| damaged("a sealed history"))?;
        }
    }
}

/// An execution as the store has it.
pub(super) fn stored_record(
    reading: &Reading<'_>,
    tenant: &TenantId,
    id: ExecutionId,
) -> Result<Option<Record>> {
    match live_record(reading, tenant, id)? {
        Some(record) => Ok(Some(record)),
        None => packed_record(reading, tenant, id),
    }
}

/// An unfinished execution.
pub(super) fn live_record(
    reading: &Reading<'_>,
    tenant: &TenantId,
    id: ExecutionId,
) -> Result<Option<Record>> {
    let Some(row) = reading.get(&keys::live(tenant, id))? else { return Ok(None) };
    let value = stored::decode_live(&row)?;
    stored::decode_record(tenant, id, &value.record).map(Some)
}

/// A finished execution, as the newest pack has it. One that was retried is in an older state there.
pub(super) fn packed_record(
    reading: &Reading<'_>,
    tenant: &TenantId,
    id: ExecutionId,
) -> Result<Option<Record>> {
    let window = keys::window(tenant, keys::window_of(id));
    for (_, row) in reading.all(&window, Direction::Backward)? {
        let pack = stored::decode_pack(&row)?;
        if let Some(header) = pack.find(id) {
            return stored::decode_record(tenant, id, pack.bytes(header)).map(Some);
        }
    }
    Ok(None)
}
