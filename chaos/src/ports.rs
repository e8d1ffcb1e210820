//! Ports that stay a node's own while it is down.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result};

/// The kernel hands out ports from here on.
const HANDED_OUT_FROM: u16 = 32_000;
/// Runs that begin at the same time begin at different ports.
const FIRST: u16 = 20_000;
const SPREAD: u32 = 10_000;

/// Free ports, each given out once.
#[derive(Debug)]
pub(crate) struct Ports {
    next: AtomicU16,
}

impl Ports {
    /// Ports from `first` on, or from one that this process may take for its own.
    pub(crate) fn new(first: Option<u16>) -> Self {
        let own = FIRST + u16::try_from(std::process::id() % SPREAD).unwrap_or(0);
        Self { next: AtomicU16::new(first.unwrap_or(own)) }
    }

    /// A port of this machine that was free a moment ago.
    pub(crate) fn take(&self) -> Result<SocketAddr> {
        let on = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut tried = std::iter::repeat_with(|| self.next.fetch_add(1, Ordering::Relaxed));
        let tried = tried.by_ref().take_while(|port| *port < HANDED_OUT_FROM);
        let mut free = tried.filter(|port| TcpListener::bind(on(*port)).is_ok());
        free.next().map(on).context("find a free port below those that the kernel hands out")
    }
}
