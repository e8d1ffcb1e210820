//! Who a data directory belongs to: one small file that is written once or twice in its life.
//!
//! A node that comes back without its disk has forgotten votes and entries it acknowledged. So each data directory
//! draws a number of its own when it is made, and the other nodes remember it: a directory that was replaced is
//! noticed, whatever the node calls itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::data_dir::FILE_MODE;
use super::{DataDir, Error, Result};

/// The file's name.
pub(super) const NAME: &str = "identity";

/// Who a data directory belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The name of the cluster.
    pub cluster: String,
    /// The node's id in it.
    pub node: u64,
    /// How many data partitions the cluster has.
    pub partitions: u16,
    /// Drawn when the directory was made; hexadecimal.
    pub incarnation: String,
    /// The node has found its place in the cluster.
    pub formed: bool,
    /// The incarnations of the nodes it formed the cluster with.
    pub members: BTreeMap<u64, String>,
}

impl DataDir {
    /// Who it belongs to; none if nobody has taken it.
    ///
    /// # Errors
    /// `Open` if the file cannot be read, `Corrupt` if it says something else.
    pub fn identity(&self) -> Result<Option<Identity>> {
        read(&self.path)
    }

    /// Writes down who it belongs to, durably.
    ///
    /// # Errors
    /// `Open` if the file cannot be written.
    pub fn keep_identity(&self, identity: &Identity) -> Result<()> {
        let (new, at) = (self.path.join("identity.new"), self.path.join(NAME));
        let write = || {
            let mut options = File::options();
            options.write(true).create(true).truncate(true).mode(FILE_MODE);
            let mut file = options.open(&new)?;
            file.write_all(&serde_json::to_vec_pretty(identity)?)?;
            file.sync_all()?;
            fs::rename(&new, &at)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(Error::open(at.clone()))
    }
}

fn read(path: &Path) -> Result<Option<Identity>> {
    let at = path.join(NAME);
    let text = match fs::read(&at) {
        Ok(text) => text,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Open { path: at, source }),
    };
    let damaged = |_| Error::corrupt("the identity file", at.display().to_string());
    serde_json::from_slice(&text).map(Some).map_err(damaged)
}
