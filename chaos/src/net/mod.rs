//! The network between the nodes: a proxy in front of each, and a link per ordered pair.
//!
//! All nodes are told one address for a node, that of the proxy in front of it. Who dials is found out from the
//! kernel: the process that owns the other end of the connection. So each pair of nodes can be treated by
//! itself, in each direction by itself, without the nodes knowing.
//!
//! A link does to bytes what a network does to packets that are sent again: while it is cut they are held, and
//! afterwards they arrive late, or the connection breaks. It never loses bytes in the middle of a connection, which
//! no network does either.
//!
//! Where root allows, the network of the kernel takes the place of the proxies (`wire`).
//!
//! Caveat: a node that dials over a cut link has its connection taken at once and is never answered, where a real
//! network would let it wait.

mod dialer;
mod link;
mod pump;
mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) use link::Mode;
use link::{Link, Passing};
pub(crate) use wire::Wire;

/// A node's place in the network: the same from its start to its removal, and the same again for nobody else.
pub(crate) type Place = usize;

/// The network. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Net {
    inner: Arc<Inner>,
    wire: Option<Arc<Wire>>,
}

#[derive(Debug, Default)]
struct Inner {
    links: Mutex<BTreeMap<(Place, Place), Arc<Link>>>,
    processes: Mutex<BTreeMap<u32, Place>>,
    proxies: Mutex<Vec<JoinHandle<()>>>,
}

impl Net {
    /// The network of the kernel, in place of proxies.
    pub(crate) fn of(wire: Arc<Wire>) -> Self {
        Self { wire: Some(wire), ..Self::default() }
    }

    /// The network of the kernel, if it is one.
    pub(crate) fn wire(&self) -> Option<&Wire> {
        self.wire.as_deref()
    }

    /// Serves `front` for the node at `place`, which listens on `behind`.
    pub(crate) async fn serve(&self, place: Place, front: SocketAddr, behind: SocketAddr) -> Result<()> {
        let listener = TcpListener::bind(front).await.with_context(|| format!("listen on {front}"))?;
        let net = self.clone();
        let proxy = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(net.clone().relay(stream, place, behind));
            }
        });
        self.inner.proxies.lock().expect("nothing panics with the lock").push(proxy);
        Ok(())
    }

    /// From now on what this process dials comes from the node at `place`.
    pub(crate) fn know(&self, process: u32, place: Place) {
        self.inner.processes.lock().expect("nothing panics with the lock").insert(process, place);
    }

    /// The process has ended; its number may go to another.
    pub(crate) fn forget(&self, process: u32) {
        self.inner.processes.lock().expect("nothing panics with the lock").remove(&process);
    }

    /// What happens to bytes from one node to another from now on.
    pub(crate) fn set(&self, from: Place, to: Place, mode: Mode) -> Result<()> {
        match &self.wire {
            Some(wire) => wire.set(from, to, mode),
            None => {
                self.link(from, to).set(mode);
                Ok(())
            }
        }
    }

    /// Breaks all connections between two nodes, as a router does that was restarted. On a real wire that is a mode.
    pub(crate) fn reset(&self, a: Place, b: Place) {
        self.link(a, b).reset();
        self.link(b, a).reset();
    }

    /// How often bytes from one node to another were held, delayed or cut off so far.
    pub(crate) fn hindered(&self, from: Place, to: Place) -> u64 {
        match &self.wire {
            Some(wire) => wire.hindered(from, to),
            None => self.link(from, to).hindered(),
        }
    }

    fn link(&self, from: Place, to: Place) -> Arc<Link> {
        let mut links = self.inner.links.lock().expect("nothing panics with the lock");
        links.entry((from, to)).or_default().clone()
    }

    /// Carries one connection until it ends on both sides, or breaks.
    async fn relay(self, dialled: TcpStream, to: Place, behind: SocketAddr) {
        let Some(from) = self.dialer(&dialled).await else { return pump::slam(dialled) };
        let (there, back) = (self.link(from, to), self.link(to, from));
        let Ok(stream) = TcpStream::connect(behind).await else { return pump::slam(dialled) };
        let ends = [&dialled, &stream];
        if ends.iter().any(|end| end.set_nodelay(true).is_err()) {
            return;
        }
        pump::carry(dialled, stream, &Passing::over(&there), &Passing::over(&back)).await;
    }

    /// The node that dialled. None for a process that is gone already.
    async fn dialer(&self, stream: &TcpStream) -> Option<Place> {
        let ends = (stream.peer_addr().ok()?, stream.local_addr().ok()?);
        let inner = self.inner.clone();
        let search = move || {
            let processes = inner.processes.lock().expect("nothing panics with the lock").clone();
            let process = dialer::process_of(ends, processes.keys().copied())?;
            processes.get(&process).copied()
        };
        tokio::task::spawn_blocking(search).await.ok()?
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let proxies = self.proxies.get_mut().expect("nothing panics with the lock");
        proxies.iter().for_each(JoinHandle::abort);
    }
}
