//! Where each node of a cluster on this machine listens, and where it keeps everything.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::failure::{Exit, Failure};
use super::super::node::Settings;

/// The file in the data directory that keeps the addresses.
const FILE: &str = "nodes.json";
/// Between the ports for users and those for other nodes.
const PEER_PORTS_APART: u16 = 100;
/// Ports that are tried before giving up.
const TRIES_MAX: u16 = 200;

/// One node of several on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// From 1.
    pub(super) node: u16,
    /// Where users reach it.
    pub(super) public: SocketAddr,
    /// Where the other nodes reach it.
    pub(super) peer: SocketAddr,
    /// Where it keeps everything.
    #[serde(skip)]
    pub(super) data_dir: PathBuf,
}

impl Place {
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.public)
    }
}

/// The places of so many nodes: the public port of the settings and those above it, and for the other nodes what the
/// data directory says, or ports that are free now.
///
/// Errors: a port in use, a directory that holds another number of nodes, an address that others can reach.
pub(super) fn places(settings: &Settings, count: u16) -> Result<Vec<Place>, Failure> {
    let data_dir = &settings.node.data_dir;
    let listen = &settings.api.listen;
    let wrong = |message: String| Failure::usage("invalid_settings", message);
    let address: SocketAddr =
        listen.parse().map_err(|_| wrong(format!("{listen} is no address with a port")))?;
    if !address.ip().is_loopback() {
        return Err(wrong(format!("{listen} can be reached by others; several nodes run on loopback only")));
    }
    let kept = kept(data_dir)?;
    if let Some(kept) = kept.as_ref().filter(|kept| kept.len() != usize::from(count)) {
        let message = format!("{} holds a cluster of {} nodes", data_dir.display(), kept.len());
        return Err(wrong(message)
            .with_hint(&format!("start it with --nodes {}, or use another --data-dir", kept.len())));
    }
    let mut taken = Taken::default();
    let mut places = Vec::new();
    for node in 1..=count {
        let above = |port: u16| port.checked_add(node - 1).filter(|_| port > 0);
        let port = match address.port() {
            0 => 0,
            port => above(port).ok_or_else(|| wrong(format!("there is no port for node {node}")))?,
        };
        let public = taken.take(SocketAddr::new(address.ip(), port))?;
        places.push(Place { node, public, peer: public, data_dir: data_dir.join(format!("node{node}")) });
    }
    for (at, place) in places.iter_mut().enumerate() {
        place.peer = match kept.as_ref().and_then(|kept| kept.get(at)) {
            Some(kept) => taken.take(kept.peer)?,
            None if address.port() == 0 => taken.take(SocketAddr::new(address.ip(), 0))?,
            None => taken.take_from(place.public, PEER_PORTS_APART)?,
        };
    }
    keep(data_dir, &places)?;
    Ok(places)
}

/// Ports that are held until all are chosen, so that none is chosen twice.
#[derive(Default)]
struct Taken(Vec<TcpListener>);

impl Taken {
    /// Takes a certain address, or with port 0 any free one.
    fn take(&mut self, address: SocketAddr) -> Result<SocketAddr, Failure> {
        let taken = TcpListener::bind(address).and_then(|it| Ok((it.local_addr()?, it)));
        let (address, listener) = taken.map_err(|error| {
            let in_use = error.kind() == std::io::ErrorKind::AddrInUse;
            let code = if in_use { "address_in_use" } else { "address" };
            let message = format!("listen on {address}: {error}; choose another with --listen");
            Failure::new(Exit::Unavailable, code, message)
        })?;
        self.0.push(listener);
        Ok(address)
    }

    /// Takes the first free port so far above an address, or farther.
    fn take_from(&mut self, address: SocketAddr, apart: u16) -> Result<SocketAddr, Failure> {
        let ports = (apart..apart + TRIES_MAX).filter_map(|apart| address.port().checked_add(apart));
        let free = ports.map(|port| TcpListener::bind(SocketAddr::new(address.ip(), port)));
        if let Some(listener) = free.flatten().next() {
            let address = listener.local_addr()?;
            self.0.push(listener);
            return Ok(address);
        }
        self.take(SocketAddr::new(address.ip(), 0))
    }
}

/// What the data directory says, if several nodes ran there before.
fn kept(data_dir: &Path) -> Result<Option<Vec<Place>>, Failure> {
    let file = data_dir.join(FILE);
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&file, &error)),
    };
    let places: Vec<Place> = serde_json::from_str(&text).map_err(|error| unreadable(&file, &error))?;
    let peers: BTreeSet<_> = places.iter().map(|place| place.peer).collect();
    if peers.len() != places.len() {
        return Err(unreadable(&file, &"two nodes have one address"));
    }
    Ok(Some(places))
}

fn unreadable(file: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Unavailable, "data_dir", format!("read {}: {why}", file.display()))
}

fn keep(data_dir: &Path, places: &[Place]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        let message = format!("write {}: {error}", data_dir.join(FILE).display());
        Failure::new(Exit::Unavailable, "data_dir", message)
    };
    std::fs::create_dir_all(data_dir).map_err(failed)?;
    let text = serde_json::to_string_pretty(places).map_err(|error| failed(error.into()))?;
    let fresh = data_dir.join(format!("{FILE}.new"));
    std::fs::write(&fresh, text).map_err(failed)?;
    std::fs::rename(&fresh, data_dir.join(FILE)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(dir: &Path, listen: &str) -> Settings {
        let mut settings = Settings::default();
        settings.node.data_dir = dir.to_owned();
        listen.clone_into(&mut settings.api.listen);
        settings
    }

    #[test]
    fn nodes_find_each_other_where_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let first = places(&settings(dir.path(), "127.0.0.1:0"), 3).unwrap();
        let again = places(&settings(dir.path(), "127.0.0.1:0"), 3).unwrap();
        let peers = |places: &[Place]| places.iter().map(|place| place.peer).collect::<Vec<_>>();
        assert_eq!(peers(&first), peers(&again));
        let all: BTreeSet<_> = first.iter().flat_map(|it| [it.peer, it.public]).collect();
        assert_eq!(all.len(), 6, "no address is given twice");
        assert_eq!(first[2].data_dir, dir.path().join("node3"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(places(&settings(dir.path(), "0.0.0.0:0"), 3).is_err());
        assert!(places(&settings(dir.path(), "127.0.0.1:65535"), 3).is_err());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let busy = listener.local_addr().unwrap().to_string();
        assert!(places(&settings(dir.path(), &busy), 2).is_err());
        places(&settings(dir.path(), "127.0.0.1:0"), 3).unwrap();
        assert!(places(&settings(dir.path(), "127.0.0.1:0"), 2).is_err(), "it holds three");
    }
}
