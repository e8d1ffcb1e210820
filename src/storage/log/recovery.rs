//! Reading the log again after a start: what is whole, what is torn, and what is lost.
//!
//! The hard state knows how far each group was durable when that was last noted. A fault at or below that index
//! is loss: acknowledged entries are gone, and the node must not vote with what is left. A fault above it is the
//! torn end of a write that nobody was told about, and is cut.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::keys::{self, Purged};
use super::record::{self, CHAIN_START};
use crate::storage::hard_state::HardRecord;
use crate::storage::{Direction, Error, Result, Store, codec};

/// Entries read at once: enough to make scanning cheap, few enough to hold little memory.
const PAGE_LEN: usize = 64;

/// Something that is not as it was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The group, unless it is the hard state itself.
    pub group: Option<u16>,
    /// The first index concerned, if it is an entry.
    pub index: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.group, self.index) {
            (Some(group), Some(index)) => write!(f, "group {group}, index {index}: {}", self.what),
            (Some(group), None) => write!(f, "group {group}: {}", self.what),
            (None, _) => f.write_str(&self.what),
        }
    }
}

/// Where a group of the log begins and ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupBounds {
    /// The first entry, if there is one.
    pub first: Option<u64>,
    /// The last entry, if there is one.
    pub last: Option<u64>,
    /// Everything up to this index is purged.
    pub purged_index: Option<u64>,
    /// What was given with the last purge.
    pub purged: Option<Vec<u8>>,
    /// The last vote that was saved.
    pub vote: Option<Vec<u8>>,
    /// The small values that were saved.
    pub meta: BTreeMap<u8, Vec<u8>>,
}

/// What the store holds of one group.
#[derive(Debug, Default)]
pub(in crate::storage) struct Found {
    pub(in crate::storage) bounds: GroupBounds,
    /// The checksum of the last entry, or of the purged one, for the next record to name.
    pub(in crate::storage) crc: u32,
    /// The lowest key that is still there though it is purged.
    pub(in crate::storage) leftover: Option<u64>,
    /// Entries from here on are torn, and whether any key is there.
    pub(in crate::storage) torn: Option<(u64, &'static str)>,
    pub(in crate::storage) losses: Vec<Loss>,
}

/// Reads every group of the store against the hard state. Changes nothing.
///
/// Errors: `Io`; damage is part of the answer.
pub(in crate::storage) fn read_groups(store: &dyn Store, hard: &HardRecord) -> Result<BTreeMap<u16, Found>> {
    let mut groups: BTreeSet<u16> = hard.groups.keys().copied().collect();
    for prefix in [keys::LOG, keys::PURGE, keys::META_KEYS] {
        groups.extend(groups_of(store, prefix)?);
    }
    let mut found = BTreeMap::new();
    for group in groups {
        let hard = hard.groups.get(&group).cloned().unwrap_or_default();
        let mut it = read_group(store, group, hard.last)?;
        it.bounds.vote = hard.vote;
        found.insert(group, it);
    }
    Ok(found)
}

/// The groups that have a key with `prefix`, found by leaping from group to group.
fn groups_of(store: &dyn Store, prefix: u8) -> Result<Vec<u16>> {
    let mut groups = Vec::new();
    let mut from = Bound::Included(vec![prefix]);
    let end = [prefix + 1];
    loop {
        let from_ref = from.as_ref().map(Vec::as_slice);
        let next = store.scan(from_ref, Bound::Excluded(&end), Direction::Forward, 1);
        let key = match next {
            Ok(pairs) => match pairs.into_iter().next() {
                Some((key, _)) => key,
                None => return Ok(groups),
            },
            // The damage shows again where the group is read.
            Err(Error::Corrupt { .. }) => return Ok(groups),
            Err(error) => return Err(error),
        };
        let Some([a, b]) = key.get(1..3).and_then(|it| <[u8; 2]>::try_from(it).ok()) else {
            return Ok(groups);
        };
        let group = u16::from_be_bytes([a, b]);
        groups.push(group);
        let Some(next) = group.checked_add(1) else { return Ok(groups) };
        let [a, b] = next.to_be_bytes();
        from = Bound::Included(vec![prefix, a, b]);
    }
}

fn read_group(store: &dyn Store, group: u16, durable: Option<u64>) -> Result<Found> {
    let mut found = Found::default();
    let lost = |index: Option<u64>, what: &str| Loss { group: Some(group), index, what: what.into() };
    match read_purged(store, group) {
        Ok(Some(purged)) => {
            found.crc = purged.crc;
            found.bounds.purged_index = Some(purged.index);
            found.bounds.purged = Some(purged.marker);
        }
        Ok(None) => found.crc = CHAIN_START,
        Err(Error::Corrupt { what, at }) => {
            found.losses.push(lost(None, &format!("{what} is damaged at {at}")))
        }
        Err(error) => return Err(error),
    }
    match read_meta(store, group) {
        Ok(meta) => found.bounds.meta = meta,
        Err(Error::Corrupt { what, at }) => {
            found.losses.push(lost(None, &format!("{what} is damaged at {at}")))
        }
        Err(error) => return Err(error),
    }
    if let Some(purged) = found.bounds.purged_index {
        let (from, to) = (keys::entry(group, 0), keys::entry(group, purged));
        // Damage below the purged index harms nobody.
        let first = store.scan(Bound::Included(&from), Bound::Included(&to), Direction::Forward, 1);
        found.leftover = match first {
            Ok(pairs) => pairs.first().and_then(|(key, _)| keys::parse_entry(key)).map(|(_, index)| index),
            Err(_) => Some(0),
        };
    }
    read_entries(store, group, &mut found)?;
    let reached = found.bounds.last.max(found.bounds.purged_index);
    match found.torn {
        Some((index, what)) if durable.is_some_and(|durable| index <= durable) => {
            found.losses.push(lost(Some(index), what));
        }
        _ if durable > reached => {
            let index = reached.map_or(0, |reached| reached + 1);
            let what =
                format!("the log ends before index {}, which was durable", durable.unwrap_or_default());
            found.losses.push(lost(Some(index), &what));
        }
        _ => {}
    }
    Ok(found)
}

/// Walks the entries after the purged one until the end or the first that is not whole.
fn read_entries(store: &dyn Store, group: u16, found: &mut Found) -> Result<()> {
    let mut next = found.bounds.purged_index.map(|index| index + 1);
    let end = keys::entry(group, u64::MAX);
    loop {
        let from = keys::entry(group, next.unwrap_or(0));
        let page = store.scan(Bound::Included(&from), Bound::Included(&end), Direction::Forward, PAGE_LEN);
        let page = match page {
            Ok(page) => page,
            // One value of the page is unreadable; walk up to it one by one.
            Err(Error::Corrupt { .. }) => return read_singly(store, group, next.unwrap_or(0), found),
            Err(error) => return Err(error),
        };
        if page.is_empty() {
            return Ok(());
        }
        for (key, value) in page {
            let index = keys::parse_entry(&key).map(|(_, index)| index);
            let Some(index) = index else { continue };
            if let Err(what) = accept(group, index, value, next, found) {
                found.torn = Some((next.unwrap_or(index), what));
                return Ok(());
            }
            next = Some(index + 1);
        }
    }
}

fn read_singly(store: &dyn Store, group: u16, mut next: u64, found: &mut Found) -> Result<()> {
    loop {
        match store.get(&keys::entry(group, next)) {
            Ok(Some(value)) => {
                if let Err(what) = accept(group, next, value, Some(next), found) {
                    found.torn = Some((next, what));
                    return Ok(());
                }
                next += 1;
            }
            Ok(None) => {
                found.torn = Some((next, "hole in the log"));
                return Ok(());
            }
            Err(Error::Corrupt { .. }) => {
                found.torn = Some((next, "unreadable entry"));
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
}

fn accept(
    group: u16,
    index: u64,
    value: Vec<u8>,
    expected: Option<u64>,
    found: &mut Found,
) -> std::result::Result<(), &'static str> {
    if expected.is_some_and(|expected| expected != index) {
        return Err("hole in the log");
    }
    let record = record::decode(value)?;
    if record.group != group || record.entry.index != index {
        return Err("record in the wrong place");
    }
    if record.before != found.crc {
        return Err("broken chain");
    }
    found.crc = record.crc;
    found.bounds.first.get_or_insert(index);
    found.bounds.last = Some(index);
    Ok(())
}

fn read_purged(store: &dyn Store, group: u16) -> Result<Option<Purged>> {
    let Some(value) = store.get(&keys::purged(group))? else { return Ok(None) };
    let (_, purged) = codec::decode(keys::PURGED, &value)?;
    Ok(Some(purged))
}

fn read_meta(store: &dyn Store, group: u16) -> Result<BTreeMap<u8, Vec<u8>>> {
    let (from, to) = (keys::meta(group, 0), keys::meta(group, u8::MAX));
    let pairs = store.scan(Bound::Included(&from), Bound::Included(&to), Direction::Forward, 256)?;
    let mut meta = BTreeMap::new();
    for (key, value) in pairs {
        let (_, bytes) = codec::decode::<Vec<u8>>(keys::META, &value)?;
        meta.insert(*key.last().expect("a key of a small value ends with its number"), bytes);
    }
    Ok(meta)
}
