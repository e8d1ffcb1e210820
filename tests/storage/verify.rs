//! `verify` says what is wrong and where, and nothing else.

use std::path::Path;

use everstep::storage::codec::{self, Kind};
use everstep::storage::{
    CacheBytes, DataDir, Error, Identity, Log, Marks, Store, VerifyReport, WriteBatch, is_in_use,
};

use crate::support::{options, plain, wait};

fn verify(path: &Path) -> Result<VerifyReport, Error> {
    everstep::storage::verify(path, &std::env::temp_dir())
}

fn filled(path: &Path, change: impl FnOnce(&DataDir)) {
    let dir = DataDir::open(path, CacheBytes::default()).unwrap();
    let (log, _) = Log::open(options(dir.log.clone(), dir.hard_state.clone())).unwrap();
    wait(|done| log.append(1, (1..=50).map(plain).collect(), done)).unwrap();
    wait(|done| log.purge_through(1, 10, Vec::new(), done)).unwrap();
    log.shutdown();
    let mut batch = WriteBatch::new();
    for number in 0..200_u32 {
        batch.put(number.to_be_bytes(), codec::encode(Kind(100), 1, &number));
    }
    dir.state.write(batch).unwrap();
    change(&dir);
    dir.log.sync().unwrap();
    dir.state.sync().unwrap();
}

fn put(store: &dyn Store, key: &[u8], value: &[u8]) {
    let mut batch = WriteBatch::new();
    batch.put(key, value);
    store.write(batch).unwrap();
}

fn places(report: &VerifyReport) -> Vec<&str> {
    report.problems.iter().map(|problem| problem.place.as_str()).collect()
}

#[test]
fn a_sound_directory_is_ok_and_stays_so() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path(), |_| {});
    for _ in 0..2 {
        let report = verify(home.path()).unwrap();
        assert!(report.ok, "{:?}", report.problems);
        assert_eq!((report.format, report.node, report.boots), (Some(1), Some(7), Some(1)));
        let group = &report.groups[&1];
        assert_eq!((group.first, group.last, group.purged), (Some(11), Some(50), Some(10)));
        assert_eq!((group.durable, group.torn_from), (Some(50), None));
        assert_eq!(report.state_values, 200);
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<VerifyReport>(&text).unwrap(), report);
    }
}

#[test]
fn each_problem_has_its_place() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path(), |dir| {
        let mut damaged = dir.state.get(&77_u32.to_be_bytes()).unwrap().unwrap();
        *damaged.last_mut().unwrap() ^= 1;
        put(dir.state.as_ref(), &77_u32.to_be_bytes(), &damaged);
        put(dir.state.as_ref(), b"raw/1", b"not an envelope");
        put(dir.log.as_ref(), &[&b"l\0\x01"[..], &30_u64.to_be_bytes()].concat(), b"no record");
    });
    let report = everstep::storage::verify_with(home.path(), &std::env::temp_dir(), &[b"raw/"]).unwrap();
    assert!(!report.ok);
    assert_eq!(places(&report), ["log", "state, key \\x00\\x00\\x00M"]);
    assert!(report.problems[0].what.starts_with("group 1, index 30: "), "{:?}", report.problems);
    assert!(verify(home.path()).unwrap().problems.iter().any(|it| it.place == "state, key raw/1"));
}

#[test]
fn a_damaged_hard_state_is_told() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path(), |_| {});
    let path = home.path().join("hard-state");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[26] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(places(&verify(home.path()).unwrap()), ["hard-state"]);
    bytes[65536 + 26] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(places(&verify(home.path()).unwrap()), ["hard-state"]);
}

#[test]
fn a_damaged_hint_count_or_identity_is_told_and_stays() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path(), |dir| dir.keep_identity(&identity()).unwrap());
    assert!(verify(home.path()).unwrap().ok);
    // The hint is the third slot of the hard state.
    for (file, at, place) in [
        ("hard-state", 2 * 65536 + 25, "hard-state"),
        ("state/synced", 3, "state, synced"),
        ("identity", 30, "identity"),
    ] {
        let path = home.path().join(file);
        let sound = std::fs::read(&path).unwrap();
        let mut damaged = sound.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        for _ in 0..2 {
            assert_eq!(places(&verify(home.path()).unwrap()), [place]);
        }
        std::fs::write(&path, &sound).unwrap();
    }
    let mut refused = identity();
    refused.lost = Some("an older copy".to_owned());
    DataDir::open(home.path(), CacheBytes::default()).unwrap().keep_identity(&refused).unwrap();
    let report = verify(home.path()).unwrap();
    assert_eq!((report.ok, report.refused.as_deref()), (true, Some("an older copy")));
    std::fs::remove_file(home.path().join("state/synced")).unwrap();
    assert_eq!(places(&verify(home.path()).unwrap()), ["state, synced"]);
}

fn identity() -> Identity {
    let (cluster, incarnation) = ("everstep".to_owned(), "1f".to_owned());
    let mut identity = Identity {
        cluster,
        node: 7,
        partitions: 4,
        incarnation,
        formed: true,
        members: [].into(),
        marks: Marks::default(),
        boot: 0,
        lost: None,
    };
    identity.marks.begin(9);
    identity
}

#[test]
fn a_format_is_the_number_of_a_release() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path(), |_| {});
    for text in [&b"0\n"[..], b"", b"1\x0b", b"one\n", b"\0\0", b"\xb1\n"] {
        std::fs::write(home.path().join("format"), text).unwrap();
        assert_eq!(places(&verify(home.path()).unwrap()), ["format"], "{text:?}");
        assert!(matches!(DataDir::open(home.path(), CacheBytes::default()), Err(Error::Corrupt { .. })));
    }
}

#[test]
fn a_directory_in_use_and_one_that_is_not_there_are_refused() {
    let home = tempfile::tempdir().unwrap();
    assert!(matches!(verify(&home.path().join("none")), Err(Error::Open { .. })));
    let dir = DataDir::open(home.path(), CacheBytes::default()).unwrap();
    assert!(matches!(verify(home.path()), Err(Error::Locked { .. })));
    assert!(is_in_use(home.path()));
    drop(dir);
    assert!(!is_in_use(home.path()) && !is_in_use(&home.path().join("none")));
}

/// As while another thread of this process starts a program, which has the lock too until it runs.
#[test]
fn a_lock_that_is_let_go_of_in_a_moment_is_waited_for() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path(), |_| {});
    let lock = std::fs::File::open(home.path().join("lock")).unwrap();
    lock.lock().unwrap();
    let other = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        drop(lock);
    });
    assert!(verify(home.path()).unwrap().ok);
    other.join().unwrap();
}

#[test]
fn a_file_in_place_of_a_directory_is_told_as_such() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = DataDir::open(file.path(), CacheBytes::default()).unwrap_err();
    let Error::Open { source, .. } = refused else { panic!("{refused}") };
    assert_eq!(source.kind(), std::io::ErrorKind::NotADirectory);
}

fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_foreign_directory_is_told_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(places(&verify(home.path()).unwrap()), ["format"]);
    assert_eq!(names(home.path()), [""; 0]);
    std::fs::write(home.path().join("novel.txt"), "It was a dark night.").unwrap();
    let report = verify(home.path()).unwrap();
    assert!(!report.ok && report.problems[0].what.contains("no data directory"), "{:?}", report.problems);
    assert_eq!(names(home.path()), ["novel.txt"]);
}

#[test]
fn a_missing_format_is_a_finding_and_the_rest_is_looked_at() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path(), |_| {});
    std::fs::remove_file(home.path().join("format")).unwrap();
    std::fs::remove_file(home.path().join("lock")).unwrap();
    let report = verify(home.path()).unwrap();
    assert_eq!(places(&report), ["format"]);
    assert_eq!((report.ok, report.state_values), (false, 200));
    assert_eq!(names(home.path()), ["hard-state", "log", "state"]);
}

#[test]
fn nobody_else_reads_a_data_directory() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("deep/data");
    let mode = |part: &str| std::fs::metadata(path.join(part)).unwrap().permissions().mode() & 0o777;
    let check = || {
        for dir in ["", "log", "state"] {
            assert_eq!(mode(dir), 0o700, "{dir}");
        }
        for file in ["format", "lock", "hard-state", "log/db", "log/conf", "state/db", "state/synced"] {
            assert_eq!(mode(file), 0o600, "{file}");
        }
    };
    filled(&path, |_| check());
    for open in ["hard-state", "state/db"] {
        std::fs::set_permissions(path.join(open), std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    drop(DataDir::open(&path, CacheBytes::default()).unwrap());
    check();
}
