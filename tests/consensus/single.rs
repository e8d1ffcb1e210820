//! A node by itself.

use std::sync::Arc;

use everstep::consensus::{CatalogueChange, CatalogueConflict, Config, Conflict, Error, Leadership, Nowhere};
use everstep::engine::model::{
    DefinitionStatus, Epoch, ExecutionId, Millis, Moment, PartitionId, SpecHash, WorkflowId,
};
use everstep::storage::{CacheBytes, DataDir, MemoryStore};

use crate::node::{Disks, Node, PATIENCE, creation, decided, execution, pause, tenant};

const FIRST: PartitionId = PartitionId(1);

async fn alone(disks: &Disks) -> Node {
    Node::start(Config::single(1), disks, Nowhere::transport()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_leads_all_its_partitions_and_records_what_it_is_asked_for() {
    let node = alone(&Disks::in_memory()).await;
    for partition in (0..=4).map(PartitionId) {
        node.leads(partition).await;
        node.handle.linearize(partition).await.unwrap();
    }
    assert_eq!(node.handle.partitions(), (1..=4).map(PartitionId).collect::<Vec<_>>());

    let epoch = node.leads(FIRST).await;
    let record = node.handle.append(FIRST, decided(epoch), creation(1), None).await.unwrap().unwrap();
    assert_eq!(record.execution.version, 1);
    let record = node.handle.append(FIRST, decided(epoch), pause(1, 1), None).await.unwrap().unwrap();
    assert_eq!(record.execution.version, 2);
    let seen = node.handle.machine(FIRST).record(&tenant(), execution(1)).unwrap().unwrap();
    assert_eq!(seen.execution, record.execution);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_on_old_state_is_refused_alone() {
    let node = alone(&Disks::in_memory()).await;
    let epoch = node.leads(FIRST).await;
    node.handle.append(FIRST, decided(epoch), creation(1), None).await.unwrap().unwrap();

    let late = node.handle.append(FIRST, decided(epoch), pause(1, 5), None).await.unwrap();
    assert_eq!(late.unwrap_err(), Conflict::Version { current: 1 });
    let stale = node.handle.append(FIRST, decided(Epoch(0)), pause(1, 1), None).await.unwrap();
    assert_eq!(stale.unwrap_err(), Conflict::StaleEpoch { current: epoch });
    node.handle.append(FIRST, decided(epoch), pause(1, 1), None).await.unwrap().unwrap();
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_recorded_before_it_was_decided() {
    let node = alone(&Disks::in_memory()).await;
    let epoch = node.leads(FIRST).await;
    // The clock was an hour ahead, and was set back meanwhile.
    let at = node.handle.machine(FIRST).at() + Millis(3_600_000);
    let record = node.handle.append(FIRST, Moment { at, epoch }, creation(1), None).await.unwrap().unwrap();
    assert_eq!(record.execution.created_at, at);
    let later = node.handle.append(FIRST, decided(epoch), creation(2), None).await.unwrap().unwrap();
    assert!(later.execution.created_at >= at, "and the time of the partition goes on from there");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_share_entries_and_all_are_answered() {
    let node = alone(&Disks::in_memory()).await;
    let epoch = node.leads(FIRST).await;
    let appends = (0..2_000).map(|number| {
        let handle = node.handle.clone();
        tokio::spawn(async move { handle.append(FIRST, decided(epoch), creation(number), None).await })
    });
    for append in appends.collect::<Vec<_>>() {
        assert_eq!(append.await.unwrap().unwrap().unwrap().execution.version, 1);
    }
    assert_eq!(node.handle.machine(FIRST).live().len(), 2_000);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_full_says_so_at_once() {
    let node = alone(&Disks::in_memory()).await;
    let epoch = node.leads(FIRST).await;
    // The proposer runs on another thread; nobody else yields to it while this one fills the queue.
    let mut appends: Vec<_> = (0..100_000)
        .map(|number| Box::pin(node.handle.append(FIRST, decided(epoch), creation(number), None)))
        .collect();
    let mut refused = 0;
    for append in &mut appends {
        if let Some(answer) = futures_util::FutureExt::now_or_never(append) {
            match answer {
                Err(error @ Error::Overloaded { .. }) => {
                    assert!(error.is_refused());
                    refused += 1;
                }
                Ok(answered) => assert!(answered.is_ok()),
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(refused > 0, "100,000 at once exceed any queue");
    drop(appends);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_changes_one_by_one() {
    let node = alone(&Disks::in_memory()).await;
    node.leads(PartitionId::CATALOGUE).await;
    let workflow = WorkflowId::from_uuid(uuid::Uuid::from_u128(9));
    let put = |expected| CatalogueChange::PutWorkflow {
        tenant: tenant(),
        workflow,
        expected,
        name: "order".to_owned(),
        status: DefinitionStatus::Active,
        labels: std::collections::BTreeMap::new(),
        hash: SpecHash([1; 32]),
        text: "{}".into(),
        by: "test".to_owned(),
        claim: None,
    };
    let created = node.handle.change(put(Some(0))).await.unwrap().unwrap();
    assert_eq!(created.latest().version, 1);
    let refused = node.handle.change(put(Some(7))).await.unwrap().unwrap_err();
    assert_eq!(refused, CatalogueConflict::Version { current: 1 });
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_by_an_orderly_stop_nor_by_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let mut epochs = Vec::new();
    let mut records: Vec<Arc<_>> = Vec::new();
    for boot in 0..6_u64 {
        let data = DataDir::open(directory.path(), CacheBytes::default()).unwrap();
        let node = alone(&Disks::of(&data)).await;
        let epoch = node.leads(FIRST).await;
        epochs.push(epoch);
        for record in &records {
            let record: &everstep::consensus::Record = record;
            let seen = node.handle.machine(FIRST).record(&tenant(), record.execution.id).unwrap();
            assert_eq!(seen.unwrap().execution, record.execution, "boot {boot}");
        }
        for number in boot * 50..(boot + 1) * 50 {
            let record = node.handle.append(FIRST, decided(epoch), creation(number), None).await;
            records.push(record.unwrap().unwrap());
        }
        let times = records.iter().map(|record| record.execution.created_at);
        assert!(times.is_sorted(), "time never runs back, though the clock of each boot begins anew");
        if boot % 2 == 0 {
            node.crash().await
        } else {
            node.stop().await
        }
        drop(data);
    }
    assert!(epochs.is_sorted_by(|a, b| a < b), "each leadership has a higher fence: {epochs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_node_refuses() {
    let node = alone(&Disks::in_memory()).await;
    let epoch = node.leads(FIRST).await;
    let handle = node.handle.clone();
    let fatal = handle.fatal();
    node.stop().await;
    assert_eq!(handle.append(FIRST, decided(epoch), creation(1), None).await.unwrap_err(), Error::Stopped);
    assert_eq!(*handle.leadership(FIRST).borrow(), Leadership::Following { leader: None });
    assert_eq!(*fatal.borrow(), None, "to stop is no failure");
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_spread_in_ranges() {
    let node = alone(&Disks::in_memory()).await;
    let partitions = (0..ExecutionId::SLOTS).map(|slot| node.handle.partition_of(slot));
    let mut counts = std::collections::BTreeMap::new();
    let mut last = PartitionId(0);
    for partition in partitions {
        assert!(partition >= last);
        last = partition;
        *counts.entry(partition).or_insert(0) += 1;
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [1024; 4]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_cannot_be_written_ends_the_node() {
    let state = Arc::new(MemoryStore::new());
    let node = alone(&Disks { state: state.clone(), ..Disks::in_memory() }).await;
    let epoch = node.leads(FIRST).await;
    let mut fatal = node.handle.fatal();
    assert_eq!(*fatal.borrow(), None);
    state.fail_after(Some(0));
    node.handle.append(FIRST, decided(epoch), creation(1), None).await.unwrap().unwrap();
    let raised = fatal.wait_for(Option::is_some);
    let reason = tokio::time::timeout(PATIENCE, raised).await.expect("it is noticed").unwrap().clone();
    assert!(reason.unwrap().contains("write the state behind"));
    node.crash().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_no_entry_can_hold_is_refused() {
    let node = alone(&Disks::in_memory()).await;
    let epoch = node.leads(FIRST).await;
    let pin = (SpecHash([1; 32]), "x".repeat(11 << 20).into());
    let refused = node.handle.append(FIRST, decided(epoch), creation(1), Some(pin)).await.unwrap_err();
    assert!(matches!(refused, Error::TooLarge { .. }) && refused.is_refused());
    node.stop().await;
}
