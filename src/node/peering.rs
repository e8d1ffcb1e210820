//! The port for other nodes, and the way to theirs.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::consensus::peer::{self, Peers, TcpDial, TlsFiles, TlsSettings};
use crate::storage::Identity;
use crate::world::World;

use super::error::Error;
use super::forming;
use super::settings::{ClusterSettings, Settings};
use super::wiring;

/// What runs for other nodes.
pub(super) struct Peering {
    peers: Peers,
    listening: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl Peering {
    /// Takes the port for other nodes, if one is set, and answers hellos on it.
    pub(super) async fn start(
        settings: &Settings,
        identity: &Identity,
        world: &World,
    ) -> Result<Self, Error> {
        let cluster = &settings.cluster;
        let tls = certificates(cluster, identity.node)?;
        let me = forming::me(identity, settings.raft.election_max_ms)?;
        let peers = Peers::new(me, Arc::new(TcpDial::new(tls.clone())), world.entropy.clone(), false);
        peers.set_addresses(cluster.addresses());
        if cluster.listen.is_empty() {
            return Ok(Self { peers, listening: None });
        }
        let failed = |source| Error::PeerListen { address: cluster.listen.clone(), source };
        let listener = wiring::listen(&cluster.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        check_plain(cluster, address, tls.is_some())?;
        let (stop, stopping) = watch::channel(false);
        let listening = tokio::spawn(peer::listen(peers.clone(), listener, tls, stopping));
        Ok(Self { peers, listening: Some((stop, listening)) })
    }

    pub(super) fn peers(&self) -> Peers {
        self.peers.clone()
    }

    /// Hangs up on everybody.
    pub(super) async fn stop(self) {
        let Some((stop, listening)) = self.listening else { return };
        let _stopped_before = stop.send(true);
        if let Err(error) = listening.await {
            tracing::error!(%error, "the port for other nodes crashed");
        }
    }
}

fn certificates(cluster: &ClusterSettings, node: u64) -> Result<Option<TlsSettings>, Error> {
    let files = [&cluster.authority, &cluster.certificate, &cluster.key];
    if files.iter().all(|file| file.as_os_str().is_empty()) {
        return Ok(None);
    }
    let [authority, certificate, key] = files.map(Clone::clone);
    Ok(Some(TlsSettings::read(&TlsFiles { authority, certificate, key }, node)?))
}

/// Without certificates nobody proves anything, so only this machine may talk.
fn check_plain(cluster: &ClusterSettings, address: SocketAddr, tls: bool) -> Result<(), Error> {
    if tls || (cluster.plain && address.ip().is_loopback()) {
        return Ok(());
    }
    Err(Error::PlainPeers { address: address.to_string() })
}
