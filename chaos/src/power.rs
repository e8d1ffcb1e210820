//! Power loss: a kill after which the disk holds only what had been synced.
//!
//! A library that is preloaded into the node keeps a second copy of the data directory, into which a file gets
//! as it is at each successful sync. When the node is killed, the copy takes the place of the directory: what
//! was written and not synced is gone, as it would be after a real power cut.
//!
//! Caveat: the copy is made with the same calls that are tested, and one sync copies the whole file, so a
//! node under it is much slower.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::files;
use crate::preload::{self, PRELOAD};

/// The library; the storage tests use the same one.
const SOURCE: &str = include_str!("../../tests/storage/powerloss/powerloss.c");

/// The model of a power cut for one data directory.
#[derive(Debug, Clone)]
pub(crate) struct Power {
    library: PathBuf,
    real: PathBuf,
    copy: PathBuf,
}

impl Power {
    /// Builds the library in `dir`.
    pub(crate) fn new(dir: &Path, data_dir: &Path) -> Result<Self> {
        let library = preload::build(dir, "powerloss", SOURCE)?;
        Ok(Self { library, real: data_dir.to_owned(), copy: dir.join("synced") })
    }

    /// What the node's environment needs.
    pub(crate) fn environment(&self) -> [(&'static str, &Path); 3] {
        [(PRELOAD, &self.library), ("POWERLOSS_DIR", &self.real), ("POWERLOSS_COPY", &self.copy)]
    }

    /// After the kill: the disk is what was synced. How many bytes of it were not.
    pub(crate) fn cut(&self) -> Result<u64> {
        let mut lost = 0;
        if self.real.exists() {
            lost = differing(&self.real, &self.copy)?;
            std::fs::remove_dir_all(&self.real)?;
        }
        if self.copy.exists() {
            files::copy(&self.copy, &self.real).context("put back what was synced")?;
        }
        // They belong to files that are no more; those put back may have got their numbers.
        let inodes = self.copy.with_extension("inodes");
        if inodes.exists() {
            std::fs::remove_dir_all(inodes)?;
        }
        Ok(lost)
    }
}

/// How many bytes of the files of a directory are not, or differently, in its copy.
fn differing(real: &Path, copy: &Path) -> Result<u64> {
    let mut count = 0;
    for entry in std::fs::read_dir(real)? {
        let entry = entry?.path();
        let other = copy.join(entry.file_name().unwrap_or_default());
        if entry.is_dir() {
            count += differing(&entry, &other)?;
            continue;
        }
        let (bytes, kept) = (std::fs::read(&entry)?, std::fs::read(&other).unwrap_or_default());
        let same = bytes.iter().zip(&kept).filter(|(a, b)| a == b).count();
        count += (bytes.len() - same) as u64;
    }
    Ok(count)
}
