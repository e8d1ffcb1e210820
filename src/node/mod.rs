//! Floor 7: reads configuration, wires every part, starts and stops them in order.
//!
//! This is the only floor that reads the wall clock, the environment and the settings; everything below
//! gets what it needs handed in. A [`Core`] is a node without its port, made from parts, so that the
//! simulation can run one; a [`Node`] is the real thing.
//!
//! Order of start: disk, consensus, actors, port. While it runs it watches the room on the disk, and the actors
//! decide what is still done. Order of stop: port, actors, consensus with a last
//! checkpoint, disk. A node that is killed instead loses nothing: the next start finds everything in the
//! log.

mod core;
mod error;
mod forming;
mod observe;
mod peering;
mod settings;
mod space;
mod wiring;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::actors;
use crate::api;
use crate::storage::{self, DataDir, Identity};

use peering::Peering;

pub use core::{Core, Parts};
pub use error::Error;
pub use observe::log_to_stderr;
pub use settings::{Overrides, Settings, SettingsError};
pub use space::ReadSpace;

/// A running node.
pub struct Node {
    core: Core,
    peering: Peering,
    address: SocketAddr,
    close: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
    looking: JoinHandle<()>,
    disk: Arc<DataDir>,
    identity: Identity,
}

impl Node {
    /// Opens the data directory, binds the port and starts everything. When this returns, requests are
    /// answered; [`Node::ready`] tells when work is taken.
    ///
    /// # Errors
    /// Says which part did not start and how to mend it. A directory or port in use is left alone.
    pub async fn start(settings: Settings) -> Result<Self, Error> {
        Self::start_with(settings, None).await
    }

    /// As [`Node::start`], and `space` tells how much room there is on the disk instead of the disk itself, for
    /// tests of a disk that fills up.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub async fn start_with(settings: Settings, space: Option<ReadSpace>) -> Result<Self, Error> {
        let listener = wiring::bind(&settings).await?;
        let address = listener.local_addr().map_err(|source| wiring::listen_error(&settings, source))?;
        let disk = Arc::new(wiring::open_disk(&settings)?);
        let world = world::real();
        let mut identity = forming::identify(&settings, &disk, &*world.entropy)?;
        let peering = Peering::start(&settings, &identity, &world).await?;
        let peers = peering.peers();
        let roster = wiring::roster(&settings, address);
        forming::form(&peers, &mut identity, &settings.cluster, &roster, &disk).await?;
        let core =
            Core::start(wiring::parts(&settings, &disk, &mut identity, address, (peers, roster))?).await?;
        let space = space.unwrap_or_else(|| wiring::space_of(&disk));
        let looking = tokio::spawn(space::watch(space, core.handle()));
        let router = api::router(core.handle(), wiring::api(&settings), world::real(), observe::exposition());
        let (close, closed) = oneshot::channel();
        let until = async {
            let _dropped = closed.await;
        };
        let serving = tokio::spawn(api::serve(listener, router, until, wiring::connections(&settings)));
        Ok(Self { core, peering, address, close, serving, looking, disk, identity })
    }

    /// Where it answers.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The door to its actors.
    #[must_use]
    pub fn handle(&self) -> actors::Handle {
        self.core.handle()
    }

    /// Waits until it leads its partitions and takes work.
    pub async fn ready(&self) {
        self.core.ready().await;
    }

    /// Ends when the node cannot go on: a part of it has died, or the cluster has dismissed it.
    pub async fn fatal(&self) -> Error {
        let why = self.core.fatal().await;
        // Not all of the others may know it, or know it for long.
        if why.code() == "storage_lost" {
            let said = why.to_string();
            let what = said.strip_prefix("storage_lost: ").unwrap_or(&said);
            let identity = Identity { lost: Some(what.to_owned()), ..self.identity.clone() };
            if let Err(error) = self.disk.keep_identity(&identity) {
                tracing::error!(%error, "it could not be noted that the directory is lost");
            }
        }
        why
    }

    /// Stops taking requests, lets those at work end for a moment, and closes the directory.
    ///
    /// # Errors
    /// What went wrong while stopping; nothing acknowledged is lost by it.
    pub async fn stop(self) -> Result<(), Error> {
        // The others lead before the port closes, so that no request finds nobody.
        self.core.handle().leave().await;
        let _gone = self.close.send(());
        match self.serving.await {
            Ok(served) => served.map_err(Error::Serve)?,
            Err(panic) => tracing::error!(%panic, "the server crashed"),
        }
        self.looking.abort();
        // It may have the directory in hand just now.
        let _aborted = self.looking.await;
        self.core.stop().await?;
        self.peering.stop().await;
        drop(self.disk);
        Ok(())
    }
}

/// Says whether a data directory is whole, and what is wrong where. The node must not run.
///
/// # Errors
/// What keeps the directory from being read at all.
pub fn verify(dir: &std::path::Path) -> Result<storage::VerifyReport, Error> {
    Ok(storage::verify(dir, &std::env::temp_dir())?)
}
