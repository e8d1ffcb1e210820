//! Which entry lies at which index, and under which membership: what a checkpoint has to know about any
//! index since the last one.
//!
//! Leaders and memberships change rarely, so only the changes are kept, whatever the number of entries.

use std::collections::VecDeque;

use super::stored::Meta;
use super::types::{LogId, Membership, StoredMembership};

/// What was applied since the last checkpoint, and the state it began with.
#[derive(Debug)]
pub(super) struct Positions {
    /// The last entry of the checkpoint, then the first entry of each leader after it.
    leaders: VecDeque<LogId>,
    /// The membership of the checkpoint, then each one after it.
    memberships: VecDeque<StoredMembership>,
    last: Option<LogId>,
}

impl Positions {
    /// As of a checkpoint.
    pub(super) fn new(meta: Meta) -> Self {
        Self {
            leaders: meta.applied.into_iter().collect(),
            memberships: VecDeque::from([meta.membership]),
            last: meta.applied,
        }
    }

    /// An entry is being applied.
    pub(super) fn note(&mut self, id: LogId, membership: Option<Membership>) {
        assert!(self.last < Some(id), "entries are applied in order");
        if self.leaders.back().is_none_or(|last| last.leader_id != id.leader_id) {
            self.leaders.push_back(id);
        }
        self.last = Some(id);
        if let Some(membership) = membership {
            self.memberships.push_back(StoredMembership::new(Some(id), membership));
        }
    }

    /// The last entry that was applied.
    pub(super) fn last(&self) -> Option<LogId> {
        self.last
    }

    /// The membership in force.
    pub(super) fn membership(&self) -> &StoredMembership {
        self.memberships.back().expect("the first one is never dropped")
    }

    /// Where the state stood right after the entry at `index`, which is not before the last checkpoint.
    pub(super) fn meta_at(&self, index: u64) -> Meta {
        let leader = self.leaders.iter().rev().find(|first| first.index <= index);
        let within = |membership: &&StoredMembership| membership.log_id().is_none_or(|id| id.index <= index);
        Meta {
            applied: leader.map(|first| LogId::new(first.leader_id, index)),
            membership: self.memberships.iter().rev().find(within).cloned().unwrap_or_default(),
        }
    }

    /// Forgets what lies before a checkpoint at `index`.
    pub(super) fn trim(&mut self, index: u64) {
        while self.leaders.get(1).is_some_and(|second| second.index <= index) {
            self.leaders.pop_front();
        }
        let passed = |membership: &StoredMembership| membership.log_id().is_none_or(|id| id.index <= index);
        while self.memberships.get(1).is_some_and(passed) {
            self.memberships.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::types::LeaderId;
    use super::*;

    fn id(term: u64, index: u64) -> LogId {
        LogId::new(LeaderId { term, node_id: 7 }, index)
    }

    fn members(node: u64) -> Membership {
        Membership::new_with_defaults(vec![BTreeSet::from([node])], [])
    }

    #[test]
    fn every_index_since_the_checkpoint_is_known() {
        let mut positions = Positions::new(Meta::default());
        assert_eq!(positions.last(), None);
        positions.note(id(0, 0), Some(members(1)));
        positions.note(id(1, 1), None);
        positions.note(id(1, 2), None);
        positions.note(id(3, 3), Some(members(2)));
        for (index, term, node) in [(0, 0, 1), (1, 1, 1), (2, 1, 1), (3, 3, 2)] {
            let meta = positions.meta_at(index);
            assert_eq!(meta.applied, Some(id(term, index)));
            assert_eq!(meta.membership.membership(), &members(node));
        }
        positions.trim(2);
        assert_eq!(positions.meta_at(2).applied, Some(id(1, 2)));
        assert_eq!(positions.meta_at(2).membership.membership(), &members(1));
        assert_eq!(positions.meta_at(3).membership.log_id(), &Some(id(3, 3)));
    }
}
