//! Who answers the steward, and who does not take what it offers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::consensus::Step;
use crate::engine::model::PartitionId;

/// A node that was chosen and is silent for so many looks is not waited for any more.
pub(super) const SILENT_LOOKS_MAX: u32 = 60;

/// How long a node is not offered a leadership again that it did not take. The pause doubles with each offer.
pub(super) const OFFER_AGAIN: Duration = Duration::from_secs(2);

/// The longest such pause.
const OFFER_AGAIN_MAX: Duration = Duration::from_secs(64);

/// Who answers the steward.
#[derive(Debug, Default)]
pub(super) struct Answering {
    /// At this look.
    pub(super) now: BTreeSet<u64>,
    /// For how many looks somebody has not.
    silent: BTreeMap<u64, u32>,
    pub(super) declined: Declined,
}

impl Answering {
    pub(super) fn note(&mut self, all: impl Iterator<Item = u64>, now: BTreeSet<u64>) {
        let before = std::mem::take(&mut self.silent);
        let looks = |id: &u64| before.get(id).copied().unwrap_or(0) + 1;
        self.silent = all.filter(|id| !now.contains(id)).map(|id| (id, looks(&id))).collect();
        self.now = now;
    }

    /// Whether a node may only be busy.
    pub(super) fn lately(&self, id: u64) -> bool {
        self.silent.get(&id).is_none_or(|looks| *looks <= SILENT_LOOKS_MAX)
    }

    /// Whether these can decide something as things stand.
    pub(super) fn majority(&self, voters: &BTreeSet<u64>) -> bool {
        voters.intersection(&self.now).count() * 2 > voters.len()
    }
}

/// Leaderships that were offered and not taken.
#[derive(Debug, Default)]
pub(super) struct Declined(BTreeMap<(PartitionId, u64), Offer>);

#[derive(Debug, Clone, Copy)]
struct Offer {
    pause: Duration,
    at: Instant,
}

impl Declined {
    pub(super) fn note(&mut self, partition: PartitionId, step: &Step, taken: bool) {
        let Step::Transfer { to } = *step else { return };
        let before = self.0.remove(&(partition, to));
        if !taken {
            let pause = before.map_or(OFFER_AGAIN, |offer| offer.pause * 2).min(OFFER_AGAIN_MAX);
            self.0.insert((partition, to), Offer { pause, at: Instant::now() });
        }
    }

    /// Whether a node may be offered a leadership now.
    pub(super) fn may_take(&self, partition: PartitionId, node: u64) -> bool {
        self.0.get(&(partition, node)).is_none_or(|offer| offer.at.elapsed() >= offer.pause)
    }
}
