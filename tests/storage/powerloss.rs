//! Real files, a real process, and a power cut: only what was synced is left.
//!
//! The test runs itself again as a child, under a library that keeps a copy of each file as of its last sync. The
//! child is killed in the middle of its work, and the copy is opened.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use everstep::storage::LogEntry;

use crate::support::{open_dir, plain, wait};

/// Set for the child: where to work.
const CHILD_DIR: &str = "EVERSTEP_POWERLOSS_DIR";

/// Set for the child: how many times larger its entries are.
const CHILD_FACTOR: &str = "EVERSTEP_POWERLOSS_FACTOR";

/// So many acknowledgements before the power fails.
const ACKNOWLEDGED_MIN: usize = 300;

fn library(home: &Path) -> PathBuf {
    let target = home.join("powerloss.so");
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

fn spawn(test: &str, home: &Path, factor: usize) -> Child {
    let dir = home.join("dir");
    std::fs::create_dir_all(&dir).unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD_DIR, &dir)
        .env(CHILD_FACTOR, factor.to_string())
        .env("LD_PRELOAD", library(home))
        .env("POWERLOSS_DIR", &dir)
        .env("POWERLOSS_COPY", home.join("copy"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
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

fn acknowledge(number: u64) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "ack {number}").unwrap();
    stdout.flush().unwrap();
}

/// Not a test by itself: the process whose power fails.
#[test]
fn child_that_appends() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let factor = std::env::var(CHILD_FACTOR).unwrap().parse().unwrap();
    let (log, _) = open_dir(Path::new(&dir));
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
    let child = spawn("powerloss::child_that_appends", home.path(), factor);
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

/// The model has teeth: without the sync that storage adds, it finds the loss.
#[test]
fn sled_alone_loses_what_it_flushed() {
    let home = tempfile::tempdir().unwrap();
    let acknowledged =
        numbers_until_the_power_fails(spawn("powerloss::child_that_trusts_sled", home.path(), 1));
    assert!(acknowledged.len() >= ACKNOWLEDGED_MIN);
    let copy = home.path().join("copy");
    std::fs::create_dir_all(&copy).unwrap();
    let survived = sled::Config::new().path(&copy).open().unwrap().len();
    assert!(survived < ACKNOWLEDGED_MIN, "{survived} of {} survived", acknowledged.len());
}
