//! The guarded way out: the one HTTP client of all runners.
//!
//! A URL in a workflow is a stranger's wish, and a node sits where strangers do not: beside databases,
//! cloud metadata and its own ports. So each request is admitted before it is made. [`Guard`] checks the
//! scheme and the host, resolves the name once and checks *all* its addresses; the connection is then
//! made to exactly those addresses, so that a name that changes its mind in between changes nothing.
//! Redirects are followed here, one by one, each through the same check.
//!
//! - [`address`] says what kind of place an address is;
//! - [`guard`] decides by it;
//! - [`clients`] keeps connections, each usable only for the addresses that were admitted;
//! - [`trust`] says whose certificates are good, and what is wrong with others;
//! - [`send`] makes a request, follows redirects and reads a bounded answer.
//!
//! Caveats: an admitted host can still forward what it gets; proxies from the environment are ignored,
//! because a proxy would resolve names again.

mod address;
mod clients;
mod guard;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod rubbish;
mod send;
mod trust;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Error;
use crate::engine::model::Timestamp;
use crate::world::Clock;

use clients::Clients;
use guard::Guard;
use trust::Trust;

pub(super) use send::{Request, Response};

/// Where requests of `http` and `webhook` steps may go.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Admits loopback addresses; for development.
    pub allow_loopback: bool,
    /// Admits private networks: RFC 1918, unique local IPv6, carrier-grade NAT.
    pub allow_private: bool,
    /// Hosts that are admitted whatever their addresses: a name, `*.` and a domain, or an address; each
    /// may carry `:port`. The node's own listeners stay refused.
    pub allow_hosts: Vec<String>,
    /// A file of certificate authorities, as PEM, that are trusted beside the system's.
    pub authority: Option<PathBuf>,
    /// Where this node listens. Never admitted: a workflow must not speak to its node with the node's
    /// own standing.
    pub own_listeners: Vec<SocketAddr>,
    /// How long a request may take when its step has no timeout. 60 s: longer ones should say so.
    pub timeout: Duration,
    /// Requests at the same time; others wait, within their deadlines. 256: each takes a file descriptor
    /// and up to a body of memory.
    pub concurrent_max: usize,
    /// Bytes of an answer's body. 1 MiB: it has to fit into a recorded output.
    pub response_bytes_max: usize,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            allow_loopback: false,
            allow_private: false,
            allow_hosts: Vec::new(),
            authority: None,
            own_listeners: Vec::new(),
            timeout: Duration::from_secs(60),
            concurrent_max: 256,
            response_bytes_max: 1 << 20,
        }
    }
}

/// The guarded client, shared by the runners that need it.
pub(super) struct Egress {
    settings: HttpSettings,
    guard: Guard,
    clients: Clients,
    clock: Arc<dyn Clock>,
    turns: Semaphore,
}

impl Egress {
    /// Errors: [`Error::Authority`].
    pub(super) fn new(settings: HttpSettings, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let turns = Semaphore::new(settings.concurrent_max);
        let trust = Trust::read(settings.authority.as_deref())?;
        Ok(Self { guard: Guard::new(&settings), clients: Clients::new(trust), settings, clock, turns })
    }

    /// The time of day.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
