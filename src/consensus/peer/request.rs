//! What is asked of a node: the part of a request before its payload.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// A question of Raft to one group.
    Raft = 0,
    /// A snapshot begins, or goes on.
    SnapshotBegin = 1,
    /// A chunk of it.
    SnapshotChunk = 2,
    /// It is complete.
    SnapshotFinish = 3,
    /// Something for the floors above.
    Ask = 4,
}

impl Errand {
    const fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Raft,
            1 => Self::SnapshotBegin,
            2 => Self::SnapshotChunk,
            3 => Self::SnapshotFinish,
            4 => Self::Ask,
            _ => return None,
        })
    }
}

/// A request as it crosses a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// The hash of the cluster's name.
    pub(super) cluster: u64,
    /// The node that is meant.
    pub(super) to: u64,
    /// How long the caller waits.
    pub(super) deadline: Duration,
    pub(super) errand: Errand,
    pub(super) group: u16,
    pub(super) payload: Bytes,
}

const HEAD_BYTES: usize = 8 + 8 + 4 + 1 + 2;

impl Call {
    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEAD_BYTES + self.payload.len());
        bytes.put_u64_le(self.cluster);
        bytes.put_u64_le(self.to);
        bytes.put_u32_le(u32::try_from(self.deadline.as_millis()).unwrap_or(u32::MAX));
        bytes.put_u8(self.errand as u8);
        bytes.put_u16_le(self.group);
        bytes.put_slice(&self.payload);
        bytes.freeze()
    }

    /// None if it is not a request of this version.
    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        if bytes.len() < HEAD_BYTES {
            return None;
        }
        Some(Self {
            cluster: bytes.get_u64_le(),
            to: bytes.get_u64_le(),
            deadline: Duration::from_millis(bytes.get_u32_le().into()),
            errand: Errand::of(bytes.get_u8())?,
            group: bytes.get_u16_le(),
            payload: bytes,
        })
    }
}
