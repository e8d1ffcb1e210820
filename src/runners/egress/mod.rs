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
//! - [`send`] makes a request, follows redirects and reads a bounded answer.
//!
//! Caveats: an admitted host can still forward what it gets; proxies from the environment are ignored,
//! because a proxy would resolve names again.

mod address;
mod clients;
mod guard;
mod send;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::model::Timestamp;
use crate::world::Clock;

use clients::Clients;
use guard::Guard;

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
    /// Where this node listens. Never admitted: a workflow must not speak to its node with the node's
    /// own standing.
    pub own_listeners: Vec<SocketAddr>,
    /// How long a request may take when its step has no timeout. 60 s: longer ones should say so.
    pub timeout: Duration,
    /// Bytes of an answer's body. 1 MiB: it has to fit into a recorded output.
    pub response_bytes_max: usize,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            allow_loopback: false,
            allow_private: false,
            allow_hosts: Vec::new(),
            own_listeners: Vec::new(),
            timeout: Duration::from_secs(60),
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
}

impl Egress {
    pub(super) fn new(settings: HttpSettings, clock: Arc<dyn Clock>) -> Self {
        Self { guard: Guard::new(&settings), clients: Clients::default(), settings, clock }
    }

    /// The time of day.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
