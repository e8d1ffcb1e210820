//! The log as its owner uses it.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use everstep::storage::{
    CacheBytes, DataDir, Driver, Error, FORMAT, Log, LogOptions, MemoryHardState, MemoryStore, QUEUE_LEN_MAX,
    Store,
};

use crate::support::{NODE, entry, open_dir, options, plain, wait};

fn in_memory() -> (MemoryStore, Log) {
    let store = MemoryStore::new();
    let (log, _) = Log::open(options(Arc::new(store.clone()), Arc::new(MemoryHardState::new()))).unwrap();
    (store, log)
}

/// Keeps the writer busy with a callback until what is returned is dropped.
fn hold(log: &Log) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel();
    let (enter, entered) = mpsc::channel();
    log.sync(Box::new(move |_| {
        enter.send(()).unwrap();
        assert!(released.recv().is_err(), "the sender is dropped");
    }));
    entered.recv().unwrap();
    release
}

#[test]
fn what_was_appended_is_there_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let (log, recovered) = open_dir(home.path());
    assert_eq!((recovered.boot, recovered.storage_lost), (1, false));
    let entries: Vec<_> = (1..=100).map(|index| entry(index, 1, &[index as u8; 300])).collect();
    wait(|done| log.append(3, entries.clone(), done)).unwrap();
    wait(|done| log.append(4, vec![entry(1, 9, &vec![5; 200_000])], done)).unwrap();
    wait(|done| log.save_vote(3, b"vote".to_vec(), done)).unwrap();
    wait(|done| log.save_meta(3, 2, b"meta".to_vec(), done)).unwrap();
    wait(|done| log.truncate_after(3, Some(90), done)).unwrap();
    wait(|done| log.append(3, vec![entry(91, 2, b"other")], done)).unwrap();
    wait(|done| log.purge_through(3, 40, b"forty".to_vec(), done)).unwrap();
    wait(|done| log.append(3, vec![entry(92, 2, b"another")], done)).unwrap();
    log.shutdown();
    drop(log);

    let (log, recovered) = open_dir(home.path());
    assert_eq!((recovered.boot, recovered.losses, recovered.cut_torn_tail), (2, Vec::new(), false));
    let bounds = &recovered.groups[&3];
    assert_eq!((bounds.first, bounds.last, bounds.purged_index), (Some(41), Some(92), Some(40)));
    assert_eq!(bounds.purged.as_deref(), Some(&b"forty"[..]));
    assert_eq!(bounds.vote.as_deref(), Some(&b"vote"[..]));
    assert_eq!(bounds.meta[&2], b"meta");
    let read = log.read(3, 0..200).unwrap();
    assert_eq!(read[..50], entries[40..90]);
    assert_eq!(read[50..], [entry(91, 2, b"other"), entry(92, 2, b"another")]);
    assert_eq!(log.read(4, 1..2).unwrap(), [entry(1, 9, &vec![5; 200_000])]);
}

#[test]
fn entries_can_be_read_before_they_are_durable() {
    let (store, log) = in_memory();
    let held = hold(&log);
    log.append(0, vec![entry(1, 1, b"a"), entry(2, 1, b"b")], Box::new(|_| {}));
    assert_eq!(log.read(0, 1..9).unwrap(), [entry(1, 1, b"a"), entry(2, 1, b"b")]);
    log.truncate_after(0, Some(1), Box::new(|_| {}));
    log.append(0, vec![entry(2, 2, b"c")], Box::new(|_| {}));
    assert_eq!(log.read(0, 1..9).unwrap(), [entry(1, 1, b"a"), entry(2, 2, b"c")]);
    assert!(store.keys().is_empty(), "the writer still waits");
    drop(held);
    wait(|done| log.sync(done)).unwrap();
    assert_eq!(log.read(0, 1..9).unwrap(), [entry(1, 1, b"a"), entry(2, 2, b"c")]);
    assert_eq!(store.keys().len(), 2);
}

#[test]
fn answers_come_in_the_order_of_the_questions() {
    let (_, log) = in_memory();
    let answers = Arc::new(Mutex::new(Vec::new()));
    for index in 1..=500_u64 {
        let answers = answers.clone();
        let group = (index % 5) as u16;
        log.append(
            group,
            vec![plain(1 + index / 5)],
            Box::new(move |outcome| {
                outcome.unwrap();
                answers.lock().unwrap().push(index);
            }),
        );
        if index < 5 {
            assert_eq!(log.bounds(group), (Some(1), Some(1)));
        }
    }
    wait(|done| log.sync(done)).unwrap();
    assert_eq!(*answers.lock().unwrap(), (1..=500).collect::<Vec<_>>());
}

#[test]
fn one_sync_serves_many_groups() {
    let (store, log) = in_memory();
    let held = hold(&log);
    for group in 0..50 {
        log.append(group, vec![plain(1)], Box::new(|outcome| outcome.unwrap()));
    }
    drop(held);
    wait(|done| log.sync(done)).unwrap();
    assert!(store.operations() <= 8, "{} writes and syncs for 52 operations", store.operations());
}

#[test]
fn a_gap_is_refused_and_changes_nothing() {
    let (_, log) = in_memory();
    wait(|done| log.append(0, vec![plain(1), plain(2)], done)).unwrap();
    let refused = wait(|done| log.append(0, vec![plain(3), plain(5)], done)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert_eq!(log.bounds(0), (Some(1), Some(2)));
    wait(|done| log.append(0, vec![plain(3)], done)).unwrap();
    wait(|done| log.purge_through(0, 10, b"a snapshot".to_vec(), done)).unwrap();
    assert_eq!(log.bounds(0), (None, None));
    assert!(wait(|done| log.append(0, vec![plain(4)], done)).is_err());
    wait(|done| log.append(0, vec![plain(11)], done)).unwrap();
    assert_eq!(log.read(0, 0..99).unwrap(), [plain(11)]);
}

#[test]
fn purged_entries_leave_the_store() {
    let (store, log) = in_memory();
    wait(|done| log.append(0, (1..=1000).map(plain).collect(), done)).unwrap();
    wait(|done| log.purge_through(0, 990, Vec::new(), done)).unwrap();
    while store.keys().len() > 11 {
        wait(|done| log.sync(done)).unwrap();
    }
    assert_eq!(log.read(0, 0..2000).unwrap(), (991..=1000).map(plain).collect::<Vec<_>>());
    assert_eq!(store.keys().len(), 11, "ten entries and where the log begins");
}

#[test]
fn what_waits_for_a_stopped_disk_is_bounded() {
    let (_, log) = in_memory();
    let held = hold(&log);
    for index in 1..=QUEUE_LEN_MAX as u64 {
        log.append(0, vec![entry(index, 1, b"")], Box::new(|outcome| outcome.unwrap()));
    }
    let next = QUEUE_LEN_MAX as u64 + 1;
    let refused = wait(|done| log.append(0, vec![entry(next, 1, b"")], done)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    assert_eq!(log.bounds(0), (Some(1), Some(next - 1)));
    drop(held);
    loop {
        // Until there is room again.
        if wait(|done| log.append(0, vec![entry(next, 1, b"")], done)).is_ok() {
            break;
        }
    }
    assert_eq!(log.bounds(0), (Some(1), Some(next)));
}

#[test]
fn a_vote_does_not_wait_for_the_store() {
    let (store, log) = in_memory();
    let before = store.operations();
    wait(|done| log.save_vote(0, b"vote".to_vec(), done)).unwrap();
    assert_eq!(store.operations(), before);
}

#[test]
fn the_room_on_the_disk_is_known() {
    let home = tempfile::tempdir().unwrap();
    let space = DataDir::open(home.path(), CacheBytes::default()).unwrap().space().unwrap();
    assert!(space.free_bytes > 0 && space.free_bytes <= space.total_bytes, "{space:?}");
}

#[test]
fn a_closed_log_refuses() {
    let (_, log) = in_memory();
    log.append(0, vec![plain(1)], Box::new(|outcome| outcome.unwrap()));
    log.shutdown();
    let refused = wait(|done| log.append(0, vec![plain(2)], done)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
    assert_eq!(log.read(0, 1..9).unwrap(), [plain(1)]);
}

#[test]
fn a_failing_disk_ends_the_process_and_acknowledges_nothing() {
    let store = MemoryStore::new();
    let fatal = Arc::new(Mutex::new(Vec::new()));
    let told = fatal.clone();
    let options = LogOptions {
        on_fatal: Arc::new(move |why| told.lock().unwrap().push(why.to_owned())),
        ..options(Arc::new(store.clone()), Arc::new(MemoryHardState::new()))
    };
    let (log, _) = Log::open(options).unwrap();
    wait(|done| log.append(0, vec![plain(1)], done)).unwrap();
    store.fail_after(Some(1));
    wait(|done| log.append(0, vec![plain(2)], done)).unwrap_err();
    store.fail_after(None);
    wait(|done| log.append(0, vec![plain(3)], done)).unwrap_err();
    assert_eq!(fatal.lock().unwrap().len(), 1);
    assert!(fatal.lock().unwrap()[0].contains("planned failure"), "{fatal:?}");
}

#[test]
fn the_writer_runs_as_a_task() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = MemoryStore::new();
        let hard_state = Arc::new(MemoryHardState::new());
        let options = LogOptions { driver: Driver::Task, ..options(Arc::new(store.clone()), hard_state) };
        let (log, _) = Log::open(options).unwrap();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        log.append(0, (1..=100).map(plain).collect(), Box::new(|outcome| outcome.unwrap()));
        log.purge_through(0, 60, Vec::new(), Box::new(|outcome| outcome.unwrap()));
        log.sync(Box::new(|outcome| sender.send(outcome).unwrap()));
        assert_eq!(store.operations(), 1, "nothing but the sync of the start runs before the task does");
        receiver.await.unwrap().unwrap();
        assert_eq!(log.read(0, 0..999).unwrap(), (61..=100).map(plain).collect::<Vec<_>>());
        log.shutdown();
    });
}

#[test]
fn a_stop_commits_what_a_task_has_taken_before_what_came_later() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (store, hard_state) = (MemoryStore::new(), Arc::new(MemoryHardState::new()));
        let options = LogOptions {
            driver: Driver::Task,
            pace: Some(Arc::new(|| Duration::from_secs(3_600))),
            ..options(Arc::new(store.clone()), hard_state)
        };
        let (log, _) = Log::open(options).unwrap();
        log.append(0, vec![plain(1)], Box::new(|outcome| outcome.unwrap()));
        tokio::task::yield_now().await;
        log.append(0, vec![plain(2)], Box::new(|outcome| outcome.unwrap()));
        log.shutdown();
        assert_eq!(log.read(0, 0..9).unwrap(), [plain(1), plain(2)]);
        assert_eq!(store.unsynced(), 0);
    });
}

#[test]
fn a_directory_has_one_owner() {
    let home = tempfile::tempdir().unwrap();
    let first = DataDir::open(home.path(), CacheBytes::default()).unwrap();
    let refused = DataDir::open(home.path(), CacheBytes::default()).unwrap_err();
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    drop(first);
    drop(DataDir::open(home.path(), CacheBytes::default()).unwrap());
}

#[test]
fn the_directory_of_another_node_or_of_a_later_release_is_refused() {
    let home = tempfile::tempdir().unwrap();
    drop(open_dir(home.path()));
    let dir = DataDir::open(home.path(), CacheBytes::default()).unwrap();
    let refused = Log::open(LogOptions::new(dir.log.clone(), dir.hard_state.clone(), NODE + 1)).unwrap_err();
    assert!(matches!(refused, Error::OtherNode { found: NODE, .. }), "{refused}");
    drop(dir);
    std::fs::write(home.path().join("format"), format!("{}\n", FORMAT + 1)).unwrap();
    let refused = DataDir::open(home.path(), CacheBytes::default()).unwrap_err();
    assert!(matches!(refused, Error::Newer { found, .. } if found == FORMAT + 1), "{refused}");
}

#[test]
fn the_state_database_is_apart_from_the_log() {
    let home = tempfile::tempdir().unwrap();
    let dir = DataDir::open(home.path(), CacheBytes::default()).unwrap();
    let (log, _) = Log::open(options(dir.log.clone(), dir.hard_state.clone())).unwrap();
    wait(|done| log.append(0, vec![plain(1)], done)).unwrap();
    assert_eq!(dir.state.get(b"l").unwrap(), None);
}
