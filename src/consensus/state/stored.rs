//! What the rows of the state database hold: a storage format, kept by golden bytes.
//!
//! A record is stored as its events, and is folded again when it is read; so a record of an old release gains
//! whatever `evolve` learned to derive. Only a history that was sealed in part is stored with its state.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::engine::evolve;
use crate::engine::model::{
    Epoch, Execution, ExecutionId, Recorded, Status, TenantId, Timestamp, Version, WorkflowId,
};
use crate::storage::Mark;
use crate::storage::codec::{self, Kind};

use super::super::view::{Membership, NodeRecord, Record, Workflow};
use super::error::{Error, Result};

const ROOT: Kind = Kind(0x40);
const META: Kind = Kind(0x41);
const RECORD: Kind = Kind(0x42);
const LIVE: Kind = Kind(0x43);
const PACK: Kind = Kind(0x44);
const HISTORY: Kind = Kind(0x45);
const CLAIM: Kind = Kind(0x46);
const PIN: Kind = Kind(0x47);
const WORKFLOW: Kind = Kind(0x48);
const CHUNK: Kind = Kind(0x49);
const NODE: Kind = Kind(0x4a);

/// The only version of each kind so far, but one.
const V1: u16 = 1;
const V2: u16 = 2;

/// The checkpoint's own row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Meta {
    /// Every entry up to this one is in the rows; some later ones may be.
    pub index: u64,
    /// What the log keeps with that entry.
    pub meta: Option<Bytes>,
    /// The newest leadership as of that entry.
    pub epoch: Epoch,
    /// The partition's time as of that entry.
    pub at: Timestamp,
    /// The number of the next pack.
    pub seq: u64,
    /// No window above this one has a pack; 0 if none has.
    pub packed_max: u64,
}

/// A record without what its key says.
#[derive(Serialize, Deserialize)]
struct StoredRecord<'a> {
    changed: u64,
    tail_from: Version,
    /// The state of a record whose first events are sealed; none if the tail is the whole history.
    state: Option<Cow<'a, Execution>>,
    tail: Cow<'a, [Recorded]>,
}

/// An unfinished execution: what a start needs to know, then the record in an envelope of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LiveValue {
    pub status: Status,
    pub runnable: bool,
    pub due: Option<Timestamp>,
    pub workflow: Option<WorkflowId>,
    pub record: Bytes,
}

/// What a list needs to know of a finished execution, and where its record lies in the pack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    pub id: ExecutionId,
    pub status: Status,
    pub workflow: Option<WorkflowId>,
    pub created_at: Timestamp,
    pub changed: u64,
    pub offset: u32,
    pub len: u32,
}

/// Finished executions of one window, sorted by id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Pack {
    pub headers: Vec<Header>,
    pub body: Bytes,
}

impl Pack {
    /// The record bytes of a header; nothing if the header points outside, which is damage.
    pub(super) fn bytes(&self, header: &Header) -> &[u8] {
        let start = header.offset as usize;
        self.body.get(start..start.saturating_add(header.len as usize)).unwrap_or_default()
    }

    pub(super) fn find(&self, id: ExecutionId) -> Option<&Header> {
        self.headers.binary_search_by_key(&id, |header| header.id).ok().map(|at| &self.headers[at])
    }
}

/// Who used an idempotency key first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredClaim {
    /// The execution or workflow.
    pub owner: uuid::Uuid,
    /// The hash of the request.
    pub request: [u8; 32],
    /// The entry that claimed it.
    pub index: u64,
}

/// A workflow and the entry that changed it last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredWorkflow<'a> {
    pub changed: u64,
    pub workflow: Cow<'a, Workflow>,
}

/// A node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredNode {
    /// The entry that changed it last.
    pub changed: u64,
    /// The entry that gave it its id.
    pub born: u64,
    pub node: NodeRecord,
}

/// As it was stored before the marks of nodes were recorded.
#[derive(Serialize, Deserialize)]
struct StoredNodeV1 {
    changed: u64,
    born: u64,
    id: u64,
    incarnation: u128,
    peer: String,
    public: String,
    membership: Membership,
    added_at: Timestamp,
}

/// A part of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Chunk {
    /// Counts from 0.
    pub number: u64,
    /// Nothing follows.
    pub last: bool,
    /// Suffix and value.
    pub rows: Vec<(Bytes, Bytes)>,
}

macro_rules! codec_pair {
    ($encode:ident, $decode:ident, $kind:ident, $type:ty) => {
        pub(super) fn $encode(value: &$type) -> Vec<u8> {
            codec::encode($kind, V1, value)
        }

        pub(super) fn $decode(bytes: &[u8]) -> Result<$type> {
            decode($kind, bytes)
        }
    };
}

codec_pair!(encode_meta, decode_meta, META, Meta);
codec_pair!(encode_live, decode_live, LIVE, LiveValue);
codec_pair!(encode_pack, decode_pack, PACK, Pack);
codec_pair!(encode_claim, decode_claim, CLAIM, StoredClaim);
codec_pair!(encode_chunk, decode_chunk, CHUNK, Chunk);
codec_pair!(encode_workflow, decode_workflow, WORKFLOW, StoredWorkflow<'static>);

pub(super) fn encode_node(node: &StoredNode) -> Vec<u8> {
    codec::encode(NODE, V2, node)
}

pub(super) fn decode_node(bytes: &[u8]) -> Result<StoredNode> {
    match codec::open(bytes)?.version {
        V1 => {
            let old: StoredNodeV1 = decode(NODE, bytes)?;
            let StoredNodeV1 { changed, born, id, incarnation, peer, public, membership, added_at } = old;
            let mark = Mark::default();
            let node = NodeRecord { id, incarnation, peer, public, membership, added_at, mark };
            Ok(StoredNode { changed, born, node })
        }
        V2 => Ok(codec::decode(NODE, bytes)?.1),
        found => Err(Error::Newer { found, supported: V2 }),
    }
}

pub(super) fn encode_root(generation: u8) -> Vec<u8> {
    codec::encode(ROOT, V1, &generation)
}

pub(super) fn decode_root(bytes: &[u8]) -> Result<u8> {
    decode(ROOT, bytes)
}

pub(super) fn encode_pin(text: &str) -> Vec<u8> {
    codec::encode(PIN, V1, text)
}

pub(super) fn decode_pin(bytes: &[u8]) -> Result<Arc<str>> {
    decode(PIN, bytes)
}

pub(super) fn encode_history(events: &[Recorded]) -> Vec<u8> {
    codec::encode(HISTORY, V1, events)
}

pub(super) fn decode_history(bytes: &[u8]) -> Result<Vec<Recorded>> {
    decode(HISTORY, bytes)
}

/// The bytes of a record whose first `sealed` events of the tail are stored elsewhere.
pub(super) fn encode_record(record: &Record, sealed: usize) -> Vec<u8> {
    let tail_from = record.tail_from + sealed as u64;
    let stored = StoredRecord {
        changed: record.changed,
        tail_from,
        state: (tail_from > 0).then_some(Cow::Borrowed(&record.execution)),
        tail: Cow::Borrowed(&record.tail[sealed..]),
    };
    codec::encode(RECORD, V1, &stored)
}

/// Folds a stored record again.
pub(super) fn decode_record(tenant: &TenantId, id: ExecutionId, bytes: &[u8]) -> Result<Record> {
    let stored: StoredRecord<'static> = decode(RECORD, bytes)?;
    let tail = stored.tail.into_owned();
    let execution = stored.state.map_or_else(
        || {
            let mut execution = Execution::unborn(id, tenant.clone());
            tail.iter().for_each(|recorded| evolve(&mut execution, recorded));
            execution
        },
        Cow::into_owned,
    );
    Ok(Record { execution, tail, tail_from: stored.tail_from, changed: stored.changed })
}

fn decode<T: serde::de::DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T> {
    let (version, value) = codec::decode(kind, bytes)?;
    if version > V1 {
        return Err(Error::Newer { found: version, supported: V1 });
    }
    Ok(value)
}
