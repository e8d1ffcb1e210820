//! Takes connections from other nodes.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::dial::PeerStream;
use super::peers::Peers;
use super::tls::TlsSettings;

/// Open connections: two from each node of the largest cluster there may be, and as many again on their way out.
const CONNECTIONS_MAX: usize = 1_024;

/// How long a TLS handshake may take.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);

/// After a failed accept (out of descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers other nodes until told to stop.
pub async fn listen(
    peers: Peers,
    listener: TcpListener,
    tls: Option<TlsSettings>,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // One too many is hung up on: it is not from this cluster.
                let Ok(place) = places.clone().try_acquire_owned() else { continue };
                let (peers, tls) = (peers.clone(), tls.clone());
                connections.spawn(async move {
                    serve(&peers, stream, tls.as_ref()).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accept a connection from another node");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.shutdown().await;
}

async fn serve(peers: &Peers, stream: TcpStream, tls: Option<&TlsSettings>) {
    let _ = stream.set_nodelay(true);
    let from = stream.peer_addr().map(|from| from.to_string()).unwrap_or_default();
    let Some(tls) = tls else {
        return peers.host(Box::new(stream) as Box<dyn PeerStream>, |_| true).await;
    };
    match tokio::time::timeout(HANDSHAKE_DEADLINE, tls.accept(stream)).await {
        Ok(Ok((stream, certificate))) => {
            peers.host(Box::new(stream), |node| certificate.is_for(node)).await;
        }
        // Who gives up while it is greeted proves nothing: after a pause of this node all others have.
        Ok(Err(error)) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
            tracing::debug!(from, %error, "a connection ended before it was greeted");
        }
        Ok(Err(error)) => {
            let whence = from.rsplit_once(':').map_or(from.as_str(), |(address, _)| address);
            if let Some(unsaid) = peers.may_say(whence) {
                tracing::warn!(from, %error, unsaid, "somebody without a certificate of this cluster");
            }
        }
        Err(_) => tracing::debug!("a handshake took too long"),
    }
}
