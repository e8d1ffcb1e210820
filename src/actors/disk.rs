//! How full the disk is, and what a node still does then.
//!
//! A write that finds no room ends the process, so the node stops long before. While room is scarce it takes
//! no new executions and finishes those it has, which mostly gives nothing back but needs little. When there is
//! next to none it writes nothing more of its own accord: outcomes wait in the actors they came to, nothing new
//! starts, and whoever asks for a change hears that the node is not available. As soon as there is room again
//! everything goes on where it was.
//!
//! Caveat: room is looked at from time to time. What is written between two looks has to fit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::storage::Space;

use super::request::Error;

/// Below this share of free bytes new executions are refused.
const SCARCE_BELOW_PERCENT: u64 = 5;
/// At this share they are taken again: a percent more, so that it does not flicker.
const AMPLE_FROM_PERCENT: u64 = 6;
/// Below this share nothing is written that can wait.
const FULL_BELOW_PERCENT: u64 = 1;
/// At this share running executions go on.
const SCARCE_FROM_PERCENT: u64 = 2;
/// What a refused caller is told to wait: somebody has to make room first.
const RETRY_AFTER_MS: u64 = 10_000;

/// How much room there is on the disk of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskRoom {
    /// Enough.
    Ample,
    /// New executions are refused.
    Scarce,
    /// Nothing is written that can wait.
    Full,
}

impl DiskRoom {
    /// A stable word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ample => "ample",
            Self::Scarce => "scarce",
            Self::Full => "full",
        }
    }

    /// What becomes of it when this much is free.
    fn after(self, space: Space) -> Self {
        // Some file systems do not tell their size.
        if space.total_bytes == 0 {
            return Self::Ample;
        }
        let below = |percent: u64| {
            u128::from(space.free_bytes) * 100 < u128::from(space.total_bytes) * u128::from(percent)
        };
        let full = below(if self == Self::Full { SCARCE_FROM_PERCENT } else { FULL_BELOW_PERCENT });
        let scarce = below(if self == Self::Ample { SCARCE_BELOW_PERCENT } else { AMPLE_FROM_PERCENT });
        match (full, scarce) {
            (true, _) => Self::Full,
            (false, true) => Self::Scarce,
            (false, false) => Self::Ample,
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Ample => 0,
            Self::Scarce => 1,
            Self::Full => 2,
        }
    }
}

/// The room as all actors of a node see it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    /// The number of a [`DiskRoom`]. Nothing else is read or written because of it.
    room: Arc<AtomicU8>,
}

impl Disk {
    pub(crate) fn room(&self) -> DiskRoom {
        match self.room.load(Ordering::Relaxed) {
            0 => DiskRoom::Ample,
            1 => DiskRoom::Scarce,
            _ => DiskRoom::Full,
        }
    }

    /// Takes note of what is free. One caller at a time.
    pub(crate) fn note(&self, space: Space) {
        let Space { free_bytes, total_bytes } = space;
        metrics::gauge!("everstep_disk_free_bytes").set(free_bytes as f64);
        metrics::gauge!("everstep_disk_total_bytes").set(total_bytes as f64);
        let (before, now) = (self.room(), self.room().after(space));
        metrics::gauge!("everstep_disk_room").set(f64::from(now.number()));
        if now == before {
            return;
        }
        self.room.store(now.number(), Ordering::Relaxed);
        match now {
            DiskRoom::Ample => tracing::info!(free_bytes, total_bytes, "the disk has room again"),
            DiskRoom::Scarce => tracing::warn!(
                free_bytes,
                total_bytes,
                "the disk is nearly full: new executions are refused, running ones go on"
            ),
            DiskRoom::Full => tracing::error!(
                free_bytes,
                total_bytes,
                "the disk is full: nothing starts and nothing changes until there is room"
            ),
        }
    }

    /// Whether there is room to write at all.
    pub(crate) fn is_full(&self) -> bool {
        self.room() == DiskRoom::Full
    }

    /// Leave to begin something new. Errors: `DiskScarce`, or as for [`Disk::admit_change`].
    pub(crate) fn admit_submission(&self) -> Result<(), Error> {
        match self.room() {
            DiskRoom::Ample => Ok(()),
            DiskRoom::Scarce => Err(scarce()),
            DiskRoom::Full => Err(full()),
        }
    }

    /// Leave to change what there is. Errors: `Unavailable` while the disk is full.
    pub(crate) fn admit_change(&self) -> Result<(), Error> {
        if self.is_full() { Err(full()) } else { Ok(()) }
    }
}

/// Nothing was begun.
pub(crate) fn scarce() -> Error {
    Error::DiskScarce { retry_after_ms: RETRY_AFTER_MS }
}

/// Nothing was done, and nothing can be before there is room.
pub(crate) fn full() -> Error {
    Error::Unavailable { reason: "the disk of the node is full; nothing was changed".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_changes_at_its_limits_and_does_not_flicker() {
        let disk = Disk::default();
        let percent_and_room = [
            (50, DiskRoom::Ample),
            (5, DiskRoom::Ample),
            (4, DiskRoom::Scarce),
            (5, DiskRoom::Scarce),
            (6, DiskRoom::Ample),
            (4, DiskRoom::Scarce),
            (1, DiskRoom::Scarce),
            (0, DiskRoom::Full),
            (1, DiskRoom::Full),
            (2, DiskRoom::Scarce),
            (0, DiskRoom::Full),
            (5, DiskRoom::Scarce),
            (0, DiskRoom::Full),
            (50, DiskRoom::Ample),
            (0, DiskRoom::Full),
        ];
        for (step, (percent, room)) in percent_and_room.into_iter().enumerate() {
            disk.note(Space { free_bytes: percent << 30, total_bytes: 100 << 30 });
            assert_eq!(disk.room(), room, "step {step}: {percent} % free");
        }
    }

    #[test]
    fn a_file_system_without_a_size_is_never_full() {
        let disk = Disk::default();
        disk.note(Space { free_bytes: 0, total_bytes: 0 });
        assert_eq!(disk.room(), DiskRoom::Ample);
    }
}
