//! Bytes that may wait for one partition.
//!
//! A queue that counts wishes alone would hold gigabytes of large ones. So each wish takes room before it
//! is queued and gives it back when it is answered, refused or dropped: what is on its way to the quorum
//! counts as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of wishes that may wait for one partition: six of the largest, or its whole queue of common ones.
const BYTES_MAX: usize = 64 << 20;

/// The room of a partition. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Room {
    taken: Arc<AtomicUsize>,
}

/// Room that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    taken: Arc<AtomicUsize>,
    bytes: usize,
}

impl Room {
    /// Takes room, if there is so much.
    pub(super) fn take(&self, bytes: usize) -> Option<Place> {
        // Nothing else is read or written because of this number: only the number counts.
        let before = self.taken.fetch_add(bytes, Ordering::Relaxed);
        let place = Place { taken: self.taken.clone(), bytes };
        (before + bytes <= BYTES_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_so_much_room_and_it_is_given_back() {
        let room = Room::default();
        let half = room.take(BYTES_MAX / 2).expect("it is empty");
        let other = room.take(BYTES_MAX / 2).expect("half is free");
        assert!(room.take(1).is_none(), "it is full");
        drop(half);
        assert!(room.take(BYTES_MAX / 2 + 1).is_none(), "only half is free");
        drop((room.take(BYTES_MAX / 2).expect("half is free"), other));
        assert_eq!(room.taken.load(Ordering::Relaxed), 0, "all of it was given back");
    }
}
