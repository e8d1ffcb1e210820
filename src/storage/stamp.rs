//! How often a database was synced, noted beside it.
//!
//! ```text
//! DIR/synced    number of syncs u64 | CRC32C u32, little-endian
//! ```
//!
//! The database counts its syncs in itself. After each, the number is written here, so this file is never ahead of
//! what is durable; a database that is behind it has lost something. The file is synced when it is made, and not by
//! itself later: after a power cut it may be old, and then it says less, never more. One that cannot be read was damaged:
//! [`super::verify()`] says so, and the next sync writes it anew.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Error, Result};

/// The name of the file.
const NAME: &str = "synced";
const BYTES: usize = 12;

/// The count of one open database.
#[derive(Debug)]
pub(super) struct Stamp {
    file: File,
    syncs: u64,
}

/// What is found beside a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    Missing,
    Damaged,
    Syncs(u64),
}

/// Reads what is noted beside the database in `path`, which counts `found` syncs itself.
///
/// Errors: `Corrupt` if the file knows of more; `Open`.
pub(super) fn check(path: &Path, found: u64) -> Result<Noted> {
    let noted = read(path)?;
    if let Noted::Syncs(noted) = noted
        && noted > found
    {
        let place = format!("sync {found} of {noted}: what came later is gone");
        return Err(Error::corrupt(format!("the database {}", path.display()), place));
    }
    Ok(noted)
}

/// What is noted beside the database in `path`.
///
/// Errors: `Open`.
pub(super) fn read(path: &Path) -> Result<Noted> {
    let at = path.join(NAME);
    let bytes = match std::fs::read(&at) {
        Ok(bytes) => bytes,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(Noted::Missing),
        Err(source) => return Err(Error::Open { path: at, source }),
    };
    Ok(<[u8; BYTES]>::try_from(bytes).ok().and_then(parse).map_or(Noted::Damaged, Noted::Syncs))
}

impl Stamp {
    /// Opens the file of the database in `path`, which counts `found` syncs itself, or makes it.
    ///
    /// Errors: `Corrupt` if the file knows of more; `Open`.
    pub(super) fn open(path: &Path, found: u64) -> Result<Self> {
        let noted = check(path, found)?;
        let at = path.join(NAME);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&at).map_err(Error::open(&at))?;
        let stamp = Self { file, syncs: found };
        if noted == Noted::Damaged {
            tracing::warn!(path = %at.display(), "the count of syncs is damaged, and written anew");
            stamp.file.set_len(0).map_err(Error::open(&at))?;
        }
        if !matches!(noted, Noted::Syncs(_)) {
            // Before the database counts anything, so that what cannot be read later is damage and nothing else.
            stamp.note()?;
            stamp.file.sync_all().map_err(Error::open(&at))?;
            File::open(path).and_then(|it| it.sync_all()).map_err(Error::open(path))?;
        }
        Ok(stamp)
    }

    /// The number of the sync that begins.
    pub(super) fn next(&mut self) -> u64 {
        self.syncs += 1;
        self.syncs
    }

    /// The sync is done.
    pub(super) fn note(&self) -> Result<()> {
        let number = self.syncs.to_le_bytes();
        let crc = crc32c::crc32c(&number).to_le_bytes();
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&number);
        bytes[8..].copy_from_slice(&crc);
        self.file.write_all_at(&bytes, 0).map_err(Error::io("note a sync"))
    }
}

fn parse(bytes: [u8; BYTES]) -> Option<u64> {
    let (number, crc) = bytes.split_first_chunk::<8>()?;
    (crc32c::crc32c(number).to_le_bytes() == crc).then(|| u64::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_cannot_be_read_is_told_and_written_anew() {
        let home = tempfile::tempdir().unwrap();
        let at = home.path().join(NAME);
        assert_eq!(read(home.path()).unwrap(), Noted::Missing);
        let mut stamp = Stamp::open(home.path(), 0).unwrap();
        assert_eq!(read(home.path()).unwrap(), Noted::Syncs(0));
        stamp.next();
        stamp.note().unwrap();
        let sound = std::fs::read(&at).unwrap();
        for place in 0..BYTES {
            let mut flipped = sound.clone();
            flipped[place] ^= 4;
            for damaged in [&flipped[..], &sound[..place]] {
                std::fs::write(&at, damaged).unwrap();
                assert_eq!(read(home.path()).unwrap(), Noted::Damaged);
                drop(Stamp::open(home.path(), 1).unwrap());
                assert_eq!(read(home.path()).unwrap(), Noted::Syncs(1));
            }
        }
        assert!(matches!(check(home.path(), 0), Err(Error::Corrupt { .. })), "the database is behind it");
    }
}
