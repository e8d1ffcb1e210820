//! Where things lie in the state database: the key schema, which is a storage format.
//!
//! ```text
//! partition u16 | 0                                  which generation is current
//! partition u16 | generation u8 | 'm'                the checkpoint's own row
//!                               | 'l' tenant 0 id            an unfinished execution
//!                               | 'x' tenant 0 window u48 seq u64   a pack of finished executions
//!                               | 'h' tenant 0 id from u64   sealed history, from a version on
//!                               | 'k' tenant 0 domain key    an idempotency claim
//!                               | 'd' hash                   a pinned definition
//!                               | 'w' tenant 0 id            a workflow
//!                               | 'n' id u64                 a node of the cluster
//! ```
//!
//! Numbers are big-endian, so keys sort as they count. A tenant is a slug and never holds a 0 byte.

use crate::engine::model::{ExecutionId, PartitionId, SpecHash, TenantId, WorkflowId};

/// A key without partition and generation.
pub(super) type Suffix = Vec<u8>;

pub(super) const META: u8 = b'm';
pub(super) const LIVE: u8 = b'l';
pub(super) const PACK: u8 = b'x';
pub(super) const HISTORY: u8 = b'h';
pub(super) const CLAIM: u8 = b'k';
pub(super) const PIN: u8 = b'd';
pub(super) const WORKFLOW: u8 = b'w';
pub(super) const NODE: u8 = b'n';

/// Executions whose ids were made within the same 64 ms lie together.
const WINDOW_SHIFT: u32 = 6;

/// The span of creation times an id belongs to.
pub(super) fn window_of(id: ExecutionId) -> u64 {
    id.unix_ms() >> WINDOW_SHIFT
}

/// The window of a time in milliseconds since 1970.
pub(super) const fn window_at(unix_ms: u64) -> u64 {
    unix_ms >> WINDOW_SHIFT
}

/// What kind of thing an idempotency claim made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Domain {
    Execution,
    Workflow,
}

/// The row that names the current generation of a partition.
pub(super) fn root(partition: PartitionId) -> Vec<u8> {
    prefix(partition, 0).to_vec()
}

/// What all keys of a generation of a partition begin with. Generations count from 1.
pub(super) fn prefix(partition: PartitionId, generation: u8) -> [u8; 3] {
    let [high, low] = partition.0.to_be_bytes();
    [high, low, generation]
}

pub(super) fn meta() -> Suffix {
    vec![META]
}

pub(super) fn live(tenant: &TenantId, id: ExecutionId) -> Suffix {
    tenant_key(LIVE, tenant, id.as_bytes())
}

pub(super) fn workflow(tenant: &TenantId, id: WorkflowId) -> Suffix {
    tenant_key(WORKFLOW, tenant, id.as_bytes())
}

pub(super) fn node(id: u64) -> Suffix {
    let mut suffix = vec![NODE];
    suffix.extend_from_slice(&id.to_be_bytes());
    suffix
}

pub(super) fn claim(tenant: &TenantId, domain: Domain, key: &[u8; 32]) -> Suffix {
    let domain = match domain {
        Domain::Execution => b'e',
        Domain::Workflow => b'w',
    };
    let mut suffix = tenant_key(CLAIM, tenant, &[domain]);
    suffix.extend_from_slice(key);
    suffix
}

pub(super) fn pin(hash: SpecHash) -> Suffix {
    let mut suffix = vec![PIN];
    suffix.extend_from_slice(&hash.0);
    suffix
}

/// All packs of a tenant.
pub(super) fn packs(tenant: &TenantId) -> Suffix {
    tenant_key(PACK, tenant, &[])
}

/// All packs of a window.
pub(super) fn window(tenant: &TenantId, window: u64) -> Suffix {
    tenant_key(PACK, tenant, &window.to_be_bytes()[2..])
}

pub(super) fn pack(tenant: &TenantId, window_of_it: u64, seq: u64) -> Suffix {
    let mut suffix = window(tenant, window_of_it);
    suffix.extend_from_slice(&seq.to_be_bytes());
    suffix
}

/// All sealed history of an execution.
pub(super) fn histories(tenant: &TenantId, id: ExecutionId) -> Suffix {
    tenant_key(HISTORY, tenant, id.as_bytes())
}

pub(super) fn history(tenant: &TenantId, id: ExecutionId, from: u64) -> Suffix {
    let mut suffix = histories(tenant, id);
    suffix.extend_from_slice(&from.to_be_bytes());
    suffix
}

fn tenant_key(kind: u8, tenant: &TenantId, rest: &[u8]) -> Suffix {
    let mut suffix = Vec::with_capacity(2 + tenant.as_str().len() + rest.len() + 8);
    suffix.push(kind);
    suffix.extend_from_slice(tenant.as_str().as_bytes());
    suffix.push(0);
    suffix.extend_from_slice(rest);
    suffix
}

/// Splits `kind tenant 0 rest`; `None` if it is no such key.
pub(super) fn split(suffix: &[u8]) -> Option<(TenantId, &[u8])> {
    let body = suffix.get(1..)?;
    let end = body.iter().position(|byte| *byte == 0)?;
    let tenant = TenantId::new(std::str::from_utf8(&body[..end]).ok()?)?;
    Some((tenant, &body[end + 1..]))
}

/// The id at the end of a live row's or a workflow's key.
pub(super) fn split_id(suffix: &[u8]) -> Option<(TenantId, uuid::Uuid)> {
    let (tenant, rest) = split(suffix)?;
    Some((tenant, uuid::Uuid::from_slice(rest).ok()?))
}

/// The window and the sequence number in a pack's key.
pub(super) fn split_pack(suffix: &[u8]) -> Option<(TenantId, u64, u64)> {
    let (tenant, rest) = split(suffix)?;
    let (window, seq) = rest.split_at_checked(6)?;
    let mut wide = [0; 8];
    wide[2..].copy_from_slice(window);
    Some((tenant, u64::from_be_bytes(wide), u64::from_be_bytes(seq.try_into().ok()?)))
}

/// The lowest key above all that begin with `prefix`; `None` if there is none.
pub(super) fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// The version a sealed history begins with.
pub(super) fn split_history(suffix: &[u8]) -> Option<u64> {
    let (_, rest) = split(suffix)?;
    let (_, from) = rest.split_at_checked(16)?;
    Some(u64::from_be_bytes(from.try_into().ok()?))
}

/// The first millisecond of a window.
pub(super) const fn window_begin_ms(window: u64) -> u64 {
    window << WINDOW_SHIFT
}
