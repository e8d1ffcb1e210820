//! A file system of a node's own, small enough to fill up.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

/// A file system in memory. Gone when this is dropped, with everything on it.
#[derive(Debug)]
pub(super) struct OwnDisk {
    at: PathBuf,
}

impl OwnDisk {
    /// Mounts one at an empty directory. An error says why this user cannot.
    pub(super) fn mount(at: &Path, mib: u64) -> Result<Self> {
        let size = format!("size={mib}m,mode=0700");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "everstep-chaos"]).arg(at).output()?;
        if !mounted.status.success() {
            bail!("{}", String::from_utf8_lossy(&mounted.stderr).trim());
        }
        Ok(Self { at: at.to_owned() })
    }
}

impl Drop for OwnDisk {
    fn drop(&mut self) {
        // Lazily: a process that is about to end may still be in it.
        if let Err(error) = Command::new("umount").arg("-l").arg(&self.at).status() {
            crate::report::say(&format!("unmount {}: {error}", self.at.display()));
        }
    }
}

/// Why no node can have a disk of its own here, if none can.
pub(crate) fn why_not(dir: &Path) -> Option<String> {
    let at = dir.join("trial");
    let tried = std::fs::create_dir_all(&at).map_err(Into::into).and_then(|()| OwnDisk::mount(&at, 1));
    match tried {
        Ok(disk) => {
            drop(disk);
            // Nothing is left in it.
            let _ = std::fs::remove_dir(at);
            None
        }
        Err(error) => Some(format!("nodes cannot have a disk of their own: {error:#}")),
    }
}
