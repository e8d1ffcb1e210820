//! Raft's own examination of a log and a state, held over the real ones.

use std::sync::Arc;

use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{EntryPayload, StorageError};
use tempfile::TempDir;

use crate::engine::model::PartitionId;
use crate::storage::{CacheBytes, DataDir, Log, LogOptions};

use super::applied::Applied;
use super::fatal::Fatal;
use super::log_store::{Found, LogStore};
use super::state::{Limits, Machine, MachineOptions};
use super::state_machine::StateMachine;
use super::types::{Entry, LeaderId, LogId, Types};

struct Builder;

/// What has to live as long as the store under test.
struct Kept {
    _directory: TempDir,
    _data: DataDir,
}

impl Kept {
    /// A new log, and the state that goes with it.
    fn open() -> (Self, LogStore, Arc<Applied>) {
        let directory = tempfile::tempdir().expect("a directory for a test");
        let data = DataDir::open(directory.path(), CacheBytes::default()).expect("a new data directory");
        let options = LogOptions::new(data.log.clone(), data.hard_state.clone(), 1);
        let (log, _) = Log::open(options).expect("a new log");
        let partition = PartitionId(1);
        let store = data.state.clone();
        let options = MachineOptions { partition, store, limits: Limits::default() };
        let machine = Machine::open(options).expect("a new state");
        let applied = Arc::new(Applied::open(partition, machine).expect("a new state"));
        let log_store = LogStore::new(log, partition.0, Found::default(), applied.clone());
        (Self { _directory: directory, _data: data }, log_store, applied)
    }
}

impl StoreBuilder<Types, LogStore, StateMachine, Kept> for Builder {
    async fn build(&self) -> Result<(Kept, LogStore, StateMachine), StorageError<Types>> {
        let (kept, log_store, applied) = Kept::open();
        Ok((kept, log_store, StateMachine::new(applied, Fatal::new(), false)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_and_the_state_keep_what_raft_expects() {
    Suite::test_all(Builder).await.expect("the suite passes");
}

#[tokio::test]
async fn what_is_applied_is_never_cut_from_the_log() {
    let (_kept, mut log, applied) = Kept::open();
    let entries = [1, 2, 3].map(|index| Entry { log_id: log_id(index), payload: EntryPayload::Blank });
    log.append(entries.clone(), IOFlushed::noop()).await.unwrap();
    entries.into_iter().take(2).for_each(|entry| drop(applied.apply(entry)));
    log.truncate_after(Some(log_id(2))).await.expect("the third is not applied");
    let error = log.truncate_after(Some(log_id(1))).await.unwrap_err().to_string();
    assert!(error.contains("contradicts entry 2") && error.contains("another node went back"), "{error}");
    assert_eq!(log.get_log_state().await.unwrap().last_log_id, Some(log_id(2)), "nothing is cut");
}

fn log_id(index: u64) -> LogId {
    LogId::new(LeaderId { term: 1, node_id: 1 }, index)
}
