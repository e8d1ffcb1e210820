//! One entry of the log, as bytes.
//!
//! ```text
//! magic u32 | version u16 | group u16 | index u64 | term u64 | length u32 | CRC32C of the record before u32 |
//! CRC32C of all other bytes u32 | payload
//! ```
//!
//! All numbers are little-endian. The checksum of the record before makes a chain: a record that was lost or came
//! back from an earlier life of the log breaks it, though each record by itself is whole.

use bytes::Bytes;

use crate::engine::planted::{self, Bug};

const MAGIC: u32 = u32::from_le_bytes(*b"EVLR");
const VERSION: u16 = 1;

/// The size of a record before its payload, in bytes.
pub const HEADER_BYTES: usize = 36;

/// What the first record of a group names as the checksum before it.
pub(super) const CHAIN_START: u32 = 0;

/// One entry of the log of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its place; entries of a group are numbered without gaps.
    pub index: u64,
    /// The term it was proposed in.
    pub term: u64,
    /// What it says.
    pub bytes: Bytes,
}

/// A record that passed its checks.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) group: u16,
    pub(super) entry: LogEntry,
    /// The checksum of the record before.
    pub(super) before: u32,
    /// Its own checksum.
    pub(super) crc: u32,
}

/// Encodes an entry behind the record with the checksum `before`; returns the bytes and their own checksum.
pub fn encode(group: u16, entry: &LogEntry, before: u32) -> (Vec<u8>, u32) {
    let length = u32::try_from(entry.bytes.len()).expect("an entry is below 4 GiB");
    // One byte more: the store behind puts a tag there.
    let mut bytes = Vec::with_capacity(HEADER_BYTES + entry.bytes.len() + 1);
    bytes.extend_from_slice(&MAGIC.to_le_bytes());
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&group.to_le_bytes());
    bytes.extend_from_slice(&entry.index.to_le_bytes());
    bytes.extend_from_slice(&entry.term.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&before.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), &entry.bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&entry.bytes);
    (bytes, crc)
}

/// Checks a record. The error says what is wrong with it.
pub(super) fn decode(bytes: Vec<u8>) -> Result<Record, &'static str> {
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Err("record shorter than its header");
    };
    let half = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    if word(0) != MAGIC {
        return Err("no record");
    }
    if half(4) != VERSION {
        return Err("record of an unknown version");
    }
    if word(24) as usize != bytes.len() - HEADER_BYTES {
        return Err("record of a wrong length");
    }
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header[..32]), &bytes[HEADER_BYTES..]);
    if word(32) != crc && !planted::is(Bug::ChecksumSkipped) {
        return Err("record with a wrong checksum");
    }
    let (group, index, term, before) = (half(6), long(8), long(16), word(28));
    let entry = LogEntry { index, term, bytes: Bytes::from(bytes).slice(HEADER_BYTES..) };
    Ok(Record { group, entry, before, crc })
}
