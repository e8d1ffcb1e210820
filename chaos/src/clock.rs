//! Clocks that can be moved: a small library in each node, and a file per node that says by how much.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::preload::{self, PRELOAD};

const SOURCE: &str = include_str!("clockstep.c");

/// Builds the library in `dir`.
pub(crate) fn build(dir: &Path) -> Result<PathBuf> {
    preload::build(dir, "clockstep", SOURCE)
}

/// The clock of one node.
#[derive(Debug)]
pub(crate) struct Clock {
    library: PathBuf,
    at: PathBuf,
    file: File,
}

impl Clock {
    /// A clock that is right.
    pub(crate) fn new(library: &Path, at: PathBuf) -> Result<Self> {
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&at)?;
        file.write_all_at(&[0; 16], 0)?;
        Ok(Self { library: library.to_owned(), at, file })
    }

    /// What the node's environment needs.
    pub(crate) fn environment(&self) -> [(&'static str, &Path); 2] {
        [(PRELOAD, &self.library), ("CLOCKSTEP_FILE", &self.at)]
    }

    /// The clock is so much ahead, or behind, from now on.
    pub(crate) fn step(&self, by: Duration, ahead: bool) -> Result<()> {
        let nanos = i64::try_from(by.as_nanos())?;
        Ok(self.file.write_all_at(&(if ahead { nanos } else { -nanos }).to_ne_bytes(), 0)?)
    }

    /// How often the node was told a time that is not right.
    pub(crate) fn told(&self) -> Result<u64> {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, 8)?;
        Ok(u64::from_ne_bytes(bytes))
    }
}
