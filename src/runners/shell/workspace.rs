//! A fresh directory for each attempt.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::Attempt;

/// What directories of attempts start with, so that nothing else is ever swept away.
const PREFIX: &str = "attempt-";

/// Makes directories beneath one.
pub(super) struct Workspaces {
    root: PathBuf,
    made: AtomicU64,
}

impl Workspaces {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, made: AtomicU64::new(0) }
    }

    /// Makes the root and removes what attempts of an earlier life left there. Errors: as the file
    /// system says.
    pub(super) fn prepare(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.root)?;
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    /// A new, empty directory that only this user can enter. Errors: as the file system says.
    pub(super) fn fresh(&self, attempt: &Attempt) -> io::Result<Workspace> {
        let count = self.made.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{}-{count}", attempt.execution, attempt.attempt);
        let path = std::path::absolute(self.root.join(name))?;
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Workspace { path })
    }
}

/// A directory that is removed when it is dropped.
pub(super) struct Workspace {
    path: PathBuf,
}

impl Workspace {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // A process that was just killed may still be writing; the second try sees it gone. What stays
        // even so is swept when the node starts next.
        let removed = fs::remove_dir_all(&self.path).or_else(|_| fs::remove_dir_all(&self.path));
        if let Err(error) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "an attempt's directory stays until restart");
        }
    }
}
