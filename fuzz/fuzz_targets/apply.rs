//! Any entry that can be decoded at all: applying it, twice, neither panics nor depends on when.
#![no_main]

use std::sync::Arc;

use everstep::consensus::{Command, Machine, MachineOptions, StateLimits};
use everstep::engine::model::PartitionId;
use everstep::storage::{MemoryStore, codec};
use libfuzzer_sys::fuzz_target;

fn machine() -> Arc<Machine> {
    let store = Arc::new(MemoryStore::new());
    let options = MachineOptions { partition: PartitionId(1), store, limits: StateLimits::default() };
    Machine::open(options).expect("an empty store opens")
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(commands) = codec::decode_body::<Vec<Command>>(bytes) else { return };
    let (one, other) = (machine(), machine());
    for (index, command) in (1..).zip(&commands) {
        one.apply(index, command);
        other.apply(index, command);
        other.checkpoint(&|_| None).expect("memory takes every write");
    }
    assert_eq!(one.digest().expect("readable"), other.digest().expect("readable"), "two replicas differ");
});
