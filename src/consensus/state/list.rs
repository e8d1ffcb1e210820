//! Listing the executions of a tenant, newest first.
//!
//! Unfinished and dirty ones are found in memory, the others in packs, which are sorted by time because ids are.
//! Both are walked down together, a step at a time: a step ends where the memory page or the page of packs ends,
//! whichever is higher, so that nothing is passed over.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::engine::model::{ExecutionId, Status, TenantId, Timestamp, WorkflowId};
use crate::storage::Direction;

use super::super::view::{ListQuery, Page, Record};
use super::error::Result;
use super::machine::{Machine, damaged};
use super::stored::Header;
use super::tenants::Key;
use super::{keys, stored};

/// Ids taken from memory in one step.
const STEP_ROWS: usize = 512;
/// Packs read in one step.
const STEP_PACKS: usize = 16;
/// Items of one page. A page of the largest records should still be an answer, not a download.
const ITEMS_MAX: usize = 1_000;

/// Where an execution was found, and what is known of it without reading it.
enum Found {
    Memory(Arc<Record>),
    /// Unfinished and clean: to be read from its row, or from the cache.
    Row(Status, Option<WorkflowId>),
    Packed(Header, Bytes),
}

/// One step of the walk: everything from `floor` up to where the last step ended.
struct Step {
    found: BTreeMap<ExecutionId, Found>,
    /// The lowest id of the step; none if nothing is left below.
    floor: Option<ExecutionId>,
}

impl Machine {
    /// A page of a tenant's executions, newest first. It may be short, even empty, and still name a next one,
    /// because one call examines a limited number of executions.
    ///
    /// Errors: the store fails or is damaged.
    pub fn list(&self, tenant: &TenantId, query: &ListQuery) -> Result<Page> {
        let limit = query.limit.clamp(1, ITEMS_MAX);
        let mut page = Page::default();
        let mut cursor = query.before.unwrap_or_else(|| ExecutionId::from_uuid(Uuid::max()));
        let mut looks = 0;
        loop {
            let end = cursor;
            let step = self.step(tenant, end)?;
            for (id, found) in step.found.into_iter().rev() {
                looks += 1;
                cursor = id;
                if let Some(record) = self.matching(tenant, id, found, query)? {
                    page.items.push(record);
                }
                if page.items.len() == limit || looks >= self.limits.list_looks_max {
                    page.next = Some(cursor);
                    return Ok(page);
                }
            }
            match step.floor {
                Some(floor) => {
                    assert!(floor < end, "each step of a walk ends below the one before");
                    cursor = floor;
                }
                None => return Ok(page),
            }
        }
    }

    /// What lies next below `cursor`.
    fn step(&self, tenant: &TenantId, cursor: ExecutionId) -> Result<Step> {
        // Memory first: what is in neither place a moment later would have been in both.
        let mut found = self.in_memory(tenant, cursor);
        let memory_floor =
            if found.len() >= STEP_ROWS { found.first_key_value().map(|(id, _)| *id) } else { None };
        let (packed, pack_floor) = self.in_packs(tenant, cursor, memory_floor)?;
        let floor = memory_floor.max(pack_floor);
        if let Some(floor) = floor {
            found = found.split_off(&floor);
        }
        for (id, header, bytes) in packed {
            if floor.is_none_or(|floor| id >= floor) {
                found.entry(id).or_insert(Found::Packed(header, bytes));
            }
        }
        Ok(Step { found, floor })
    }

    fn in_memory(&self, tenant: &TenantId, cursor: ExecutionId) -> BTreeMap<ExecutionId, Found> {
        let state = self.state();
        let Some(tenant) = state.tenants.find(tenant) else { return BTreeMap::new() };
        let before = Key { tenant, id: cursor };
        let rows = state.live.below(before).take(STEP_ROWS);
        let mut found: BTreeMap<_, _> =
            rows.map(|(key, facts, workflow)| (key.id, Found::Row(facts.status, workflow))).collect();
        let dirty = state.overlay.below(before).take(STEP_ROWS);
        found.extend(dirty.map(|(key, record)| (key.id, Found::Memory(Arc::clone(record)))));
        // The older half may lack what the other source has there.
        while found.len() > STEP_ROWS {
            found.pop_first();
        }
        found
    }

    /// Packed executions below `cursor`, the newest state of each, and the lowest id down to which they are
    /// complete: none if there are no others.
    #[expect(clippy::type_complexity, reason = "a page and where it ends")]
    fn in_packs(
        &self,
        tenant: &TenantId,
        cursor: ExecutionId,
        floor: Option<ExecutionId>,
    ) -> Result<(Vec<(ExecutionId, Header, Bytes)>, Option<ExecutionId>)> {
        let reading = self.disk.reading();
        let lowest =
            floor.map_or_else(|| keys::packs(tenant), |floor| keys::window(tenant, keys::window_of(floor)));
        // Ids are below the cursor: where it is the first of its window, that window has none.
        let window = keys::window_of(cursor);
        let within = keys::window(tenant, window);
        let above = if cursor == first_of(window) {
            within
        } else {
            keys::after(&within).expect("it begins with a letter")
        };
        let lower = Bound::Included(lowest.as_slice());
        let mut rows = reading.scan(lower, &above, Direction::Backward, STEP_PACKS)?;
        let mut end = None;
        if rows.len() == STEP_PACKS {
            let window = |suffix: &[u8]| {
                keys::split_pack(suffix).map(|(_, window, _)| window).ok_or_else(|| damaged("a pack's key"))
            };
            let (newest, oldest) = (window(&rows[0].0)?, window(&rows[STEP_PACKS - 1].0)?);
            // The last window may go on beyond the page: it is read whole, or left for the next step.
            if newest == oldest {
                rows = reading.all(&keys::window(tenant, oldest), Direction::Backward)?;
                end = Some(first_of(oldest));
            } else {
                while rows.last().is_some_and(|(suffix, _)| window(suffix).ok() == Some(oldest)) {
                    rows.pop();
                }
                end = Some(first_of(oldest + 1));
            }
        }
        drop(reading);
        let mut packed: BTreeMap<ExecutionId, (Header, Bytes)> = BTreeMap::new();
        for (_, row) in rows {
            let pack = stored::decode_pack(&row)?;
            for header in pack.headers.iter().filter(|header| header.id < cursor) {
                let bytes = || pack.body.slice_ref(pack.bytes(header));
                packed.entry(header.id).or_insert_with(|| (header.clone(), bytes()));
            }
        }
        let packed = packed.into_iter().map(|(id, (header, bytes))| (id, header, bytes)).collect();
        Ok((packed, end))
    }

    /// The record, if it is what the query asks for. Reads it only when what is known so far fits.
    fn matching(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        found: Found,
        query: &ListQuery,
    ) -> Result<Option<Arc<Record>>> {
        let record = match found {
            Found::Memory(record) => record,
            Found::Row(status, workflow) => {
                if !fits(query, status, workflow, None) {
                    return Ok(None);
                }
                match self.record(tenant, id)? {
                    Some(record) => record,
                    None => return Ok(None),
                }
            }
            Found::Packed(header, bytes) => {
                if !fits(query, header.status, header.workflow, Some(header.created_at)) {
                    return Ok(None);
                }
                Arc::new(stored::decode_record(tenant, id, &bytes)?)
            }
        };
        let execution = &record.execution;
        let labelled = query.labels.iter().all(|(name, value)| execution.labels.get(name) == Some(value));
        let fits = fits(query, execution.status, execution.workflow, Some(execution.created_at));
        Ok((labelled && fits).then_some(record))
    }
}

fn fits(
    query: &ListQuery,
    status: Status,
    workflow: Option<WorkflowId>,
    created_at: Option<Timestamp>,
) -> bool {
    let from = |at: Timestamp| query.created_from.is_none_or(|from| at >= from);
    let before = |at: Timestamp| query.created_before.is_none_or(|before| at < before);
    (query.statuses.is_empty() || query.statuses.contains(&status))
        && (query.workflow.is_none() || query.workflow == workflow)
        && created_at.is_none_or(|at| from(at) && before(at))
}

/// The lowest id of a window.
fn first_of(window: u64) -> ExecutionId {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&keys::window_begin_ms(window).to_be_bytes()[2..]);
    ExecutionId::from_uuid(Uuid::from_bytes(bytes))
}
