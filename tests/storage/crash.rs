//! The process ends at every write, and the disk keeps every prefix of what it was given.

use std::sync::{Arc, Mutex};

use everstep::storage::{Log, LogEntry, MemoryHardState, MemoryStore, Recovered};

use crate::support::{copy_dir, entry, open_dir, options, plain, wait};

/// One step of the story that is cut short.
#[derive(Debug, Clone, Copy)]
enum Step {
    Append(u64, u64),
    /// Entries of another term.
    Replace(u64, u64),
    Vote(u8),
    Meta(u8),
    Keep(u64),
    Purge(u64),
}

const GROUP: u16 = 3;

const STORY: &[Step] = &[
    Step::Vote(1),
    Step::Append(1, 20),
    Step::Append(21, 30),
    Step::Vote(2),
    Step::Keep(25),
    Step::Replace(26, 40),
    Step::Purge(10),
    Step::Append(41, 50),
    Step::Meta(9),
    Step::Keep(39),
    Step::Vote(3),
    Step::Append(40, 45),
    Step::Purge(60),
    Step::Append(61, 70),
];

/// What must be there after all steps so far were acknowledged.
#[derive(Debug, Clone, Default, PartialEq)]
struct Expected {
    entries: Vec<LogEntry>,
    purged: Option<u64>,
    vote: Option<Vec<u8>>,
    meta: Option<Vec<u8>>,
}

impl Expected {
    fn follow(&mut self, step: Step) {
        match step {
            Step::Append(from, to) => self.entries.extend((from..=to).map(plain)),
            Step::Replace(from, to) => self.entries.extend((from..=to).map(other)),
            Step::Vote(vote) => self.vote = Some(vec![vote]),
            Step::Meta(meta) => self.meta = Some(vec![meta]),
            Step::Keep(keep) => self.entries.retain(|entry| entry.index <= keep),
            Step::Purge(index) => {
                self.entries.retain(|entry| entry.index > index);
                self.purged = Some(index);
            }
        }
    }

    fn of(log: &Log, recovered: &Recovered) -> Self {
        let bounds = recovered.groups.get(&GROUP).cloned().unwrap_or_default();
        Self {
            entries: log.read(GROUP, 0..u64::MAX).unwrap(),
            purged: bounds.purged_index,
            vote: bounds.vote,
            meta: bounds.meta.get(&1).cloned(),
        }
    }
}

fn other(index: u64) -> LogEntry {
    entry(index, 99, &[index as u8; 33])
}

fn ask(log: &Log, step: Step, done: everstep::storage::Done) {
    match step {
        Step::Append(from, to) => log.append(GROUP, (from..=to).map(plain).collect(), done),
        Step::Replace(from, to) => log.append(GROUP, (from..=to).map(other).collect(), done),
        Step::Vote(vote) => log.save_vote(GROUP, vec![vote], done),
        Step::Meta(meta) => log.save_meta(GROUP, 1, vec![meta], done),
        Step::Keep(keep) => log.truncate_after(GROUP, Some(keep), done),
        Step::Purge(index) => log.purge_through(GROUP, index, vec![index as u8], done),
    }
}

/// Plays the story until the disk fails after `operations`; returns how many steps were acknowledged.
fn play(store: &MemoryStore, hard_state: &MemoryHardState, operations: u64) -> usize {
    let (log, _) = Log::open(options(Arc::new(store.clone()), Arc::new(hard_state.clone()))).unwrap();
    store.fail_after(Some(operations));
    STORY.iter().take_while(|step| wait(|done| ask(&log, **step, done)).is_ok()).count()
}

/// Every acknowledged step is there in full. Of the one that was cut short, any part may be: a vote without the
/// entries of the same step, or a cut that has got half way.
fn check(found: &Expected, acknowledged: usize, context: &str) {
    let mut before = Expected::default();
    STORY[..acknowledged].iter().for_each(|step| before.follow(*step));
    let mut after = before.clone();
    if let Some(step) = STORY.get(acknowledged) {
        after.follow(*step);
    }
    assert!(found.vote == before.vote || found.vote == after.vote, "{context}: {found:?}");
    assert!(found.meta == before.meta || found.meta == after.meta, "{context}: {found:?}");
    assert!(found.purged == before.purged || found.purged == after.purged, "{context}: {found:?}");
    let (long, short) = match before.entries.len() >= after.entries.len() {
        true => (&before.entries, &after.entries),
        false => (&after.entries, &before.entries),
    };
    let is_purge = matches!(STORY.get(acknowledged), Some(Step::Purge(_)));
    if is_purge {
        assert!(found.entries == *long || found.entries == *short, "{context}: {found:?}");
    } else {
        assert!(long.starts_with(&found.entries), "{context}: {found:?}");
        assert!(found.entries.starts_with(short), "{context}: {found:?}");
    }
}

#[test]
fn every_prefix_of_the_writes_recovers_what_was_acknowledged() {
    let mut cases = 0;
    for operations in 0.. {
        let mut survive = 0;
        let mut finished = false;
        loop {
            let (store, hard_state) = (MemoryStore::new(), MemoryHardState::new());
            let acknowledged = play(&store, &hard_state, operations);
            finished |= acknowledged == STORY.len();
            let unsynced = store.unsynced();
            // A process that died loses nothing; a power cut loses the hint and what was not synced.
            if survive < unsynced {
                hard_state.lose_unsynced();
            }
            store.lose_unsynced_after(survive);
            let context = format!("{operations} operations, {survive} of {unsynced} unsynced survive");
            let (log, recovered) =
                Log::open(options(Arc::new(store.clone()), Arc::new(hard_state.clone()))).unwrap();
            assert!(!recovered.storage_lost, "{context}: {:?}", recovered.losses);
            check(&Expected::of(&log, &recovered), acknowledged, &context);
            drop(log);
            let (log, again) = Log::open(options(Arc::new(store), Arc::new(hard_state))).unwrap();
            assert_eq!(again.boot, recovered.boot + 1, "{context}");
            assert_eq!(Expected::of(&log, &again), Expected::of(&log, &recovered), "{context}");
            cases += 1;
            survive += 1;
            if survive > unsynced {
                break;
            }
        }
        if finished {
            break;
        }
    }
    assert!(cases > 40, "only {cases} cases");
}

#[test]
fn operations_in_flight_are_acknowledged_in_order_or_not_at_all() {
    for operations in 0..12 {
        let (store, hard_state) = (MemoryStore::new(), MemoryHardState::new());
        let (log, _) = Log::open(options(Arc::new(store.clone()), Arc::new(hard_state.clone()))).unwrap();
        store.fail_after(Some(operations));
        let answers = Arc::new(Mutex::new(Vec::new()));
        for step in STORY {
            let answers = answers.clone();
            ask(&log, *step, Box::new(move |outcome| answers.lock().unwrap().push(outcome.is_ok())));
        }
        log.shutdown();
        let answers = answers.lock().unwrap().clone();
        assert_eq!(answers.len(), STORY.len());
        let acknowledged = answers.iter().take_while(|it| **it).count();
        assert!(answers[acknowledged..].iter().all(|it| !it), "{answers:?}");
        store.lose_unsynced();
        let (log, recovered) = Log::open(options(Arc::new(store), Arc::new(hard_state))).unwrap();
        assert!(!recovered.storage_lost, "{operations} operations: {:?}", recovered.losses);
        let found = Expected::of(&log, &recovered);
        let mut expected = Expected::default();
        STORY[..acknowledged].iter().for_each(|step| expected.follow(*step));
        assert!(acknowledged < STORY.len() || found == expected, "{operations} operations: {found:?}");
    }
}

/// The files of a real database at many moments between two syncs, as if the process had died there.
#[test]
fn a_copy_of_the_files_at_any_moment_recovers_what_was_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    let live = home.path().join("live");
    let (log, _) = open_dir(&live);
    for moment in 0..40_u64 {
        let (first, last) = (1 + moment * 5, 5 + moment * 5);
        wait(|done| log.append(GROUP, (first..=last).map(plain).collect(), done)).unwrap();
        // These are on their way while the files are copied.
        let (sender, receiver) = std::sync::mpsc::channel();
        let done = Box::new(move |outcome: std::io::Result<()>| sender.send(outcome).unwrap());
        log.append(GROUP + 1, (first..=last).map(plain).collect(), done);
        let copy = home.path().join(format!("copy-{moment}"));
        copy_dir(&live, &copy);
        receiver.recv().unwrap().unwrap();

        let (copied, recovered) = open_dir(&copy);
        assert!(!recovered.storage_lost, "moment {moment}: {:?}", recovered.losses);
        let expected: Vec<_> = (1..=last).map(plain).collect();
        assert_eq!(copied.read(GROUP, 0..u64::MAX).unwrap(), expected, "moment {moment}");
        let other = copied.read(GROUP + 1, 0..u64::MAX).unwrap();
        assert!(other.len() as u64 >= last - 5 && expected.starts_with(&other), "moment {moment}");
        drop(copied);
        std::fs::remove_dir_all(copy).unwrap();
    }
}
