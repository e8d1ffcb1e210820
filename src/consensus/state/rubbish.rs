//! Any rows at all in a snapshot, for the fuzz target `snapshot` and the tests of what it found.

use std::sync::Arc;

use bytes::Bytes;

use crate::engine::model::{PartitionId, Status, TenantId};
use crate::storage::{MemoryStore, codec};

use super::super::ListQuery;
use super::stored::{self, Chunk, Meta};
use super::{Limits, Machine, MachineOptions, keys};

/// The entry that the snapshots are of.
const INDEX: u64 = 7;

/// A row: the end of its key, the kind and the version of its envelope, and what is inside. The envelope is made
/// here, because its checksum is nothing that chance finds.
type Row = (Vec<u8>, u16, u16, Vec<u8>);

/// Takes chunks in, makes them the state, and reads it. What is wrong is refused, then or when it is read.
pub fn install(bytes: &[u8]) {
    if let Ok(chunk) = codec::decode_body::<Chunk>(bytes) {
        let mut staging = machine().stage().expect("nothing else arrives");
        let _refused = staging.take(&stored::encode_chunk(&chunk));
    }
    let Ok(rows) = codec::decode_body::<Vec<Row>>(bytes) else { return };
    let machine = machine();
    let meta = Meta { index: INDEX, ..Meta::default() };
    let given = rows.into_iter().filter(|(key, ..)| !key.is_empty()).map(|(key, kind, version, body)| {
        (Bytes::from(key), Bytes::from(codec::encode_raw(codec::Kind(kind), version, &body)))
    });
    let own = std::iter::once((Bytes::from(keys::meta()), Bytes::from(stored::encode_meta(&meta))));
    let chunk = Chunk { number: 0, last: true, rows: given.chain(own).collect() };
    if machine.install(INDEX, &mut std::iter::once(stored::encode_chunk(&chunk))).is_ok() {
        read(&machine);
    }
}

fn machine() -> Arc<Machine> {
    let options = MachineOptions {
        partition: PartitionId(0),
        store: Arc::new(MemoryStore::new()),
        limits: Limits::default(),
    };
    Machine::open(options).expect("an empty store opens")
}

fn read(machine: &Arc<Machine>) {
    assert_eq!(machine.applied().index, INDEX, "it is at the entry that it names");
    for row in machine.live() {
        let _damaged = machine.record(&row.tenant, row.id);
        let _damaged = machine.history(&row.tenant, row.id, 0, 10);
    }
    let tenant = TenantId::new("default").expect("a slug");
    let query = ListQuery { statuses: vec![Status::Completed], limit: 10, ..ListQuery::default() };
    let _damaged = machine.list(&tenant, &query);
    machine.workflows(&tenant, None, None, 10);
    machine.counts();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_of_a_snapshot_are_refused_or_read(bytes: Vec<u8>) {
            install(&bytes);
        }
    }
}
