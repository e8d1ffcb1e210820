//! Who a data directory belongs to: one small file that is written once or twice in its life.
//!
//! A node that comes back without its disk has forgotten votes and entries it acknowledged. So each data directory
//! draws a number of its own when it is made, and the other nodes remember it: a directory that was replaced is
//! noticed, whatever the node calls itself. An older copy of the same directory has the same number, and is told by the
//! marks in it.
//!
//! ```text
//! DIR/identity    JSON, and behind it a line `crc32c` with the checksum of all before it
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::data_dir::FILE_MODE;
use super::{DataDir, Error, Marks, Result};

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
    /// The latest marks.
    #[serde(default)]
    pub marks: Marks,
    /// How often its log had been opened when that was last noted: a log that was opened less often is another one.
    #[serde(default)]
    pub boot: u64,
    /// Why the others do not take the directory any more.
    #[serde(default)]
    pub lost: Option<String>,
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
            file.write_all(&encode(identity)?)?;
            file.sync_all()?;
            fs::rename(&new, &at)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(Error::open(at.clone()))
    }
}

fn encode(identity: &Identity) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(identity)?;
    bytes.push(b'\n');
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum);
    Ok(bytes)
}

/// The last line.
fn checksum(text: &[u8]) -> Vec<u8> {
    format!("crc32c {:08x}\n", crc32c::crc32c(text)).into_bytes()
}

pub(super) fn read(path: &Path) -> Result<Option<Identity>> {
    let at = path.join(NAME);
    let bytes = match fs::read(&at) {
        Ok(bytes) => bytes,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Open { path: at, source }),
    };
    let damaged = || Error::corrupt("the identity file", at.display().to_string());
    decode(&bytes).map(Some).ok_or_else(damaged)
}

/// None if it is damaged.
fn decode(bytes: &[u8]) -> Option<Identity> {
    // Without the last line it was written by an early build, or has lost that line and nothing else.
    if bytes.ends_with(b"}") {
        return serde_json::from_slice(bytes).ok();
    }
    let end = bytes.len().checked_sub(checksum(b"").len())?;
    let (text, sum) = bytes.split_at(end);
    (checksum(text) == sum).then(|| serde_json::from_slice(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_changed_bit_and_no_missing_end_goes_unnoticed() {
        let identity = Identity {
            cluster: "everstep".to_owned(),
            node: 3,
            partitions: 4,
            incarnation: "1f2e".to_owned(),
            formed: true,
            members: BTreeMap::from([(1, "ab".to_owned()), (2, "cd".to_owned())]),
            marks: Marks::default(),
            boot: 7,
            lost: None,
        };
        let sound = encode(&identity).unwrap();
        assert_eq!(decode(&sound).as_ref(), Some(&identity));
        for place in 0..sound.len() {
            let whole = Some(&identity).filter(|_| sound[..place].ends_with(b"\n}"));
            assert_eq!(decode(&sound[..place]).as_ref(), whole, "without its end from {place}");
            for bit in 0..8 {
                let mut flipped = sound.clone();
                flipped[place] ^= 1 << bit;
                assert_eq!(decode(&flipped), None, "bit {bit} of byte {place}");
            }
        }
    }
}
