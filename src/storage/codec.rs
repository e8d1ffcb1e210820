//! The versioned envelope around everything that is stored and is not a log record.
//!
//! ```text
//! kind u16 | version u16 | length u32 | CRC32C u32 | body: bincode 2, standard configuration
//! ```
//!
//! All numbers are little-endian; the checksum covers kind, version, length and body. The kind tells what the
//! body is, the version which release's shape it has: a reader matches on it. What was released never changes.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Error, Result};

/// The size of the envelope before its body, in bytes.
pub const HEADER_BYTES: usize = 12;

/// What an envelope holds. A number is never given twice; those below 16 belong to the storage itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u16);

/// An envelope that passed its checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// What the body is.
    pub kind: Kind,
    /// Which shape it has.
    pub version: u16,
    /// The encoded value.
    pub body: &'a [u8],
}

/// Wraps `value`.
///
/// Panics if the value cannot be put into bytes (a map or sequence of unknown length, or 4 GiB): stored types
/// are plain data.
pub fn encode<T: Serialize + ?Sized>(kind: Kind, version: u16, value: &T) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bincode::serde::encode_into_std_write(value, &mut bytes, bincode::config::standard())
        .expect("stored types are plain data");
    seal(kind, version, bytes)
}

/// As [`encode`], around bytes that need not be anything.
#[cfg(any(test, feature = "fuzzing"))]
pub fn encode_raw(kind: Kind, version: u16, body: &[u8]) -> Vec<u8> {
    seal(kind, version, [&[0; HEADER_BYTES][..], body].concat())
}

/// Fills in the header in front of a body.
fn seal(kind: Kind, version: u16, mut bytes: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(bytes.len() - HEADER_BYTES).expect("a stored value is below 4 GiB");
    bytes[0..2].copy_from_slice(&kind.0.to_le_bytes());
    bytes[2..4].copy_from_slice(&version.to_le_bytes());
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    let crc = checksum(&bytes);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Checks an envelope of any kind.
///
/// Errors: `Corrupt`.
pub fn open(bytes: &[u8]) -> Result<Envelope<'_>> {
    let damaged = |at: &str| Error::corrupt("an envelope", at);
    if bytes.len() < HEADER_BYTES {
        return Err(damaged("its header"));
    }
    let number = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    if usize::try_from(word(4)).ok() != Some(bytes.len() - HEADER_BYTES) {
        return Err(damaged("its length"));
    }
    if word(8) != checksum(bytes) {
        return Err(damaged("its checksum"));
    }
    Ok(Envelope { kind: Kind(number(0)), version: number(2), body: &bytes[HEADER_BYTES..] })
}

/// Unwraps a value of `kind` and tells the version it was written with.
///
/// Errors: `Corrupt` if the checksum does not hold, the kind is another, or the body is not a `T`.
pub fn decode<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<(u16, T)> {
    let envelope = open(bytes)?;
    if envelope.kind != kind {
        let at = format!("its kind: {} instead of {}", envelope.kind.0, kind.0);
        return Err(Error::corrupt("an envelope", at));
    }
    let value = decode_body(envelope.body)?;
    Ok((envelope.version, value))
}

/// Decodes the body of an envelope.
///
/// Errors: `Corrupt` if the body is not a `T`, or is longer than one.
pub fn decode_body<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    // A length inside the body is believed only as far as the limit, so that a few bytes of nonsense cannot
    // ask for gigabytes. The limit is a type in bincode: steps of 16 above what the body can justify.
    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;
    let standard = bincode::config::standard();
    let decoded = match body.len() / KIB {
        0 => bincode::serde::decode_from_slice(body, standard.with_limit::<{ 16 * KIB }>()),
        1..16 => bincode::serde::decode_from_slice(body, standard.with_limit::<{ 256 * KIB }>()),
        16..256 => bincode::serde::decode_from_slice(body, standard.with_limit::<{ 4 * MIB }>()),
        256..4096 => bincode::serde::decode_from_slice(body, standard.with_limit::<{ 64 * MIB }>()),
        _ => bincode::serde::decode_from_slice(body, standard.with_limit::<{ 1024 * MIB }>()),
    };
    let (value, read) = decoded.map_err(|e| Error::corrupt("an envelope", format!("its body: {e}")))?;
    if read != body.len() {
        return Err(Error::corrupt("an envelope", "the end of its body"));
    }
    Ok(value)
}

fn checksum(envelope: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&envelope[..8]), &envelope[HEADER_BYTES..])
}
