//! Both stores keep the same promises.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;

use everstep::storage::{
    Direction, Error, KEY_BYTES_MAX, MemoryStore, PIECE_BYTES_MAX, Pair, SledStore, Store, VALUE_BYTES_MAX,
    WriteBatch,
};
use proptest::prelude::*;

const CACHE_BYTES: u64 = 4 * 1024 * 1024;

fn put(store: &dyn Store, key: &[u8], value: &[u8]) {
    let mut batch = WriteBatch::new();
    batch.put(key, value);
    store.write(batch).unwrap();
}

fn all(store: &dyn Store) -> Vec<Pair> {
    store.scan(Bound::Unbounded, Bound::Unbounded, Direction::Forward, usize::MAX).unwrap()
}

fn check_scans(store: &dyn Store) {
    for key in [&b"a"[..], b"b", b"ba", b"c", b"\xff\xff", b""] {
        put(store, key, key);
    }
    let keys = |from, to, direction, limit| -> Vec<Vec<u8>> {
        store.scan(from, to, direction, limit).unwrap().into_iter().map(|(key, _)| key).collect()
    };
    let (b, c) = (&b"b"[..], &b"c"[..]);
    assert_eq!(keys(Bound::Included(b), Bound::Excluded(c), Direction::Forward, 9), [&b"b"[..], b"ba"]);
    assert_eq!(keys(Bound::Excluded(b), Bound::Included(c), Direction::Backward, 9), [&b"c"[..], b"ba"]);
    assert_eq!(keys(Bound::Unbounded, Bound::Unbounded, Direction::Backward, 1), [&b"\xff\xff"[..]]);
    assert_eq!(keys(Bound::Unbounded, Bound::Included(b"a"), Direction::Forward, 9), [&b""[..], b"a"]);
    assert!(keys(Bound::Included(c), Bound::Excluded(b), Direction::Forward, 9).is_empty());
    assert!(keys(Bound::Excluded(b), Bound::Excluded(b), Direction::Forward, 9).is_empty());
    let mut batch = WriteBatch::new();
    batch.put("d", "1");
    batch.put("d", "2");
    batch.put("e", "3");
    batch.delete("e");
    batch.delete("a");
    store.write(batch).unwrap();
    assert_eq!(store.get(b"d").unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!((store.get(b"e").unwrap(), store.get(b"a").unwrap()), (None, None));
}

#[test]
fn scans_respect_bounds_directions_and_limits() {
    let home = tempfile::tempdir().unwrap();
    check_scans(&MemoryStore::new());
    check_scans(&SledStore::open(home.path(), CACHE_BYTES).unwrap());
}

fn side_files(path: &Path) -> usize {
    std::fs::read_dir(path.join("blobs")).unwrap().count()
}

#[test]
fn no_value_of_any_size_gets_a_file_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    let store = SledStore::open(home.path(), CACHE_BYTES).unwrap();
    // The longest keys and the largest pieces together make the largest leaves.
    for round in 0..3_usize {
        for number in 0..60_usize {
            let mut key = vec![b'k'; KEY_BYTES_MAX];
            key[number] = number as u8;
            put(&store, &key, &vec![round as u8; PIECE_BYTES_MAX]);
            put(&store, &number.to_be_bytes(), &vec![round as u8; (round + number) * 9_000]);
        }
        store.sync().unwrap();
        assert_eq!(side_files(home.path()), 0, "round {round}");
    }
    drop(store);
    let store = SledStore::open(home.path(), CACHE_BYTES).unwrap();
    assert_eq!(side_files(home.path()), 0);
    assert_eq!(all(&store).len(), 120);
    for number in 0..60_usize {
        assert_eq!(store.get(&number.to_be_bytes()).unwrap(), Some(vec![2; (2 + number) * 9_000]));
    }
}

#[test]
fn a_value_beyond_the_limit_is_refused_whole() {
    let home = tempfile::tempdir().unwrap();
    let store = SledStore::open(home.path(), CACHE_BYTES).unwrap();
    let mut batch = WriteBatch::new();
    batch.put("small", "value");
    batch.put("large", vec![0; VALUE_BYTES_MAX + 1]);
    assert!(matches!(store.write(batch), Err(Error::TooLarge { .. })));
    assert_eq!(all(&store), []);
    let mut batch = WriteBatch::new();
    batch.put(vec![0; KEY_BYTES_MAX + 1], "value");
    assert!(matches!(store.write(batch), Err(Error::TooLarge { .. })));
}

#[test]
fn what_was_not_synced_may_be_lost_and_what_was_is_not() {
    let store = MemoryStore::new();
    put(&store, b"a", b"1");
    store.sync().unwrap();
    put(&store, b"a", b"2");
    put(&store, b"b", b"2");
    store.lose_unsynced_after(1);
    assert_eq!(all(&store), [(b"a".to_vec(), b"2".to_vec())]);
    put(&store, b"a", b"3");
    store.lose_unsynced();
    assert_eq!(all(&store), [(b"a".to_vec(), b"2".to_vec())]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Random batches with small and large values, restarts in between, against a map.
    #[test]
    fn sled_agrees_with_a_map(
        batches in prop::collection::vec(
            prop::collection::vec((0_u8..20, prop::option::of(0_usize..80_000)), 1..6), 1..12),
        restarts in prop::collection::vec(any::<bool>(), 12),
    ) {
        let home = tempfile::tempdir().unwrap();
        let mut store = SledStore::open(home.path(), CACHE_BYTES).unwrap();
        let mut map = BTreeMap::new();
        for (batch, restart) in batches.into_iter().zip(restarts) {
            let mut write = WriteBatch::new();
            for (key, length) in batch {
                let key = vec![key; 3];
                match length {
                    Some(length) => {
                        let value: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
                        write.put(key.clone(), value.clone());
                        map.insert(key, value);
                    }
                    None => {
                        write.delete(key.clone());
                        map.remove(&key);
                    }
                }
            }
            store.write(write).unwrap();
            if restart {
                store.sync().unwrap();
                drop(store);
                store = SledStore::open(home.path(), CACHE_BYTES).unwrap();
            }
            let expected: Vec<_> = map.clone().into_iter().collect();
            prop_assert!(all(&store) == expected);
        }
        prop_assert_eq!(side_files(home.path()), 0);
    }
}
