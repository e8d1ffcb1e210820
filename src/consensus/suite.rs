//! Raft's own examination of a log and a state, held over the real ones.

use std::sync::Arc;

use openraft::raft::AppendEntriesRequest;
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
use super::types::{Entry, LeaderId, LogId, Types, Vote};

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
async fn a_leader_that_contradicts_what_is_applied_is_noticed() {
    let (_kept, mut log, applied) = Kept::open();
    let entry = |term, index| Entry { log_id: log_id(term, index), payload: EntryPayload::Blank };
    let entries = [1, 2, 3].map(|index| entry(3, index));
    log.append(entries.clone(), IOFlushed::noop()).await.unwrap();
    entries.into_iter().take(2).for_each(|entry| drop(applied.apply(entry)));
    log.save_vote(&Vote::new_committed(3, 1)).await.unwrap();
    let view = log.clone();
    let check = |term, prev_log_id, entries: Vec<Entry>| {
        let vote = Vote::new_committed(term, 1);
        view.check(&AppendEntriesRequest { vote, prev_log_id, entries, leader_commit: None })
    };
    check(3, Some(log_id(3, 3)), vec![entry(3, 4)]).expect("what comes next");
    check(4, Some(log_id(3, 1)), vec![entry(3, 2), entry(4, 3)]).expect("the third is not applied");
    check(2, Some(log_id(2, 2)), vec![entry(2, 3)]).expect("an old leader is refused anyway");
    for refused in [
        check(4, Some(log_id(3, 1)), vec![entry(4, 2)]),
        check(4, Some(log_id(2, 2)), vec![]),
        check(4, Some(log_id(4, 2)), vec![entry(4, 3)]),
    ] {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("as entry 2,") && error.contains("another node went back"), "{error}");
    }
    log.purge(log_id(3, 2)).await.unwrap();
    check(4, Some(log_id(4, 1)), vec![]).expect("nobody knows any more");
    assert!(check(4, Some(log_id(4, 2)), vec![]).is_err());
}

fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(LeaderId { term, node_id: 1 }, index)
}
