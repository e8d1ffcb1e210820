//! The stored bytes of each kind, as the first release writes them. Every later release has to read them, so a
//! failure here is not mended by new bytes: it takes a new version of the kind beside the old one.

use bytes::Bytes;

use crate::engine::evolve;
use crate::engine::model::{DefinitionStatus, Execution, Recorded, Status};

use crate::storage::{Mark, codec};

use super::super::super::view::{Membership, NodeRecord, Workflow, WorkflowVersion};
use super::super::stored::{
    self, Chunk, Header, LiveValue, Meta, Pack, StoredClaim, StoredNode, StoredWorkflow,
};
use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// An execution of four events, none of them sealed.
fn record() -> Record {
    let events = [created("acme"), started(0, 1), done(0, 1), completed()];
    let mut execution = Execution::unborn(id(START_MS, 1), tenant("acme"));
    let tail: Vec<_> = events.into_iter().map(|event| Recorded { at: at(START_MS), event }).collect();
    tail.iter().for_each(|recorded| evolve(&mut execution, recorded));
    Record { execution, tail, tail_from: 0, changed: 9 }
}

fn workflow() -> Workflow {
    let version = WorkflowVersion {
        version: 1,
        name: "order".into(),
        labels: BTreeMap::from([("team".into(), "blue".into())]),
        hash: SpecHash([9; 32]),
        text: "{}".into(),
        created_at: at(START_MS),
        by: "ada".into(),
    };
    Workflow {
        id: workflow_id(7),
        tenant: tenant("acme"),
        status: DefinitionStatus::Active,
        created_at: at(START_MS),
        updated_at: at(START_MS),
        versions: vec![version],
    }
}

fn header() -> Header {
    Header {
        id: id(START_MS, 1),
        status: Status::Completed,
        workflow: Some(workflow_id(7)),
        created_at: at(START_MS),
        changed: 9,
        offset: 0,
        len: 3,
    }
}

fn node() -> StoredNode {
    let node = NodeRecord {
        id: 3,
        incarnation: 9,
        peer: "n3:1".into(),
        public: "http://n3".into(),
        membership: Membership::Draining,
        added_at: at(START_MS),
        mark: Mark { count: 4, drawn: 300, start: 2, run: 200 },
    };
    StoredNode { changed: 9, born: 2, node }
}

fn all() -> Vec<(&'static str, Vec<u8>)> {
    let record = record();
    let meta = Meta {
        index: 9,
        meta: Some(Bytes::from_static(b"log")),
        epoch: Epoch(4),
        at: at(START_MS),
        seq: 3,
        packed_max: 2,
    };
    let live = LiveValue {
        status: Status::Running,
        runnable: false,
        due: Some(at(START_MS)),
        workflow: Some(workflow_id(7)),
        record: Bytes::from_static(b"abc"),
    };
    let pack = Pack { headers: vec![header()], body: Bytes::from_static(b"abc") };
    let claim = StoredClaim { owner: uuid::Uuid::from_u128(5), request: [6; 32], index: 9 };
    let kept = StoredWorkflow { changed: 9, workflow: std::borrow::Cow::Owned(workflow()) };
    let chunk =
        Chunk { number: 1, last: true, rows: vec![(Bytes::from_static(b"k"), Bytes::from_static(b"v"))] };
    vec![
        ("root", stored::encode_root(2)),
        ("meta", stored::encode_meta(&meta)),
        ("record", stored::encode_record(&record, 0)),
        ("record with its history sealed", stored::encode_record(&record, 4)),
        ("live", stored::encode_live(&live)),
        ("pack", stored::encode_pack(&pack)),
        ("history", stored::encode_history(&record.tail[..2])),
        ("claim", stored::encode_claim(&claim)),
        ("pin", stored::encode_pin("{}")),
        ("workflow", stored::encode_workflow(&kept)),
        ("chunk", stored::encode_chunk(&chunk)),
        ("node", stored::encode_node(&node())),
    ]
}

#[test]
fn bytes_are_what_was_released() {
    let written: String = all().iter().map(|(name, bytes)| format!("{name}: {}\n", hex(bytes))).collect();
    assert_eq!(written, include_str!("golden.txt"), "the storage format has changed");
}

#[test]
fn released_bytes_can_be_read() {
    let line = |line: &'static str| line.split_once(": ").map(|(name, hex)| (name, bytes(hex))).unwrap();
    let kinds: BTreeMap<_, _> = include_str!("golden.txt").lines().map(line).collect();
    let again = |name: &str| stored::decode_record(&tenant("acme"), id(START_MS, 1), &kinds[name]).unwrap();
    let (whole, sealed) = (again("record"), again("record with its history sealed"));
    assert_eq!(whole.execution, record().execution);
    assert_eq!((whole.tail.len(), whole.tail_from, whole.changed), (4, 0, 9));
    assert_eq!(sealed.execution, record().execution);
    assert_eq!((sealed.tail.len(), sealed.tail_from), (0, 4));
    assert_eq!(stored::decode_pack(&kinds["pack"]).unwrap().headers, [header()]);
    assert_eq!(stored::decode_history(&kinds["history"]).unwrap(), record().tail[..2]);
    assert_eq!(&*stored::decode_pin(&kinds["pin"]).unwrap(), "{}");
    assert_eq!(*stored::decode_workflow(&kinds["workflow"]).unwrap().workflow, workflow());
    assert!(stored::decode_meta(&kinds["live"]).is_err(), "a kind is checked");
    assert_eq!(stored::decode_node(&kinds["node"]).unwrap(), node());
}

#[test]
fn a_node_that_was_stored_before_marks_were_recorded_can_be_read() {
    let node = node();
    let NodeRecord { id, incarnation, peer, public, membership, added_at, .. } = &node.node;
    let old = (9_u64, 2_u64, id, incarnation, peer, public, membership, added_at);
    let read = stored::decode_node(&codec::encode(codec::Kind(0x4a), 1, &old)).unwrap();
    let expected = NodeRecord { mark: Mark::default(), ..node.node };
    assert_eq!(read, StoredNode { node: expected, ..node });
}

#[test]
fn keys_are_what_was_released() {
    use super::super::keys::{self, Domain};
    let (acme, id) = (tenant("acme"), id(START_MS, 1));
    let keys = [
        keys::root(PartitionId(258)),
        keys::prefix(PartitionId(258), 1).to_vec(),
        keys::meta(),
        keys::live(&acme, id),
        keys::pack(&acme, keys::window_of(id), 3),
        keys::history(&acme, id, 256),
        keys::claim(&acme, Domain::Execution, &[1; 32]),
        keys::pin(SpecHash([2; 32])),
        keys::workflow(&acme, workflow_id(7)),
    ];
    let released = [
        "010200",
        "010201",
        "6d",
        "6c61636d65000193433ea80070008000000000010001",
        "7861636d650000064d0cfaa00000000000000003",
        "6861636d65000193433ea800700080000000000100010000000000000100",
        "6b61636d6500650101010101010101010101010101010101010101010101010101010101010101",
        "640202020202020202020202020202020202020202020202020202020202020202",
        "7761636d650000000000000000000000000000000007",
    ];
    assert_eq!(keys.map(|key| hex(&key)), released);
}
