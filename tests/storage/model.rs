//! The log against a map, under random operations, restarts and power cuts.

use std::collections::BTreeMap;
use std::sync::Arc;

use everstep::storage::{Log, LogEntry, MemoryHardState, MemoryStore};
use proptest::prelude::*;

use crate::support::{entry, options, wait};

#[derive(Debug, Clone)]
enum Step {
    Append { group: u16, count: u64, size: usize },
    Keep { group: u16, back: u64 },
    KeepNothing { group: u16 },
    Purge { group: u16, ahead: u64 },
    PurgeBeyond { group: u16, ahead: u64 },
    Vote { group: u16, vote: u8 },
    Meta { group: u16, key: u8, value: u8 },
    Restart,
    PowerCut,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let group = 0_u16..3;
    let step = prop_oneof![
        6 => (group.clone(), 1_u64..40, 0_usize..3000)
            .prop_map(|(group, count, size)| Step::Append { group, count, size }),
        2 => (group.clone(), 0_u64..50).prop_map(|(group, back)| Step::Keep { group, back }),
        1 => group.clone().prop_map(|group| Step::KeepNothing { group }),
        2 => (group.clone(), 0_u64..50).prop_map(|(group, ahead)| Step::Purge { group, ahead }),
        1 => (group.clone(), 0_u64..9).prop_map(|(group, ahead)| Step::PurgeBeyond { group, ahead }),
        1 => (group.clone(), any::<u8>()).prop_map(|(group, vote)| Step::Vote { group, vote }),
        1 => (group, 0_u8..4, any::<u8>()).prop_map(|(group, key, value)| Step::Meta { group, key, value }),
        1 => Just(Step::Restart),
        1 => Just(Step::PowerCut),
    ];
    prop::collection::vec(step, 1..60)
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Group {
    entries: BTreeMap<u64, LogEntry>,
    end: u64,
    purged: Option<u64>,
    vote: Option<Vec<u8>>,
    meta: BTreeMap<u8, Vec<u8>>,
}

impl Group {
    fn keep(&mut self, keep: u64) {
        if keep < self.end && self.purged != Some(self.end) {
            self.end = keep.max(self.purged.unwrap_or(0));
            self.entries.retain(|index, _| *index <= keep);
        }
    }

    fn purge(&mut self, index: u64) {
        if self.purged.is_none_or(|purged| purged <= index) {
            self.purged = Some(index);
            self.end = self.end.max(index);
            self.entries.retain(|at, _| *at > index);
        }
    }
}

struct World {
    store: MemoryStore,
    hard_state: MemoryHardState,
    log: Log,
    groups: BTreeMap<u16, Group>,
    term: u64,
}

impl World {
    fn new() -> Self {
        let (store, hard_state) = (MemoryStore::new(), MemoryHardState::new());
        let (log, _) = Log::open(options(Arc::new(store.clone()), Arc::new(hard_state.clone()))).unwrap();
        Self { store, hard_state, log, groups: BTreeMap::new(), term: 0 }
    }

    fn group(&mut self, group: u16) -> &mut Group {
        self.groups.entry(group).or_default()
    }

    fn follow(&mut self, step: Step) {
        self.term += 1;
        let term = self.term;
        let log = self.log.clone();
        match step {
            Step::Append { group, count, size } => {
                let it = self.group(group);
                let entries: Vec<_> = (it.end + 1..=it.end + count)
                    .map(|index| entry(index, term, &vec![term as u8; size]))
                    .collect();
                it.end += count;
                it.entries.extend(entries.iter().map(|entry| (entry.index, entry.clone())));
                wait(|done| log.append(group, entries, done)).unwrap();
            }
            Step::Keep { group, back } => {
                let keep = self.group(group).end.saturating_sub(back);
                self.group(group).keep(keep);
                wait(|done| log.truncate_after(group, Some(keep), done)).unwrap();
            }
            Step::KeepNothing { group } => {
                self.group(group).keep(0);
                wait(|done| log.truncate_after(group, None, done)).unwrap();
            }
            Step::Purge { group, ahead } => {
                let it = self.group(group);
                let index = (it.purged.unwrap_or(0) + ahead).min(it.end);
                it.purge(index);
                wait(|done| log.purge_through(group, index, index.to_le_bytes().into(), done)).unwrap();
            }
            Step::PurgeBeyond { group, ahead } => {
                let index = self.group(group).end + ahead;
                self.group(group).purge(index);
                wait(|done| log.purge_through(group, index, index.to_le_bytes().into(), done)).unwrap();
            }
            Step::Vote { group, vote } => {
                self.group(group).vote = Some(vec![vote]);
                wait(|done| log.save_vote(group, vec![vote], done)).unwrap();
            }
            Step::Meta { group, key, value } => {
                self.group(group).meta.insert(key, vec![value]);
                wait(|done| log.save_meta(group, key, vec![value], done)).unwrap();
            }
            Step::Restart => self.restart(false),
            Step::PowerCut => self.restart(true),
        }
    }

    fn restart(&mut self, power_cut: bool) {
        self.log.shutdown();
        if power_cut {
            self.store.lose_unsynced();
            self.hard_state.lose_unsynced();
        }
        let options = options(Arc::new(self.store.clone()), Arc::new(self.hard_state.clone()));
        let (log, recovered) = Log::open(options).unwrap();
        assert!(!recovered.storage_lost, "{:?}", recovered.losses);
        assert!(!recovered.cut_torn_tail, "everything was acknowledged");
        for (group, it) in &self.groups {
            let bounds = recovered.groups.get(group).cloned().unwrap_or_default();
            assert_eq!(bounds.first, it.entries.keys().next().copied());
            assert_eq!(bounds.last, it.entries.keys().next_back().copied());
            assert_eq!(bounds.purged_index, it.purged);
            assert_eq!(bounds.purged, it.purged.map(|index| index.to_le_bytes().into()));
            assert_eq!((bounds.vote, bounds.meta), (it.vote.clone(), it.meta.clone()));
        }
        self.log = log;
    }

    fn check(&self) {
        for (group, it) in &self.groups {
            let entries: Vec<_> = it.entries.values().cloned().collect();
            assert_eq!(self.log.read(*group, 0..u64::MAX).unwrap(), entries);
            let middle = it.end / 2..it.end;
            let part: Vec<_> = it.entries.range(middle.clone()).map(|(_, entry)| entry.clone()).collect();
            assert_eq!(self.log.read(*group, middle).unwrap(), part);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_agrees_with_a_map(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.follow(step);
            world.check();
        }
        world.restart(true);
        world.check();
    }
}
