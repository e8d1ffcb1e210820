//! Connections, each usable only for the addresses that were admitted.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::{Client, redirect};
use rustls::ClientConfig;

use super::guard::Admitted;
use super::trust::{Trust, no_tls};
use crate::engine::model::{Fault, TenantId, codes};

/// Clients kept. Each is one host of one tenant; the ones used last stay.
const CLIENTS_MAX: usize = 64;
/// Idle connections kept per client.
const IDLE_MAX: usize = 8;
/// How long a connection is kept idle. Below the usual minute of servers, so that ours closes first.
const IDLE: Duration = Duration::from_secs(15);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// What a client may be used for: whose request, which host, and which addresses.
///
/// The addresses are part of it, so a client can reach nothing but what the guard admitted for the very
/// request that uses it. The tenant is part of it, so tenants share no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    tenant: TenantId,
    origin: String,
    addresses: Vec<SocketAddr>,
}

/// The clients of a node, the one used last in front.
pub(super) struct Clients {
    kept: Mutex<VecDeque<(Key, Client)>>,
    trust: Trust,
    tls: OnceLock<Arc<ClientConfig>>,
}

impl Clients {
    pub(super) fn new(trust: Trust) -> Self {
        Self { kept: Mutex::default(), trust, tls: OnceLock::new() }
    }

    /// A client for an admitted URL. Errors: a fault if TLS cannot be set up on this system.
    pub(super) fn client(&self, tenant: &TenantId, admitted: &Admitted) -> Result<Client, Fault> {
        let key = Key {
            tenant: tenant.clone(),
            origin: admitted.url.origin().ascii_serialization(),
            addresses: admitted.addresses.clone(),
        };
        if let Some(client) = self.recall(&key) {
            return Ok(client);
        }
        let client = self.build(admitted)?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_front((key, client.clone()));
        kept.truncate(CLIENTS_MAX);
        Ok(client)
    }

    fn recall(&self, key: &Key) -> Option<Client> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| known == key)?;
        let entry = kept.remove(at)?;
        let client = entry.1.clone();
        kept.push_front(entry);
        Some(client)
    }

    fn build(&self, admitted: &Admitted) -> Result<Client, Fault> {
        let tls = if admitted.url.scheme() == "https" { self.tls()? } else { Arc::new(no_tls()) };
        let mut builder = Client::builder()
            .tls_backend_preconfigured(ClientConfig::clone(&tls))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(IDLE_MAX)
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("everstep/", env!("CARGO_PKG_VERSION")));
        if let Some(name) = admitted.url.domain() {
            builder = builder.resolve_to_addrs(name, &admitted.addresses);
        }
        builder.build().map_err(|error| unready(&error))
    }

    /// TLS, with the system's certificate authorities read on the first use: a node that calls no https
    /// URL needs none.
    fn tls(&self) -> Result<Arc<ClientConfig>, Fault> {
        if let Some(tls) = self.tls.get() {
            return Ok(Arc::clone(tls));
        }
        let config = self.trust.config().map_err(|error| unready(&error))?;
        Ok(Arc::clone(self.tls.get_or_init(|| Arc::new(config))))
    }
}

fn unready(error: &dyn std::error::Error) -> Fault {
    let message = format!(
        "set up TLS: {error}; https needs the system's certificate authorities (the package ca-certificates)"
    );
    Fault::retryable(codes::CONNECTION, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(host: &str, address: &str) -> Admitted {
        Admitted {
            url: format!("http://{host}:80/").parse().expect("a URL"),
            addresses: vec![address.parse().expect("an address")],
        }
    }

    #[test]
    fn a_client_is_kept_for_one_tenant_host_and_address() {
        let clients = Clients::new(Trust::default());
        let (ada, bob) = (TenantId::new("ada").expect("a slug"), TenantId::new("bob").expect("a slug"));
        let use_once = |tenant: &TenantId, host: &str, address: &str| {
            clients.client(tenant, &admitted(host, address)).expect("plain http needs nothing");
            clients.kept.lock().expect("no panic").len()
        };
        assert_eq!(use_once(&ada, "a.example", "8.8.8.8:80"), 1);
        assert_eq!(use_once(&ada, "a.example", "8.8.8.8:80"), 1, "kept");
        assert_eq!(use_once(&bob, "a.example", "8.8.8.8:80"), 2, "another tenant");
        assert_eq!(use_once(&ada, "b.example", "8.8.8.8:80"), 3, "another host");
        assert_eq!(use_once(&ada, "a.example", "8.8.4.4:80"), 4, "another address");
        for host in 0..CLIENTS_MAX {
            use_once(&ada, &format!("h{host}.example"), "8.8.8.8:80");
        }
        assert_eq!(use_once(&ada, "last.example", "8.8.8.8:80"), CLIENTS_MAX, "bounded");
    }
}
