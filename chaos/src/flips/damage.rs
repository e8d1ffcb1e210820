//! What a medium does to a file over the years: bits flip, blocks turn to zeros, ends are gone.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::seed::Random;

/// What a disk loses at once.
const BLOCK_BYTES: [usize; 2] = [512, 4096];
/// The most bits that flip.
const BITS_MAX: u64 = 8;
/// A database is most of what there is, so it is hit so often as the other files together.
const DATABASE_WEIGHT: usize = 4;
/// How often a damage is drawn until it changes something.
const DRAWS_MAX: usize = 1000;

/// A kind of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Flip,
    Zeros,
    Truncate,
}

/// A damage that was done.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Damage {
    /// Below the data directory.
    pub(crate) file: PathBuf,
    pub(crate) kind: Kind,
    /// Where, in bytes.
    pub(crate) at: Vec<usize>,
    /// How long the file was.
    pub(crate) bytes: usize,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in {} at {:?} of {} bytes", self.kind, self.file.display(), self.at, self.bytes)
    }
}

/// Damages one file below `data`, so that it is another than it was.
pub(crate) fn inflict(data: &Path, random: &mut Random) -> Result<Damage> {
    let files = files(data)?;
    ensure!(!files.is_empty(), "{} holds nothing", data.display());
    let weighted = files.iter().flat_map(|file| {
        let weight = if file.ends_with("db") { DATABASE_WEIGHT } else { 1 };
        std::iter::repeat_n(file, weight)
    });
    let file = (*random.choice(&weighted.collect::<Vec<_>>())).clone();
    let at = data.join(&file);
    let before = std::fs::read(&at).with_context(|| format!("read {}", at.display()))?;
    let kind = *random.choice(&[Kind::Flip, Kind::Zeros, Kind::Truncate]);
    for _ in 0..DRAWS_MAX {
        let mut after = before.clone();
        let places = change(&mut after, kind, random);
        if after != before {
            let written = std::fs::File::create(&at).and_then(|mut file| {
                std::io::Write::write_all(&mut file, &after)?;
                file.sync_all()
            });
            written.with_context(|| format!("damage {}", at.display()))?;
            return Ok(Damage { file, kind, at: places, bytes: before.len() });
        }
    }
    anyhow::bail!("no {kind:?} changes {}", at.display())
}

/// Changes what was read; where.
fn change(bytes: &mut Vec<u8>, kind: Kind, random: &mut Random) -> Vec<usize> {
    match kind {
        Kind::Flip => {
            let mut places = Vec::new();
            for _ in 0..=random.below(BITS_MAX) {
                let place = somewhere(bytes, random);
                bytes[place] ^= 1 << random.below(8);
                places.push(place);
            }
            places
        }
        Kind::Zeros => {
            let block = *random.choice(&BLOCK_BYTES);
            let from = somewhere(bytes, random) / block * block;
            let until = bytes.len().min(from + block);
            bytes[from..until].fill(0);
            vec![from]
        }
        Kind::Truncate => {
            let place = somewhere(bytes, random);
            bytes.truncate(place);
            vec![place]
        }
    }
}

/// A place in a file; every other time one that is not a zero, as files have much room that is not in use.
fn somewhere(bytes: &[u8], random: &mut Random) -> usize {
    let any = |random: &mut Random| usize::try_from(random.below(bytes.len() as u64)).unwrap_or(0);
    let place = any(random);
    if random.once_in(2) {
        return place;
    }
    let used = (0..DRAWS_MAX).map(|_| any(random)).find(|place| bytes[*place] != 0);
    used.unwrap_or(place)
}

/// Every file that holds something, below `dir`, in one order, so that a seed finds it again.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut left) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(part) = left.pop() {
        let at = dir.join(&part);
        for entry in std::fs::read_dir(&at).with_context(|| format!("look into {}", at.display()))? {
            let entry = entry?;
            let name = part.join(entry.file_name());
            match entry.metadata()? {
                facts if facts.is_dir() => left.push(name),
                facts if facts.len() > 0 => files.push(name),
                // A lock is empty.
                _ => {}
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damage_changes_one_file_and_a_seed_repeats_it() {
        let home = tempfile::tempdir().expect("a directory");
        let make = |name: &str| {
            let dir = home.path().join(name);
            std::fs::create_dir_all(dir.join("log")).expect("a directory");
            std::fs::write(dir.join("lock"), "").expect("a file");
            std::fs::write(dir.join("format"), "1\n").expect("a file");
            std::fs::write(dir.join("log/db"), [[7; 600], [0; 600]].concat()).expect("a file");
            dir
        };
        for seed in 0..50 {
            let (dir, other) = (make("a"), make("b"));
            let damage = inflict(&dir, &mut Random::new(seed)).expect("it is damaged");
            let again = inflict(&other, &mut Random::new(seed)).expect("it is damaged");
            assert_eq!(damage.to_string(), again.to_string());
            let read = |dir: &Path, file: &str| std::fs::read(dir.join(file)).expect("it is there");
            let sound = make("c");
            for file in ["lock", "format", "log/db"] {
                assert_eq!(read(&dir, file), read(&other, file));
                assert_eq!(
                    read(&dir, file) != read(&sound, file),
                    damage.file == Path::new(file),
                    "{damage}"
                );
            }
        }
    }
}
