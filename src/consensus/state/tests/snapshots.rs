//! Snapshots: whole, checked, and swapped in at once.

use super::super::Error;
use super::*;

fn chunks(machine: &Arc<Machine>) -> (u64, Vec<Vec<u8>>) {
    let mut reader = machine.snapshot().unwrap();
    let mut chunks = Vec::new();
    while let Some(chunk) = reader.next_chunk().unwrap() {
        chunks.push(chunk);
    }
    (reader.index(), chunks)
}

/// A machine with some of everything, all of it written.
fn full() -> Bench {
    let mut bench = Bench::new(tight());
    for number in 0..40 {
        let id = id(START_MS + u64::from(number), number);
        bench.start("acme", id);
        if number % 2 == 0 {
            bench.go_on("acme", id, vec![done(0, 1), completed()]);
        }
    }
    bench.write_all();
    bench
}

#[test]
fn a_snapshot_makes_an_equal_replica() {
    let source = full();
    let (index, chunks) = chunks(&source.machine);
    assert!(chunks.len() > 3, "it is cut into chunks");
    let mut target = Bench::new(tight());
    target.start("zeta", id(START_MS, 1));
    target.write_all();
    target.machine.install(index, &mut chunks.into_iter()).unwrap();
    assert_eq!(target.machine.applied().meta, meta_at(index));
    assert_eq!(target.machine.digest().unwrap(), source.machine.digest().unwrap());
    assert!(
        target.machine.record(&tenant("zeta"), id(START_MS, 1)).unwrap().is_none(),
        "the old state is gone"
    );
    target.restart();
    assert_eq!(target.machine.digest().unwrap(), source.machine.digest().unwrap(), "it is durable");
    let generations: std::collections::BTreeSet<_> = target.store.keys().iter().map(|key| key[2]).collect();
    assert_eq!(generations.len(), 2, "the root and one generation are left");
}

#[test]
fn checkpoints_wait_while_one_is_read() {
    let mut source = full();
    let mut reader = source.machine.snapshot().unwrap();
    reader.next_chunk().unwrap();
    source.start("acme", id(START_MS + 1_000, 1));
    for _ in 0..10 {
        let done = source.machine.checkpoint(&meta_at).unwrap();
        assert_eq!((done.written, done.more), (0, false));
    }
    drop(reader);
    source.write_all();
}

#[test]
fn a_damaged_snapshot_changes_nothing() {
    let source = full();
    let (index, whole) = chunks(&source.machine);
    let before = Bench::new(tight());
    let digest = before.machine.digest().unwrap();
    let mut broken = vec![whole[1..].to_vec(), whole[..whole.len() - 1].to_vec(), Vec::new()];
    let mut flipped = whole.clone();
    let middle = flipped[1].len() / 2;
    flipped[1][middle] ^= 1;
    broken.push(flipped);
    let mut swapped = whole.clone();
    swapped.swap(0, 1);
    broken.push(swapped);
    let mut doubled = whole.clone();
    doubled.push(whole[0].clone());
    broken.push(doubled);
    for chunks in broken {
        let error = before.machine.install(index, &mut chunks.into_iter()).unwrap_err();
        assert!(matches!(error, Error::Snapshot { .. }), "{error:?}");
    }
    assert!(before.machine.install(index + 1, &mut whole.clone().into_iter()).is_err(), "another index");
    assert_eq!(before.machine.digest().unwrap(), digest);
    before.machine.install(index, &mut whole.into_iter()).expect("the right one still fits");
}
