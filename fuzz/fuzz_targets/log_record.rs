//! Any bytes in place of a log record: the log opens or says what it has lost, and never serves them.
#![no_main]

use std::sync::Arc;
use std::sync::mpsc;

use everstep::storage::{Log, LogEntry, LogOptions, MemoryHardState, MemoryStore};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (store, hard_state) = (Arc::new(MemoryStore::new()), Arc::new(MemoryHardState::new()));
    let options = || LogOptions::new(store.clone(), hard_state.clone(), 1);
    let (log, _) = Log::open(options()).expect("an empty log opens");
    let entries: Vec<_> =
        (1..4).map(|index| LogEntry { index, term: 1, bytes: vec![index as u8; 9].into() }).collect();
    let (done, synced) = mpsc::channel();
    log.append(1, entries.clone(), Box::new(move |outcome| done.send(outcome).expect("the test waits")));
    synced.recv().expect("the log answers").expect("memory takes every write");
    log.shutdown();
    let keys = store.keys();
    let at = usize::from(bytes.first().copied().unwrap_or(0)) % keys.len();
    store.corrupt(&keys[at], |value| *value = bytes.to_vec());
    let Ok((log, recovered)) = Log::open(options()) else { return };
    if recovered.storage_lost {
        return;
    }
    let served = log.read(1, 1..4).unwrap_or_default();
    assert!(served.iter().all(|entry| entries.contains(entry)), "damage was served");
});
