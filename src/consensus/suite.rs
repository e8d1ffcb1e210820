//! Raft's own examination of a log and a state, held over the real ones.

use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;

use crate::engine::model::PartitionId;
use crate::storage::{CacheBytes, DataDir, Log, LogOptions};

use super::applied::Applied;
use super::fatal::Fatal;
use super::log_store::{Found, LogStore};
use super::state::{Limits, Machine, MachineOptions};
use super::state_machine::StateMachine;
use super::types::Types;

struct Builder;

/// What has to live as long as the store under test.
struct Kept {
    _directory: TempDir,
    _data: DataDir,
}

impl StoreBuilder<Types, LogStore, StateMachine, Kept> for Builder {
    async fn build(&self) -> Result<(Kept, LogStore, StateMachine), StorageError<Types>> {
        let directory = tempfile::tempdir().expect("a directory for a test");
        let data = DataDir::open(directory.path(), CacheBytes::default()).expect("a new data directory");
        let options = LogOptions::new(data.log.clone(), data.hard_state.clone(), 1);
        let (log, _) = Log::open(options).expect("a new log");
        let partition = PartitionId(1);
        let store = data.state.clone();
        let options = MachineOptions { partition, store, limits: Limits::default() };
        let machine = Machine::open(options).expect("a new state");
        let applied = Arc::new(Applied::open(partition, machine).expect("a new state"));
        let log_store = LogStore::new(log, partition.0, Found::default());
        let state_machine = StateMachine::new(applied, Fatal::new(), false);
        Ok((Kept { _directory: directory, _data: data }, log_store, state_machine))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_and_the_state_keep_what_raft_expects() {
    Suite::test_all(Builder).await.expect("the suite passes");
}
