//! Packing finished executions of one window into few values.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::engine::model::TenantId;
use crate::storage::Direction;

use super::super::view::Record;
use super::disk::{Changes, Reading};
use super::error::Result;
use super::stored::{Header, Pack};
use super::tenants::TenantNumber;
use super::{keys, stored};

/// A finished execution on its way into a pack.
pub(super) struct Parcel {
    pub header: Header,
    pub bytes: Vec<u8>,
}

impl Parcel {
    pub(super) fn new(record: &Record, bytes: Vec<u8>) -> Self {
        let execution = &record.execution;
        let header = Header {
            id: execution.id,
            status: execution.status,
            workflow: execution.workflow,
            created_at: execution.created_at,
            changed: record.changed,
            offset: 0,
            len: u32::try_from(bytes.len()).expect("a record is below 4 GiB"),
        };
        Self { header, bytes }
    }
}

/// Packs parcels of one window, in order of id, into as few packs as the size allows.
pub(super) fn fill(mut parcels: Vec<Parcel>, bytes_max: usize) -> Vec<Pack> {
    parcels.sort_by_key(|parcel| parcel.header.id);
    let mut packs = Vec::new();
    let mut headers: Vec<Header> = Vec::new();
    let mut body = Vec::new();
    for Parcel { mut header, bytes } in parcels {
        let size = body.len() + bytes.len() + (headers.len() + 1) * HEADER_BYTES;
        if !headers.is_empty() && size > bytes_max {
            packs
                .push(Pack { headers: std::mem::take(&mut headers), body: std::mem::take(&mut body).into() });
        }
        header.offset = u32::try_from(body.len()).expect("a pack is below 4 GiB");
        headers.push(header);
        body.extend_from_slice(&bytes);
    }
    if !headers.is_empty() {
        packs.push(Pack { headers, body: Bytes::from(body) });
    }
    packs
}

/// What a header takes, about: two ids with their lengths, a time, an index, a place.
const HEADER_BYTES: usize = 64;

/// How many packs the windows have that were written to lately, so that those with many small ones are packed
/// anew. After a restart the counting begins again.
#[derive(Debug, Default)]
pub(super) struct Windows {
    counted: BTreeMap<(TenantNumber, u64), Counted>,
    crowded: Vec<(TenantNumber, u64)>,
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    packs: usize,
    crowded_at: usize,
}

/// Windows counted at a time; the oldest is forgotten first. A restart forgets all of them as well.
const WINDOWS_MAX: usize = 4_096;

impl Windows {
    /// More packs were written to a window.
    pub(super) fn add(&mut self, window: (TenantNumber, u64), packs: usize, packs_max: usize) {
        let fresh = Counted { packs: 0, crowded_at: packs_max };
        let counted = self.counted.entry(window).or_insert(fresh);
        let before = counted.packs;
        counted.packs += packs;
        if before <= counted.crowded_at && counted.packs > counted.crowded_at {
            self.crowded.push(window);
        }
        if self.counted.len() > WINDOWS_MAX {
            self.counted.pop_first();
        }
    }

    /// A window that should be packed anew.
    pub(super) fn crowded(&mut self) -> Option<(TenantNumber, u64)> {
        self.crowded.pop()
    }

    /// A window was packed anew. It is crowded again when it has twice as many, so that a window that keeps
    /// growing is not packed again and again.
    pub(super) fn repacked(&mut self, window: (TenantNumber, u64), packs: usize, packs_max: usize) {
        self.counted.insert(window, Counted { packs, crowded_at: packs_max.max(2 * packs) });
    }
}

/// Packs a window anew: the newest state of each execution, in full packs. Answers how many packs there are now,
/// and the number of the next pack.
pub(super) fn repack(
    reading: &Reading<'_>,
    tenant: &TenantId,
    window: u64,
    mut seq: u64,
    bytes_max: usize,
    changes: &mut Changes,
) -> Result<(usize, u64)> {
    let mut newest: BTreeMap<_, Parcel> = BTreeMap::new();
    let rows = reading.all(&keys::window(tenant, window), Direction::Backward)?;
    let before = rows.len();
    let mut suffixes = Vec::with_capacity(before);
    for (suffix, row) in rows {
        let pack = stored::decode_pack(&row)?;
        for header in &pack.headers {
            let parcel = || Parcel { header: header.clone(), bytes: pack.bytes(header).to_vec() };
            newest.entry(header.id).or_insert_with(parcel);
        }
        suffixes.push(suffix);
    }
    let packs = fill(newest.into_values().collect(), bytes_max);
    if packs.len() * 2 > before {
        return Ok((before, seq));
    }
    suffixes.into_iter().for_each(|suffix| changes.delete(suffix));
    let count = packs.len();
    for pack in packs {
        changes.put(keys::pack(tenant, window, seq), stored::encode_pack(&pack));
        seq += 1;
    }
    Ok((count, seq))
}
