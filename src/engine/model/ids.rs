//! Ids and indexes, one newtype each, so that none can stand in for another.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An isolated customer. A slug: 1 to 40 of `a-z`, `0-9` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// The longest slug, in bytes. Short, because it is part of every key.
    pub const BYTES_MAX: usize = 40;

    /// Checks and wraps a slug; `None` if it is not one.
    #[must_use]
    pub fn new(slug: &str) -> Option<Self> {
        let lawful = !slug.is_empty()
            && slug.len() <= Self::BYTES_MAX
            && slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        lawful.then(|| Self(slug.into()))
    }

    /// The slug.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID inside.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// Its 16 bytes, in the order that sorts by creation time.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// One run of one workflow version: a `UUIDv7` whose last 12 bits are its slot.
    ExecutionId
);
uuid_id!(
    /// A workflow, across all its versions.
    WorkflowId
);

impl ExecutionId {
    /// How many slots there are; a slot never changes, the partition that serves it may.
    pub const SLOTS: u16 = 4096;

    /// Builds an id from a creation time and 74 bits of entropy, the slot taking the last 12 bits.
    #[must_use]
    pub fn new(unix_ms: u64, entropy: u128, slot: u16) -> Self {
        assert!(slot < Self::SLOTS, "a slot is below 4096");
        let mut bytes = entropy.to_be_bytes();
        bytes[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
        bytes[6] = 0x70 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        bytes[14] = (bytes[14] & 0xf0) | (slot >> 8) as u8;
        bytes[15] = (slot & 0xff) as u8;
        Self(Uuid::from_bytes(bytes))
    }

    /// The hash bucket, `0..4096`, that maps to a partition.
    #[must_use]
    pub const fn slot(self) -> u16 {
        let bytes = self.0.as_bytes();
        ((bytes[14] as u16 & 0x0f) << 8) | bytes[15] as u16
    }

    /// The creation time inside the id, in milliseconds since 1970.
    #[must_use]
    pub const fn unix_ms(self) -> u64 {
        let b = self.0.as_bytes();
        ((b[0] as u64) << 40)
            | ((b[1] as u64) << 32)
            | ((b[2] as u64) << 24)
            | ((b[3] as u64) << 16)
            | ((b[4] as u64) << 8)
            | b[5] as u64
    }
}

/// The SHA-256 of a definition's canonical text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SpecHash(pub [u8; 32]);

impl fmt::Debug for SpecHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SpecHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The name of a step, unique in its definition: 1 to 64 of letters, digits, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepId(Arc<str>);

impl StepId {
    /// The longest id, in bytes.
    pub const BYTES_MAX: usize = 64;

    /// Wraps a name that the definition check has accepted.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The position of a step in its definition, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepIndex(pub u16);

impl StepIndex {
    /// As an index into a list of steps.
    #[must_use]
    pub const fn usize(self) -> usize {
        self.0 as usize
    }
}

/// One step of one execution: the position in the definition and a lane.
///
/// Lane 0 is the step itself. Higher lanes are the items of a `foreach` or the rounds of a `repeat`,
/// so that those need neither new events nor new keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepKey {
    /// Position in the definition.
    pub index: StepIndex,
    /// 0 for the step itself.
    pub lane: u32,
}

impl StepKey {
    /// The step itself.
    #[must_use]
    pub const fn plain(index: StepIndex) -> Self {
        Self { index, lane: 0 }
    }
}

/// Counts the attempts of a step, from 1, and never starts again: a retry by hand goes on counting.
pub type AttemptNumber = u32;

/// How many events an execution has: its version for optimistic appends.
pub type Version = u64;

/// The fence of a leadership: the log index of its `LeaderEpoch` entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// One Raft group. 0 is the catalogue; data partitions count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartitionId(pub u16);

impl PartitionId {
    /// The partition of tenants, workflows and the slot map.
    pub const CATALOGUE: Self = Self(0);
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_id_keeps_its_slot_and_its_time() {
        for slot in [0, 1, 255, 256, 4095] {
            let id = ExecutionId::new(1_732_000_000_123, u128::MAX / 3, slot);
            assert_eq!(id.slot(), slot);
            assert_eq!(id.unix_ms(), 1_732_000_000_123);
            assert_eq!(id.uuid().get_version_num(), 7);
        }
    }

    #[test]
    fn a_tenant_is_a_slug() {
        assert!(TenantId::new("default").is_some());
        for bad in ["", "Upper", "a b", "ä", &"x".repeat(41)] {
            assert!(TenantId::new(bad).is_none(), "{bad:?} is no slug");
        }
    }
}
