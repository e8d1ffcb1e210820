//! Disks that fail: a small library in each node, and a file per node that says what of it fails.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::preload::{self, PRELOAD};

const SOURCE: &str = include_str!("eio.c");

/// Builds the library in `dir`.
pub(crate) fn build(dir: &Path) -> Result<PathBuf> {
    preload::build(dir, "eio", SOURCE)
}

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Fails {
    Nothing = 0,
    Writes = 1,
    Syncs = 2,
    Both = 3,
}

/// What a node's data directory lies on.
#[derive(Debug)]
pub(crate) struct Medium {
    library: PathBuf,
    below: PathBuf,
    at: PathBuf,
    file: File,
}

impl Medium {
    /// One that works, for the directory `below`; `at` is where it is told what fails.
    pub(crate) fn new(library: &Path, below: &Path, at: PathBuf) -> Result<Self> {
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&at)?;
        file.write_all_at(&[0; 16], 0)?;
        Ok(Self { library: library.to_owned(), below: below.to_owned(), at, file })
    }

    /// What the node's environment needs.
    pub(crate) fn environment(&self) -> [(&'static str, &Path); 3] {
        [(PRELOAD, &self.library), ("EIO_DIR", &self.below), ("EIO_FILE", &self.at)]
    }

    /// From now on this fails.
    pub(crate) fn fail(&self, what: Fails) -> Result<()> {
        Ok(self.file.write_all_at(&(what as u64).to_ne_bytes(), 0)?)
    }

    /// How often something has failed.
    pub(crate) fn failed(&self) -> Result<u64> {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, 8)?;
        Ok(u64::from_ne_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::preload::together;

    /// What a shell says that writes a file in `dir`, syncs it, and writes one elsewhere.
    fn shell(medium: &Medium, dir: &Path) -> String {
        let script = format!(
            "(echo a > '{0}/a') 2>/dev/null && echo wrote; sync '{0}/there' 2>/dev/null && echo synced; echo b > '{0}/../b' && echo else",
            dir.display()
        );
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).envs(together(medium.environment().into_iter()));
        String::from_utf8_lossy(&shell.output().expect("a shell").stdout).replace('\n', " ")
    }

    #[test]
    fn what_is_told_to_fail_fails_and_nothing_else() {
        let home = tempfile::tempdir().expect("a directory");
        let home = home.path().canonicalize().expect("it is there");
        let below = home.join("below");
        std::fs::create_dir(&below).and_then(|()| std::fs::write(below.join("there"), "x")).expect("files");
        let library = build(&home).expect("it builds");
        let medium = Medium::new(&library, &below, home.join("eio")).expect("a file");
        let said = [Fails::Nothing, Fails::Writes, Fails::Syncs, Fails::Both].map(|what| {
            medium.fail(what).expect("it is told");
            shell(&medium, &below)
        });
        assert_eq!(said, ["wrote synced else ", "synced else ", "wrote else ", "else "]);
        assert_eq!(medium.failed().expect("a count"), 4);
    }
}
