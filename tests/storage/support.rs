//! What the tests of the storage share.

use std::path::Path;
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use everstep::storage::{
    CacheBytes, DataDir, Done, Error, HardState, Log, LogEntry, LogOptions, Recovered, Store,
};

/// The node id of all tests.
pub(crate) const NODE: u64 = 7;

pub(crate) fn entry(index: u64, term: u64, bytes: &[u8]) -> LogEntry {
    LogEntry { index, term, bytes: Bytes::copy_from_slice(bytes) }
}

/// An entry whose content follows from its place, of a size that varies.
pub(crate) fn plain(index: u64) -> LogEntry {
    let length = 10 + (index * 37 % 900) as usize;
    entry(index, 1 + index / 50, &index.to_le_bytes().repeat(length / 8 + 1)[..length])
}

/// Runs `ask` and waits for its answer.
pub(crate) fn wait(ask: impl FnOnce(Done)) -> std::io::Result<()> {
    let (sender, receiver) = mpsc::channel();
    ask(Box::new(move |outcome| sender.send(outcome).expect("the test waits")));
    receiver.recv().expect("every operation is answered")
}

/// Options under which a failing disk makes operations fail and does not end the test.
pub(crate) fn options(store: Arc<dyn Store>, hard_state: Arc<dyn HardState>) -> LogOptions {
    LogOptions { on_fatal: Arc::new(|_| {}), ..LogOptions::new(store, hard_state, NODE) }
}

pub(crate) fn try_open_dir(path: &Path) -> Result<(Log, Recovered), Error> {
    let dir = DataDir::open(path, CacheBytes::default())?;
    Log::open(options(dir.log, dir.hard_state))
}

pub(crate) fn open_dir(path: &Path) -> (Log, Recovered) {
    try_open_dir(path).expect("a sound directory opens")
}

/// Copies a directory and everything below it.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
