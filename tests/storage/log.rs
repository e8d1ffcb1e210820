//! The log as its owner uses it.

use std::sync::{Arc, mpsc};

use bytes::Bytes;
use everstep::storage::{
    DataDir, Done, Error, Log, LogEntry, LogOptions, MemoryHardState, MemoryStore, Recovered,
    STATE_CACHE_BYTES,
};

fn entry(index: u64, term: u64, bytes: &[u8]) -> LogEntry {
    LogEntry { index, term, bytes: Bytes::copy_from_slice(bytes) }
}

/// Runs `ask` and waits for its answer.
fn wait(ask: impl FnOnce(Done)) -> std::io::Result<()> {
    let (sender, receiver) = mpsc::channel();
    ask(Box::new(move |outcome| sender.send(outcome).unwrap()));
    receiver.recv().unwrap()
}

fn open_dir(path: &std::path::Path) -> (Log, Recovered) {
    let dir = DataDir::open(path, STATE_CACHE_BYTES).unwrap();
    Log::open(LogOptions::new(dir.log, dir.hard_state, 7)).unwrap()
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
    let (store, hard_state) = (Arc::new(MemoryStore::new()), Arc::new(MemoryHardState::new()));
    let (log, _) = Log::open(LogOptions::new(store, hard_state, 1)).unwrap();
    let (sender, receiver) = mpsc::channel::<()>();
    log.sync(Box::new(move |_| assert!(receiver.recv().is_err())));
    log.append(0, vec![entry(1, 1, b"a"), entry(2, 1, b"b")], Box::new(|_| {}));
    assert_eq!(log.read(0, 1..9).unwrap(), [entry(1, 1, b"a"), entry(2, 1, b"b")]);
    log.truncate_after(0, Some(1), Box::new(|_| {}));
    log.append(0, vec![entry(2, 2, b"c")], Box::new(|_| {}));
    assert_eq!(log.read(0, 1..9).unwrap(), [entry(1, 1, b"a"), entry(2, 2, b"c")]);
    drop(sender);
    wait(|done| log.sync(done)).unwrap();
    assert_eq!(log.read(0, 1..9).unwrap(), [entry(1, 1, b"a"), entry(2, 2, b"c")]);
}

#[test]
fn a_directory_has_one_owner() {
    let home = tempfile::tempdir().unwrap();
    let first = DataDir::open(home.path(), STATE_CACHE_BYTES).unwrap();
    assert!(matches!(DataDir::open(home.path(), STATE_CACHE_BYTES), Err(Error::Locked { .. })));
    drop(first);
    drop(DataDir::open(home.path(), STATE_CACHE_BYTES).unwrap());
}
