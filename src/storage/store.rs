//! Ordered bytes with atomic batches: the one shape every database of a node has.

use std::ops::Bound;

use super::Result;

/// Which way a scan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the lowest key up.
    Forward,
    /// From the highest key down.
    Backward,
}

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// One change of a batch: a key, and its new value or its end.
pub(crate) type Change = (Vec<u8>, Option<Vec<u8>>);

/// Changes that become visible together, or not at all. A later change of a key replaces an earlier one.
#[derive(Debug, Clone, Default)]
pub struct WriteBatch {
    changes: Vec<Change>,
    bytes: usize,
}

impl WriteBatch {
    /// Without changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        let (key, value) = (key.into(), value.into());
        self.bytes += key.len() + value.len();
        self.changes.push((key, Some(value)));
    }

    /// Removes `key`, if it is there.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        let key = key.into();
        self.bytes += key.len();
        self.changes.push((key, None));
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// The size of all keys and values, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.changes
    }
}

/// An ordered map of bytes on some medium.
///
/// What was written is visible at once and durable after the next `sync`. After a crash the store holds what
/// was there at some moment at or after the last `sync`, never a part of a batch. Any error of `write` or
/// `sync` leaves the medium in an unknown state: the caller must not go on.
pub trait Store: Send + Sync + std::fmt::Debug + 'static {
    /// The value of `key`.
    ///
    /// Errors: `Corrupt` if the stored bytes are not what was written, `Io`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Up to `limit` pairs between the bounds, in order of `direction`.
    ///
    /// Errors: as `get`.
    fn scan(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>>;

    /// Makes the changes visible, all at once. They are not durable yet.
    ///
    /// Errors: `TooLarge`, before anything is written; `Io`.
    fn write(&self, batch: WriteBatch) -> Result<()>;

    /// Makes everything durable that was written before.
    ///
    /// Errors: `Io`; what was written before may or may not be on the medium.
    fn sync(&self) -> Result<()>;
}
