//! A power cut in the middle of writing: of what was written and not synced, some pages are on the disk and others
//! are not, in any order.
//!
//! It is the same model as in `powerloss`, with the lenient half taken away: each page of a database or of the
//! hard state that differs between what was written and what was synced is drawn from the one or the other.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use everstep::storage::{CacheBytes, DataDir, Log, LogEntry, LogOptions, Store, WriteBatch};

use crate::powerloss::{CHILD_DIR, acknowledge, child};
use crate::support::{NODE, copy_dir, entry, wait};

/// What a disk writes whole.
const PAGE_BYTES: usize = 4096;

/// The files that are written in place.
const WRITTEN: [&str; 3] = ["log/db", "state/db", "hard-state"];

/// Power cuts of one directory, unless `TORN_CUTS` says otherwise. Each is a second of copying.
const CUTS: u64 = 12;

/// Syncs before a node that starts has begun to append, at the least.
const SYNCS_OF_A_START: u64 = 8;

fn draw(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Pages that got to the disk without a sync, and pages that did not.
#[derive(Debug, Default, Clone, Copy)]
struct Torn {
    written: usize,
    lost: usize,
}

/// Makes `dir`, as the killed process left it, what the disk holds: the synced `copy`, and some of the pages that
/// were written later.
fn tear(dir: &Path, copy: &Path, seed: u64) -> Torn {
    let written = WRITTEN.map(|name| (name, std::fs::read(dir.join(name)).unwrap_or_default()));
    std::fs::remove_dir_all(dir).unwrap();
    std::fs::create_dir_all(copy).unwrap();
    copy_dir(copy, dir);
    let mut torn = Torn::default();
    for (name, written) in written {
        let at = dir.join(name);
        let Ok(mut synced) = std::fs::read(&at) else { continue };
        synced.resize(synced.len().max(written.len()), 0);
        let differing: Vec<_> = (0..written.len())
            .step_by(PAGE_BYTES)
            .filter(|&from| {
                let to = written.len().min(from + PAGE_BYTES);
                written[from..to] != synced[from..to]
            })
            .collect();
        for (number, from) in differing.iter().enumerate() {
            let to = written.len().min(from + PAGE_BYTES);
            if is_lucky(seed, number, differing.len()) {
                synced[*from..to].copy_from_slice(&written[*from..to]);
                torn.written += 1;
            } else {
                torn.lost += 1;
            }
        }
        std::fs::write(at, synced).unwrap();
    }
    torn
}

/// Whether a page got to the disk: by chance, or as one of the first, or as one of the last.
fn is_lucky(seed: u64, number: usize, pages: usize) -> bool {
    let mut at = seed ^ (number as u64) << 20;
    let share = draw(&mut seed.wrapping_mul(31)) as usize % 101;
    match seed % 4 {
        0 | 1 => draw(&mut at) as usize % 101 < share,
        2 => number * 100 < pages * share,
        _ => number * 100 >= pages * share,
    }
}

/// An entry of 8 to 10 MiB, about as large as one gets.
fn large(index: u64) -> LogEntry {
    let length = (8 << 20) + (index * 377 % 2048) as usize * 1024 + (index % 1024) as usize;
    let mut seed = index;
    let bytes: Vec<_> =
        std::iter::repeat_with(|| draw(&mut seed).to_le_bytes()).take(length / 8 + 1).collect();
    entry(index, 1, &bytes.as_flattened()[..length])
}

/// Not a test by itself: a node that finds what it had, and appends large entries, one or several at a time.
#[test]
fn child_that_appends_large_entries() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let dir = DataDir::open(Path::new(&dir), CacheBytes::default()).unwrap();
    let (log, recovered) = Log::open(LogOptions::new(dir.log.clone(), dir.hard_state.clone(), NODE)).unwrap();
    assert!(!recovered.storage_lost, "{:?}", recovered.losses);
    let purged = recovered.groups.get(&1).and_then(|it| it.purged_index).unwrap_or(0);
    let mut last = purged;
    for entry in log.read(1, 0..u64::MAX).unwrap() {
        last += 1;
        assert!(entry == large(last), "entry {last} is not what was appended");
    }
    acknowledge(last);
    loop {
        let count = 1 + last % 3;
        let entries = (last + 1..=last + count).map(large).collect();
        wait(|done| log.append(1, entries, done)).unwrap();
        last += count;
        acknowledge(last);
        log.purge_through(1, last - 1, vec![1], Box::new(|outcome| outcome.unwrap()));
    }
}

/// Not a test by itself: a node whose state has one record that is as large as an execution gets, and that is
/// written again and again.
#[test]
fn child_that_writes_a_large_record() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let dir = DataDir::open(Path::new(&dir), CacheBytes::default()).unwrap();
    let found = dir.state.get(b"record").unwrap();
    let mut last = found.as_ref().map_or(0, |it| u64::from_le_bytes(*it.first_chunk().unwrap()));
    assert!(found.is_none_or(|it| it == record(last)), "record {last} is not what was written");
    acknowledge(last);
    loop {
        last += 1;
        let mut batch = WriteBatch::new();
        batch.put(b"record", record(last));
        dir.state.write(batch).unwrap();
        dir.state.sync().unwrap();
        acknowledge(last);
    }
}

fn record(number: u64) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend_from_slice(&large(number).bytes.slice(..(1 + number as usize % 7) << 20));
    bytes
}

/// Cuts the power at one sync after the other, and lets the node start from what the last cut left. `TORN_FIRST` says
/// which seed comes first.
fn outlives(test: &str, syncs: impl Fn(u64) -> u64, cuts: u64) {
    let home = tempfile::tempdir().unwrap();
    let (dir, copy) = (home.path().join("dir"), home.path().join("copy"));
    let (mut acknowledged, mut torn) = (0, Torn::default());
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (first, cuts) = (number("TORN_FIRST").unwrap_or(1), number("TORN_CUTS").unwrap_or(cuts));
    for seed in first..first + cuts {
        let kill_at = syncs(seed);
        let output =
            child(test, home.path(), 1).env("POWERLOSS_KILL_AT", kill_at.to_string()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(9), "cut {seed}, at sync {kill_at}: {errors}");
        let text = String::from_utf8_lossy(&output.stdout);
        let mut numbers = text.lines().filter_map(|line| line.strip_prefix("ack ")?.parse::<u64>().ok());
        let found = numbers.next();
        assert!(found.is_none_or(|it| it >= acknowledged), "cut {seed}: {found:?} of {acknowledged}");
        acknowledged = numbers.next_back().or(found).unwrap_or(acknowledged);
        let now = tear(&dir, &copy, seed);
        torn = Torn { written: torn.written + now.written, lost: torn.lost + now.lost };
        std::fs::remove_dir_all(home.path().join("copy.inodes")).unwrap();
    }
    assert!(acknowledged > 0 && torn.written > 0 && torn.lost > 0, "{acknowledged} acknowledged, {torn:?}");
}

#[test]
fn large_entries_survive_power_cuts_in_the_middle_of_a_write() {
    outlives("torn::child_that_appends_large_entries", |seed| SYNCS_OF_A_START + seed * 5 % 17, CUTS);
}

#[test]
fn a_large_record_survives_power_cuts_in_the_middle_of_a_write() {
    outlives("torn::child_that_writes_a_large_record", |seed| SYNCS_OF_A_START + seed * 5 % 17, CUTS);
}

#[test]
fn small_entries_survive_power_cuts_in_the_middle_of_a_write() {
    outlives("powerloss::child_that_starts_again", |seed| 1 + seed * 7 % 60, 3 * CUTS);
}
