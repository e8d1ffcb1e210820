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

/// Some of everything that checkpoints write: rows that go, rows that come, packs that are packed anew.
fn stir(bench: &mut Bench, round: u16) {
    let old = id(START_MS + u64::from(2 * round + 1), 2 * round + 1);
    bench.go_on("acme", old, vec![done(0, 1), completed()]);
    for number in [7 * round, 7 * round + 1] {
        let new = id(START_MS + u64::from(number), 1_000 + number);
        bench.start("acme", new);
        if number % 2 == 0 {
            bench.go_on("acme", new, vec![done(0, 1), completed()]);
        }
    }
    bench.write_all();
}

#[test]
fn one_shows_the_state_it_began_with_while_checkpoints_go_on() {
    for pace in [1, 2, 5] {
        let mut source = full();
        let digest = source.machine.digest().unwrap();
        let mut reader = source.machine.snapshot().unwrap();
        assert_eq!(source.machine.copied_from(), None, "nobody reads it yet");
        let index = reader.index();
        let mut chunks = Vec::new();
        let mut round = 0;
        while let Some(chunk) = reader.next_chunk().unwrap() {
            chunks.push(chunk);
            if chunks.len() % pace == 0 && round < 20 {
                stir(&mut source, round);
                round += 1;
            }
            assert_eq!(source.machine.copied_from(), Some(index));
        }
        assert!(round > 2 && source.machine.durable() > index, "checkpoints went on");
        drop(reader);
        assert_eq!(source.machine.copied_from(), None);
        let target = Bench::new(tight());
        target.machine.install(index, &mut chunks.into_iter()).unwrap();
        assert_eq!(target.machine.digest().unwrap(), digest, "a checkpoint after every {pace} chunks");
    }
}

#[test]
fn checkpoints_wait_for_one_that_is_read_too_slowly() {
    let mut source = Bench { limits: Limits { aside_bytes_max: 1_500, ..tight() }, ..full() };
    source.restart();
    let mut reader = source.machine.snapshot().unwrap();
    reader.next_chunk().unwrap();
    let written = |bench: &Bench| bench.machine.checkpoint(&meta_at).unwrap().written;
    let mut waits = 0;
    for number in 0..100 {
        source.start("acme", id(START_MS + 1_000, number));
        waits += u64::from((0..4).map(|_| written(&source)).sum::<usize>() == 0);
    }
    assert!(waits > 10, "it is full");
    while reader.next_chunk().unwrap().is_some() {}
    source.write_all();
}

#[test]
fn one_ends_when_the_state_is_replaced() {
    let source = full();
    let (index, whole) = chunks(&source.machine);
    let mut reader = source.machine.snapshot().unwrap();
    reader.next_chunk().unwrap();
    source.machine.install(index, &mut whole.into_iter()).unwrap();
    assert!(matches!(reader.next_chunk(), Err(Error::Snapshot { .. })));
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
