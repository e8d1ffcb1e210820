//! Bits flip, sectors turn to zeros, files lose their end. What is served afterwards is what was written, or it is
//! an error.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use everstep::storage::{
    Direction, Error, Log, LogEntry, MemoryHardState, MemoryStore, Recovered, SledStore, Store, WriteBatch,
    encode_record,
};

use crate::support::{copy_dir, open_dir, options, plain, try_open_dir, wait};

const ENTRIES: u64 = 400;

/// Damages per kind and file, each of which opens a database anew. `EVERSTEP_DAMAGE_CASES` sets another number, and
/// `EVERSTEP_DAMAGE_SEED` other places.
const CASES: u64 = 24;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn filled(path: &Path) {
    let (log, _) = open_dir(path);
    for index in 1..=ENTRIES {
        wait(|done| log.append(1, vec![plain(index)], done)).unwrap();
    }
    wait(|done| log.save_vote(1, b"vote".to_vec(), done)).unwrap();
    log.shutdown();
}

/// A sequence of numbers that looks random and is the same each time.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut it = *state;
    it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    it ^ (it >> 31)
}

#[derive(Debug, Clone, Copy)]
enum Damage {
    Flip,
    Zeros,
    Truncate,
}

fn inflict(file: &Path, damage: Damage, used: usize, seed: &mut u64) {
    let mut bytes = fs::read(file).unwrap();
    let at = (draw(seed) % used.min(bytes.len()) as u64) as usize;
    match damage {
        Damage::Flip => bytes[at] ^= 1 << (draw(seed) % 8),
        Damage::Zeros => {
            let until = bytes.len().min(at / 512 * 512 + 4096);
            bytes[at / 512 * 512..until].fill(0);
        }
        Damage::Truncate => bytes.truncate(at),
    }
    fs::write(file, bytes).unwrap();
}

/// How much of a file is not its unused end.
fn used(file: &Path) -> usize {
    let bytes = fs::read(file).unwrap();
    bytes.iter().rposition(|byte| *byte != bytes[bytes.len() - 1]).map_or(1, |at| at + 1)
}

/// The outcomes that are allowed: an error, a loss that is told, or everything as it was.
fn check(opened: Result<(Log, Recovered), everstep::storage::Error>, context: &str) -> bool {
    let Ok((log, recovered)) = opened else { return true };
    if recovered.storage_lost {
        assert!(wait(|done| log.append(1, vec![plain(ENTRIES + 1)], done)).is_err(), "{context}");
        return true;
    }
    let expected: Vec<LogEntry> = (1..=ENTRIES).map(plain).collect();
    match log.read(1, 0..u64::MAX) {
        Ok(entries) => assert!(entries == expected, "{context}: {} entries served", entries.len()),
        Err(_) => return true,
    }
    assert_eq!(recovered.groups[&1].vote.as_deref(), Some(&b"vote"[..]), "{context}");
    false
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = vec![dir.join("hard-state"), dir.join("log/db"), dir.join("log/conf")];
    let log = fs::read_dir(dir.join("log")).unwrap();
    files.extend(log.map(|it| it.unwrap().path()).filter(|it| it.to_string_lossy().contains("snap.")));
    files
}

fn damage_everywhere(damage: Damage) {
    let home = tempfile::tempdir().unwrap();
    let sound = home.path().join("sound");
    filled(&sound);
    // Opened once more, so that there is a table of pages besides the database file.
    drop(open_dir(&sound));
    let cases = setting("EVERSTEP_DAMAGE_CASES", CASES);
    let mut seed = setting("EVERSTEP_DAMAGE_SEED", 42);
    let mut seen = 0;
    for file in files(&sound) {
        let name = file.strip_prefix(&sound).unwrap();
        let used = used(&file);
        for case in 0..cases {
            let broken = home.path().join("broken");
            copy_dir(&sound, &broken);
            inflict(&broken.join(name), damage, used, &mut seed);
            let context = format!("{damage:?} {case} in {}, seed then {seed}", name.display());
            seen += u64::from(check(try_open_dir(&broken), &context));
            fs::remove_dir_all(&broken).unwrap();
        }
    }
    assert!(seen > cases / 2, "only {seen} damages were seen: the test misses its aim");
}

/// As a kill or a full disk leaves it while the database is opened.
#[test]
fn an_index_that_was_left_half_written_is_no_damage() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("dir");
    filled(&dir);
    drop(open_dir(&dir));
    let index = files(&dir).into_iter().find(|it| it.to_string_lossy().contains("snap.")).unwrap();
    let bytes = fs::read(&index).unwrap();
    for written in [0, 8, bytes.len() / 2] {
        let unfinished = dir.join("log/snap.FFFFFFFFFFFFFFFF.generating");
        fs::write(&unfinished, &bytes[..written]).unwrap();
        assert!(!check(try_open_dir(&dir), "all is there"));
        assert!(!unfinished.exists());
    }
    // As a power cut leaves it between its last byte and its new name.
    fs::rename(&index, dir.join(format!("{}.generating", index.display()))).unwrap();
    assert!(!check(try_open_dir(&dir), "all is there"));
}

#[test]
fn flipped_bits_are_never_served() {
    damage_everywhere(Damage::Flip);
}

#[test]
fn zeroed_sectors_are_never_served() {
    damage_everywhere(Damage::Zeros);
}

#[test]
fn a_file_without_its_end_is_never_served() {
    damage_everywhere(Damage::Truncate);
}

/// The state: many values over many syncs, some replaced. What is read after damage is all of it or an error.
fn damage_state(damage: Damage) {
    let home = tempfile::tempdir().unwrap();
    let sound = home.path().join("sound");
    let mut expected = BTreeMap::new();
    let store = SledStore::open_stamped(&sound, 1 << 22).unwrap();
    for round in 0..300_u32 {
        let mut batch = WriteBatch::new();
        for number in 0..5 {
            let key = (round * 7 + number * 31) % 211;
            let value = round.to_le_bytes().repeat(50 + (key as usize * 13) % 900);
            batch.put(key.to_be_bytes(), value.clone());
            expected.insert(key.to_be_bytes().to_vec(), value);
        }
        store.write(batch).unwrap();
        store.sync().unwrap();
    }
    drop(store);
    let all =
        |store: &SledStore| store.scan(Bound::Unbounded, Bound::Unbounded, Direction::Forward, usize::MAX);
    let (cases, mut seed) = (setting("EVERSTEP_DAMAGE_CASES", CASES), setting("EVERSTEP_DAMAGE_SEED", 42));
    let (mut seen, mut silent) = (0, Vec::new());
    for again in [false, true] {
        let used = used(&sound.join("db"));
        for case in 0..cases {
            let broken = home.path().join("broken");
            copy_dir(&sound, &broken);
            inflict(&broken.join("db"), damage, used, &mut seed);
            match SledStore::open_stamped(&broken, 1 << 22).and_then(|store| all(&store)) {
                Ok(pairs)
                    if pairs.iter().eq(expected
                        .iter()
                        .map(|(a, b)| (a.clone(), b.clone()))
                        .collect::<Vec<_>>()
                        .iter()) => {}
                Ok(pairs) => silent.push((again, case, pairs.len())),
                Err(_) => seen += 1,
            }
            fs::remove_dir_all(&broken).unwrap();
        }
        drop(SledStore::open_stamped(&sound, 1 << 22).unwrap());
    }
    assert!(silent.is_empty(), "{damage:?}: served something else in {silent:?}");
    assert!(seen > cases / 4, "only {seen} damages were seen: the test misses its aim");
}

#[test]
fn a_damaged_state_is_never_served() {
    damage_state(Damage::Flip);
    damage_state(Damage::Zeros);
    damage_state(Damage::Truncate);
}

/// Everything by itself is sound, and yet it is not what was acknowledged.
#[test]
fn a_log_from_yesterday_is_a_loss() {
    let home = tempfile::tempdir().unwrap();
    let (dir, yesterday) = (home.path().join("dir"), home.path().join("yesterday"));
    filled(&dir);
    copy_dir(&dir.join("log"), &yesterday);
    let (log, _) = open_dir(&dir);
    wait(|done| log.append(1, vec![plain(ENTRIES + 1)], done)).unwrap();
    drop(log);
    fs::remove_dir_all(dir.join("log")).unwrap();
    copy_dir(&yesterday, &dir.join("log"));
    let (_, recovered) = open_dir(&dir);
    assert_eq!(recovered.losses.len(), 1);
    assert_eq!((recovered.losses[0].group, recovered.losses[0].index), (Some(1), Some(ENTRIES + 1)));
}

#[test]
fn a_state_from_yesterday_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let (live, yesterday) = (home.path().join("live"), home.path().join("yesterday"));
    drop(SledStore::open_stamped(&live, 1 << 22).unwrap());
    copy_dir(&live, &yesterday);
    let store = SledStore::open_stamped(&live, 1 << 22).unwrap();
    store.sync().unwrap();
    drop(store);
    drop(SledStore::open_stamped(&live, 1 << 22).unwrap());
    fs::copy(live.join("synced"), yesterday.join("synced")).unwrap();
    let refused = SledStore::open_stamped(&yesterday, 1 << 22).unwrap_err();
    assert!(matches!(refused, Error::Corrupt { .. }), "{refused}");
}

#[test]
fn a_missing_log_or_a_missing_hard_state_is_a_loss() {
    for missing in ["log", "hard-state"] {
        let home = tempfile::tempdir().unwrap();
        filled(home.path());
        let path = home.path().join(missing);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
        let (log, recovered) = open_dir(home.path());
        assert!(recovered.storage_lost, "{missing}");
        drop(log);
        let (_, again) = open_dir(home.path());
        assert!(again.storage_lost, "{missing}: a loss stays a loss");
    }
}

/// A filled log in memory, changed by `change`, and what it says then.
fn reopened(change: impl FnOnce(&MemoryStore, &MemoryHardState)) -> Recovered {
    let (store, hard_state) = (MemoryStore::new(), MemoryHardState::new());
    let (log, _) = Log::open(options(Arc::new(store.clone()), Arc::new(hard_state.clone()))).unwrap();
    wait(|done| log.append(1, (1..=20).map(plain).collect(), done)).unwrap();
    log.shutdown();
    change(&store, &hard_state);
    let (log, recovered) = Log::open(options(Arc::new(store), Arc::new(hard_state))).unwrap();
    if !recovered.storage_lost {
        wait(|done| log.append(1, vec![plain(recovered.groups[&1].last.unwrap() + 1)], done)).unwrap();
    }
    recovered
}

fn key(index: u64) -> Vec<u8> {
    [&b"l\0\x01"[..], &index.to_be_bytes()].concat()
}

#[test]
fn a_hole_a_swap_and_a_wrong_byte_are_told_with_their_place() {
    let hole = reopened(|store, _| {
        let mut batch = WriteBatch::new();
        batch.delete(key(7));
        store.write(batch).unwrap();
    });
    assert_eq!((hole.losses[0].index, hole.losses[0].what.as_str()), (Some(7), "hole in the log"));

    let wrong = reopened(|store, _| assert!(store.corrupt(&key(9), |bytes| bytes[40] ^= 1)));
    assert_eq!(wrong.losses[0].to_string(), "group 1, index 9: record with a wrong checksum");

    let swapped = reopened(|store, _| {
        let (a, b) = (store.get(&key(4)).unwrap().unwrap(), store.get(&key(5)).unwrap().unwrap());
        let mut batch = WriteBatch::new();
        batch.put(key(4), b);
        batch.put(key(5), a);
        store.write(batch).unwrap();
    });
    assert_eq!(swapped.losses[0].to_string(), "group 1, index 4: record in the wrong place");

    let short = reopened(|store, _| {
        let mut batch = WriteBatch::new();
        batch.delete(key(20));
        store.write(batch).unwrap();
    });
    assert_eq!(short.losses[0].index, Some(20));

    let forgotten = reopened(|_, hard_state| hard_state.damage());
    assert!(forgotten.storage_lost);
}

#[test]
fn a_record_from_an_earlier_life_breaks_the_chain() {
    let recovered = reopened(|store, _| {
        let mut batch = WriteBatch::new();
        batch.put(key(6), encode_record(1, &plain(6), 12345).0);
        store.write(batch).unwrap();
    });
    assert_eq!(recovered.losses[0].to_string(), "group 1, index 6: broken chain");
}

#[test]
fn an_end_that_nobody_was_told_about_is_cut() {
    let recovered = reopened(|store, _| {
        let mut batch = WriteBatch::new();
        batch.put(key(21), encode_record(1, &plain(21), 0).0);
        batch.put(key(22), "half a record");
        batch.put(key(300), "another");
        store.write(batch).unwrap();
    });
    assert!(recovered.cut_torn_tail);
    assert_eq!((recovered.losses, recovered.groups[&1].last), (Vec::new(), Some(20)));
}
