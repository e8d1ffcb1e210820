//! Idempotency keys, and the catalogue.

use crate::engine::model::DefinitionStatus;

use super::super::super::command::{CatalogueChange, CatalogueConflict};
use super::super::super::view::Workflow;
use super::*;

#[test]
fn a_key_makes_one_execution_however_old_it_is() {
    let mut bench = Bench::new(tight());
    let (first, second) = (id(START_MS, 1), id(START_MS + 900, 2));
    let create = |id, request| Append {
        claim: Some(claim(1, request)),
        ..append("acme", id, 0, vec![created("acme"), completed()])
    };
    bench.append(create(first, 5)).expect("the key is new");
    for _ in 0..2 {
        let again = bench.append(create(second, 5)).unwrap_err();
        assert_eq!(again, Conflict::Claimed { execution: first, same_request: true });
        let other = bench.append(create(second, 6)).unwrap_err();
        assert_eq!(other, Conflict::Claimed { execution: first, same_request: false });
        bench.write_all();
        bench.restart();
    }
    let elsewhere =
        Append { claim: Some(claim(1, 5)), ..append("zeta", second, 0, vec![created("zeta"), completed()]) };
    bench.append(elsewhere).expect("another tenant has keys of its own");
}

struct Catalogue {
    store: MemoryStore,
    machine: Arc<Machine>,
    index: u64,
}

impl Catalogue {
    fn new() -> Self {
        let store = MemoryStore::new();
        Self { machine: open(&store, 0, &tight()), store, index: 0 }
    }

    fn change(&mut self, change: CatalogueChange) -> Result<Arc<Workflow>, CatalogueConflict> {
        self.index += 1;
        match self.machine.apply(self.index, &Command::Catalogue { at: at(START_MS + self.index), change }) {
            Reply::Catalogue(reply) => reply,
            other => panic!("a change answers a workflow, not {other:?}"),
        }
    }
}

fn put(number: u128, expected: Option<u32>, key: Option<u8>) -> CatalogueChange {
    CatalogueChange::PutWorkflow {
        tenant: tenant("acme"),
        workflow: workflow_id(number),
        expected,
        name: "order".into(),
        status: DefinitionStatus::Active,
        labels: BTreeMap::new(),
        hash: SpecHash([9; 32]),
        text: "{}".into(),
        by: "ada".into(),
        claim: key.map(|key| claim(key, 1)),
    }
}

fn archive(number: u128) -> CatalogueChange {
    let (tenant, workflow, by) = (tenant("acme"), workflow_id(number), "ada".into());
    CatalogueChange::SetStatus { tenant, workflow, status: DefinitionStatus::Archived, by }
}

fn delete(number: u128) -> CatalogueChange {
    CatalogueChange::DeleteWorkflow {
        tenant: tenant("acme"),
        workflow: workflow_id(number),
        by: "ada".into(),
    }
}

#[test]
fn workflows_have_versions_and_survive_a_start() {
    let mut catalogue = Catalogue::new();
    assert_eq!(catalogue.change(put(1, None, None)), Err(CatalogueConflict::NotFound));
    catalogue.change(put(1, Some(0), Some(4))).expect("it is new");
    assert_eq!(catalogue.change(put(1, Some(0), None)), Err(CatalogueConflict::Version { current: 1 }));
    let claimed = CatalogueConflict::Claimed { workflow: workflow_id(1), same_request: true };
    assert_eq!(catalogue.change(put(2, Some(0), Some(4))), Err(claimed.clone()));
    assert_eq!(catalogue.change(put(1, Some(1), None)).unwrap().latest().version, 2);
    assert_eq!(catalogue.change(put(1, None, None)).unwrap().latest().version, 3);
    catalogue.change(put(2, Some(0), None)).expect("it is new");
    assert_eq!(catalogue.change(archive(1)).unwrap().status, DefinitionStatus::Archived);
    for _ in 0..2 {
        let page = |status| {
            let found = catalogue.machine.workflows(&tenant("acme"), status, None, 9);
            found.iter().map(|workflow| workflow.id).collect::<Vec<_>>()
        };
        assert_eq!(page(None), [workflow_id(2), workflow_id(1)]);
        assert_eq!(page(Some(DefinitionStatus::Archived)), [workflow_id(1)]);
        assert!(catalogue.machine.workflow(&tenant("zeta"), workflow_id(1)).is_none());
        assert_eq!(catalogue.machine.workflow(&tenant("acme"), workflow_id(1)).unwrap().versions.len(), 3);
        while catalogue.machine.durable() < catalogue.index {
            catalogue.machine.checkpoint(&meta_at).unwrap();
        }
        catalogue.store.lose_unsynced();
        catalogue.machine = open(&catalogue.store, 0, &tight());
    }
    assert_eq!(catalogue.change(put(3, Some(0), Some(4))), Err(claimed));
    catalogue.change(delete(1)).expect("it was there");
    assert_eq!(catalogue.change(delete(1)), Err(CatalogueConflict::NotFound));
}

#[test]
fn a_replay_of_the_catalogue_ends_the_same() {
    let changes = [
        put(1, Some(0), Some(1)),
        put(1, Some(1), None),
        put(2, Some(0), Some(2)),
        archive(1),
        delete(2),
        put(3, Some(0), Some(1)),
        put(2, Some(0), Some(3)),
        put(1, None, None),
        delete(1),
        put(1, Some(0), None),
    ];
    let mut calm = Catalogue::new();
    changes.iter().for_each(|change| drop(calm.change(change.clone())));
    for crash_at in 0..changes.len() {
        for checkpoints in 0..4 {
            let mut it = Catalogue::new();
            changes[..=crash_at].iter().for_each(|change| drop(it.change(change.clone())));
            for _ in 0..checkpoints {
                it.machine.checkpoint(&meta_at).unwrap();
            }
            it.store.lose_unsynced();
            it.machine = open(&it.store, 0, &tight());
            it.index = it.machine.applied().index;
            let durable = usize::try_from(it.index).unwrap();
            changes[durable..].iter().for_each(|change| drop(it.change(change.clone())));
            assert_eq!(
                it.machine.digest().unwrap(),
                calm.machine.digest().unwrap(),
                "{crash_at} {checkpoints}"
            );
        }
    }
}

#[test]
fn other_partitions_have_no_catalogue() {
    let mut bench = Bench::new(Limits::default());
    bench.index += 1;
    let command = Command::Catalogue { at: at(START_MS), change: put(1, Some(0), None) };
    let reply = bench.machine.apply(bench.index, &command);
    assert!(matches!(reply, Reply::Catalogue(Err(CatalogueConflict::NotFound))), "{reply:?}");
}
