//! Whether a URL may be called, and at which addresses.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use reqwest::Url;
use url::Host;

use super::HttpSettings;
use super::address::{self, Place};
use crate::engine::model::{Fault, codes};

/// Addresses of one name that are checked; a name with more is refused, not half checked.
const ADDRESSES_MAX: usize = 64;

/// Decides where requests may go.
pub(super) struct Guard {
    allow_loopback: bool,
    allow_private: bool,
    allow_hosts: Vec<String>,
    own_listeners: Vec<SocketAddr>,
}

/// A URL that was admitted, with the only addresses it may be reached at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Admitted {
    pub(super) url: Url,
    /// At least one.
    pub(super) addresses: Vec<SocketAddr>,
}

impl Guard {
    pub(super) fn new(settings: &HttpSettings) -> Self {
        Self {
            allow_loopback: settings.allow_loopback,
            allow_private: settings.allow_private,
            allow_hosts: settings.allow_hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            own_listeners: settings.own_listeners.clone(),
        }
    }

    /// Checks a URL, resolves its host and checks every address. Errors: a fatal `refused` fault that
    /// says what is forbidden and how to allow it; a retryable `connection` fault if the name has no
    /// address.
    pub(super) async fn admit(&self, url: Url) -> Result<Admitted, Fault> {
        let (host, port) = Self::place_of(&url)?;
        let found = match host {
            Host::Domain(name) => resolve(name, port).await?,
            Host::Ipv4(_) | Host::Ipv6(_) => Vec::new(),
        };
        self.admit_at(url, found)
    }

    /// As [`Guard::admit`], for a URL whose host, if it is a name, was found at these addresses.
    pub(super) fn admit_at(&self, url: Url, found: Vec<SocketAddr>) -> Result<Admitted, Fault> {
        let (host, port) = Self::place_of(&url)?;
        let addresses = match host {
            Host::Ipv4(address) => vec![SocketAddr::new(address.into(), port)],
            Host::Ipv6(address) => vec![SocketAddr::new(address.into(), port)],
            Host::Domain(_) => found,
        };
        self.check(&host.to_string(), port, &addresses)?;
        Ok(Admitted { url, addresses })
    }

    /// The host and the port of a URL that is of a kind we call at all.
    fn place_of(url: &Url) -> Result<(Host<&str>, u16), Fault> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused(format!("only http and https URLs are called, not `{}`", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("a URL must not hold a user name or a password; use a header"));
        }
        let host = url.host().ok_or_else(|| refused("the URL names no host"))?;
        let port = url.port_or_known_default().expect("http and https have a port");
        Ok((host, port))
    }

    /// All addresses have to pass: one bad address among good ones is how a check is slipped by.
    fn check(&self, host: &str, port: u16, addresses: &[SocketAddr]) -> Result<(), Fault> {
        assert!(!addresses.is_empty(), "there is an address to check");
        for address in addresses {
            if self.is_own(*address) {
                let message = format!("`{host}` at {address} is this node itself; call something else");
                return Err(refused(message));
            }
        }
        if self.is_listed(host, port) {
            return Ok(());
        }
        addresses.iter().try_for_each(|address| self.check_place(host, address.ip()))
    }

    fn check_place(&self, host: &str, address: IpAddr) -> Result<(), Fault> {
        let place = address::place(address);
        let (allowed, how) = match place {
            Place::Public => return Ok(()),
            Place::Loopback => (self.allow_loopback, "`http.allow_loopback = true`, or "),
            Place::Private => (self.allow_private, "`http.allow_private = true`, or "),
            Place::LinkLocal | Place::Translated | Place::Special => (false, ""),
        };
        if allowed {
            return Ok(());
        }
        Err(refused(format!(
            "`{host}` is at {address}, {}, which this node does not call; a node's configuration allows it \
             with {how}`http.allow_hosts = [\"{host}\"]`",
            place.name()
        )))
    }

    /// Whether the host is among those admitted whatever their addresses.
    fn is_listed(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.allow_hosts.iter().any(|entry| {
            let (name, entry_port) = split_port(entry);
            let named = match name.strip_prefix("*.") {
                Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
                None => host == name,
            };
            named && entry_port.is_none_or(|entry_port| entry_port == port)
        })
    }

    /// Whether something of ours listens there.
    fn is_own(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        self.own_listeners.iter().any(|listener| {
            let bound = listener.ip().to_canonical();
            listener.port() == address.port()
                && (bound == ip || ip.is_unspecified() || (bound.is_unspecified() && is_local(ip)))
        })
    }
}

/// Whether an address is one of this machine's: only those can be bound. Sends nothing.
fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

/// An entry's host and port. An IPv6 address carries a port only in brackets.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

async fn resolve(name: &str, port: u16) -> Result<Vec<SocketAddr>, Fault> {
    let found = tokio::net::lookup_host((name, port)).await.map_err(|error| {
        Fault::retryable(codes::CONNECTION, format!("find the address of `{name}`: {error}"))
    })?;
    let mut addresses: Vec<_> = found.take(ADDRESSES_MAX + 1).collect();
    addresses.sort_unstable();
    addresses.dedup();
    match addresses.len() {
        0 => Err(Fault::retryable(codes::CONNECTION, format!("`{name}` has no address"))),
        1..=ADDRESSES_MAX => Ok(addresses),
        _ => Err(refused(format!("`{name}` has more than {ADDRESSES_MAX} addresses"))),
    }
}

fn refused(message: impl Into<String>) -> Fault {
    Fault::fatal(codes::REFUSED, message)
}

#[cfg(test)]
mod tests;
