//! Real files, a real process, and a power cut: only what was synced is left.
//!
//! The test runs itself again as a child, under a library that keeps a copy of each file as of its last sync. The
//! child is killed in the middle of its work, and the copy is opened.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use everstep::storage::{CacheBytes, DataDir, Log, LogEntry, LogOptions, Store, WriteBatch};

use crate::support::{NODE, copy_dir, open_dir, plain, wait};

/// Set for the child: where to work.
pub(crate) const CHILD_DIR: &str = "EVERSTEP_POWERLOSS_DIR";

/// Set for the child: how many times larger its entries are.
const CHILD_FACTOR: &str = "EVERSTEP_POWERLOSS_FACTOR";

/// So many acknowledgements before the power fails.
const ACKNOWLEDGED_MIN: usize = 300;

/// Power cuts of one directory.
const BOOTS: u64 = 75;

fn library(home: &Path) -> PathBuf {
    let target = home.join("powerloss.so");
    if target.exists() {
        return target;
    }
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/storage/powerloss/powerloss.c");
    let outcome = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&target)
        .args([source, "-ldl", "-lpthread"])
        .status()
        .expect("this test needs a C compiler, cc");
    assert!(outcome.success(), "the library did not compile");
    target
}

/// An entry of the child.
fn sized(index: u64, factor: usize) -> LogEntry {
    let plain = plain(index);
    LogEntry { bytes: plain.bytes.repeat(factor).into(), ..plain }
}

pub(crate) fn child(test: &str, home: &Path, factor: usize) -> Command {
    let dir = home.join("dir");
    std::fs::create_dir_all(&dir).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD_DIR, &dir)
        .env(CHILD_FACTOR, factor.to_string())
        .env("LD_PRELOAD", library(home))
        .env("POWERLOSS_DIR", &dir)
        .env("POWERLOSS_COPY", home.join("copy"))
        .stdout(Stdio::piped());
    command
}

/// Reads acknowledged numbers until there are enough, kills the child, and reads what it still had said.
fn numbers_until_the_power_fails(mut child: Child) -> Vec<u64> {
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let mut numbers = Vec::new();
    for line in stdout.lines() {
        let Some(number) = line.unwrap().strip_prefix("ack ").map(|it| it.parse().unwrap()) else { continue };
        numbers.push(number);
        if numbers.len() == ACKNOWLEDGED_MIN {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    numbers
}

pub(crate) fn acknowledge(number: u64) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "ack {number}").unwrap();
    stdout.flush().unwrap();
}

/// Not a test by itself: the process whose power fails.
#[test]
fn child_that_appends() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let factor = std::env::var(CHILD_FACTOR).unwrap().parse().unwrap();
    let dir = DataDir::open(Path::new(&dir), CacheBytes::default()).unwrap();
    let (log, _) = Log::open(LogOptions::new(dir.log.clone(), dir.hard_state.clone(), NODE)).unwrap();
    wait(|done| log.save_vote(1, b"the vote".to_vec(), done)).unwrap();
    for index in 1.. {
        let done = Box::new(move |outcome: std::io::Result<()>| {
            outcome.unwrap();
            acknowledge(index);
        });
        log.append(1, vec![sized(index, factor)], done);
        if index % 4 == 0 {
            wait(|done| log.sync(done)).unwrap();
        }
        if index % 100 == 0 {
            log.purge_through(1, index - 90, vec![1], Box::new(|outcome| outcome.unwrap()));
        }
    }
}

/// Not a test by itself: a node that finds what it had and goes on.
#[test]
fn child_that_starts_again() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let dir = DataDir::open(Path::new(&dir), CacheBytes::default()).unwrap();
    let (log, recovered) = Log::open(LogOptions::new(dir.log.clone(), dir.hard_state.clone(), NODE)).unwrap();
    assert!(!recovered.storage_lost, "{:?}", recovered.losses);
    let purged = recovered.groups.get(&1).and_then(|it| it.purged_index).unwrap_or(0);
    let found = log.read(1, 0..u64::MAX).unwrap();
    let last = purged + found.len() as u64;
    let expected: Vec<_> = (purged + 1..=last).map(|index| sized(index, 40)).collect();
    assert_eq!(found, expected, "after {purged}");
    acknowledge(last);
    for index in last + 1.. {
        wait(|done| log.append(1, vec![sized(index, 40)], done)).unwrap();
        acknowledge(index);
        dir.state.write(note(index)).unwrap();
        dir.state.sync().unwrap();
        if index % 20 == 0 {
            log.purge_through(1, index - 10, vec![1], Box::new(|outcome| outcome.unwrap()));
        }
    }
}

/// What the child puts into the state: a few keys, written again and again.
fn note(index: u64) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put((index % 50).to_be_bytes().to_vec(), index.to_le_bytes().repeat(500));
    batch
}

/// Not a test by itself: sled, trusted with its own flush.
#[test]
fn child_that_trusts_sled() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let config = sled::Config::new().path(dir).flush_every_ms(None);
    let tree = config.open().unwrap();
    for index in 1_u64.. {
        tree.insert(index.to_be_bytes(), vec![1; 256]).unwrap();
        tree.flush().unwrap();
        acknowledge(index);
    }
}

/// Cuts the power, opens what is left and counts.
fn power_fails(factor: usize) {
    let home = tempfile::tempdir().unwrap();
    let child = child("powerloss::child_that_appends", home.path(), factor).spawn().unwrap();
    let acknowledged = numbers_until_the_power_fails(child);
    assert!(acknowledged.len() >= ACKNOWLEDGED_MIN, "the child gave up after {}", acknowledged.len());
    let last = *acknowledged.last().unwrap();

    let (log, recovered) = open_dir(&home.path().join("copy"));
    assert!(!recovered.storage_lost, "{:?}", recovered.losses);
    let bounds = &recovered.groups[&1];
    assert_eq!(bounds.vote.as_deref(), Some(&b"the vote"[..]));
    let first = bounds.purged_index.unwrap_or(0) + 1;
    assert!(first <= last.saturating_sub(80), "the purge has gone too far: {first}");
    let entries = log.read(1, 0..u64::MAX).unwrap();
    let expected: Vec<_> = (first..=last).map(|index| sized(index, factor)).collect();
    assert!(entries.starts_with(&expected), "{} of {} entries survived", entries.len(), expected.len());
}

#[test]
fn every_acknowledged_entry_survives_a_power_cut() {
    power_fails(1);
}

/// Large entries are kept in pieces, and many segments are written, emptied and used again.
#[test]
fn every_large_acknowledged_entry_survives_a_power_cut() {
    power_fails(100);
}

/// The power fails at one sync after the other, those of a start among them, and each time the node starts from
/// what the last cut left.
#[test]
fn a_node_outlives_many_power_cuts() {
    let home = tempfile::tempdir().unwrap();
    let (dir, copy) = (home.path().join("dir"), home.path().join("copy"));
    let mut acknowledged = 0;
    for boot in 0..BOOTS {
        // Every sync of a start in turn; in between, longer lives.
        let kill_at = if boot % 3 == 2 { 40 + boot * 7 % 90 } else { 1 + boot % 25 };
        let output = child("powerloss::child_that_starts_again", home.path(), 1)
            .env("POWERLOSS_KILL_AT", kill_at.to_string())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(9), "boot {boot}, killed at {kill_at}: {errors}");
        let text = String::from_utf8_lossy(&output.stdout);
        let mut numbers = text.lines().filter_map(|line| line.strip_prefix("ack ")?.parse::<u64>().ok());
        let found = numbers.next();
        assert!(found.is_none_or(|it| it >= acknowledged), "boot {boot}: {found:?} of {acknowledged}");
        acknowledged = numbers.next_back().or(found).unwrap_or(acknowledged);
        std::fs::remove_dir_all(&dir).unwrap();
        std::fs::remove_dir_all(home.path().join("copy.inodes")).unwrap();
        std::fs::create_dir_all(&copy).unwrap();
        copy_dir(&copy, &dir);
    }
    assert!(acknowledged > BOOTS, "{acknowledged}");
}

/// A sync that fails is the end: no second try, and nothing acknowledged that is not on the disk.
#[test]
fn a_failed_sync_ends_the_process() {
    let home = tempfile::tempdir().unwrap();
    let syncs = 60;
    let output = child("powerloss::child_that_appends", home.path(), 1)
        .env("POWERLOSS_EIO_AFTER", syncs.to_string())
        .output()
        .unwrap();
    assert_eq!(output.status.signal(), Some(6), "it aborts: {}", String::from_utf8_lossy(&output.stderr));
    let acknowledged = String::from_utf8_lossy(&output.stdout).matches("ack ").count() as u64;
    assert!(acknowledged > 0 && acknowledged <= 4 * syncs, "{acknowledged} acknowledged");
    let (log, recovered) = open_dir(&home.path().join("copy"));
    assert!(!recovered.storage_lost, "{:?}", recovered.losses);
    let expected: Vec<_> = (1..=acknowledged).map(plain).collect();
    let first = recovered.groups[&1].purged_index.map_or(0, |index| index as usize);
    assert!(log.read(1, 0..u64::MAX).unwrap().starts_with(&expected[first..]));
}

/// The model has teeth: without the sync that storage adds, it finds the loss.
#[test]
fn sled_alone_loses_what_it_flushed() {
    let home = tempfile::tempdir().unwrap();
    let acknowledged = numbers_until_the_power_fails(
        child("powerloss::child_that_trusts_sled", home.path(), 1).spawn().unwrap(),
    );
    assert!(acknowledged.len() >= ACKNOWLEDGED_MIN);
    let copy = home.path().join("copy");
    std::fs::create_dir_all(&copy).unwrap();
    let survived = sled::Config::new().path(&copy).open().unwrap().len();
    assert!(survived < ACKNOWLEDGED_MIN, "{survived} of {} survived", acknowledged.len());
}
