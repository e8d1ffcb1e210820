//! How often a database was synced, noted beside it.
//!
//! ```text
//! DIR/synced    number of syncs u64 | CRC32C u32, little-endian
//! ```
//!
//! The database counts its syncs in itself. After each, the number is written here, so this file is never ahead of
//! what is durable; a database that is behind it has lost something. The file is not synced by itself: after a
//! power cut it may be old or torn, and then it says less, never more.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Error, Result};

const BYTES: usize = 12;

/// The count of one open database.
#[derive(Debug)]
pub(super) struct Stamp {
    file: File,
    syncs: u64,
}

impl Stamp {
    /// Opens the file of the database in `path`, which counts `found` syncs itself.
    ///
    /// Errors: `Corrupt` if the file knows of more; `Open`.
    pub(super) fn open(path: &Path, found: u64) -> Result<Self> {
        let at = path.join("synced");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&at).map_err(Error::open(&at))?;
        let mut bytes = [0; BYTES];
        let noted = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => parse(bytes),
            Err(_) => None,
        };
        if let Some(noted) = noted
            && noted > found
        {
            let place = format!("sync {found} of {noted}: what came later is gone");
            return Err(Error::corrupt(format!("the database {}", path.display()), place));
        }
        Ok(Self { file, syncs: found })
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
