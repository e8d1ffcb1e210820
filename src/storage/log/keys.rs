//! Where the log keeps what, in its database.
//!
//! ```text
//! 'l' group u16 index u64 -> record          (log::record)
//! 'p' group u16           -> where the group begins (an envelope around `Purged`)
//! 'm' group u16 key u8    -> a small value of the owner (an envelope around bytes)
//! ```
//!
//! Numbers are big-endian, so that keys sort like them.

use serde::{Deserialize, Serialize};

use crate::storage::codec::Kind;

/// An envelope around [`Purged`].
pub(in crate::storage) const PURGED: Kind = Kind(1);
/// An envelope around the bytes of a small value.
pub(in crate::storage) const META: Kind = Kind(2);
/// The version of both.
pub(super) const VERSION: u16 = 1;

/// Where a group begins: after this entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::storage) struct Purged {
    /// The last purged index.
    pub(in crate::storage) index: u64,
    /// The checksum of its record, which the next one names.
    pub(in crate::storage) crc: u32,
    /// What the owner wants to know about it.
    pub(in crate::storage) marker: Vec<u8>,
}

pub(in crate::storage) const LOG: u8 = b'l';
pub(in crate::storage) const PURGE: u8 = b'p';
pub(in crate::storage) const META_KEYS: u8 = b'm';

pub(in crate::storage) fn entry(group: u16, index: u64) -> [u8; 11] {
    let mut key = [LOG; 11];
    key[1..3].copy_from_slice(&group.to_be_bytes());
    key[3..].copy_from_slice(&index.to_be_bytes());
    key
}

/// The group and index of the key of an entry.
pub(in crate::storage) fn parse_entry(key: &[u8]) -> Option<(u16, u64)> {
    let [LOG, a, b, index @ ..] = key else { return None };
    Some((u16::from_be_bytes([*a, *b]), u64::from_be_bytes(index.try_into().ok()?)))
}

pub(super) fn purged(group: u16) -> [u8; 3] {
    let [a, b] = group.to_be_bytes();
    [PURGE, a, b]
}

pub(super) fn meta(group: u16, key: u8) -> [u8; 4] {
    let [a, b] = group.to_be_bytes();
    [META_KEYS, a, b, key]
}
