//! How a connection comes about.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::super::network::BoxFuture;
use super::tls::TlsSettings;

/// A connection of any make: TCP, TLS over it, or a simulated one.
pub trait PeerStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> PeerStream for S {}

/// Reaches other nodes.
pub trait Dial: Send + Sync + 'static {
    /// Connects to an address. With TLS the other end has to show the certificate of `node`, or of any node of
    /// the cluster if that is 0.
    fn dial<'a>(&'a self, address: &'a str, node: u64) -> BoxFuture<'a, io::Result<Box<dyn PeerStream>>>;
}

/// Dials over TCP, with TLS if there are certificates.
#[derive(Clone, Default)]
pub struct TcpDial {
    tls: Option<TlsSettings>,
}

impl TcpDial {
    /// With these certificates, or in the clear.
    #[must_use]
    pub const fn new(tls: Option<TlsSettings>) -> Self {
        Self { tls }
    }
}

impl Dial for TcpDial {
    fn dial<'a>(&'a self, address: &'a str, node: u64) -> BoxFuture<'a, io::Result<Box<dyn PeerStream>>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let stream: Box<dyn PeerStream> = match &self.tls {
                None => Box::new(stream),
                Some(tls) => Box::new(tls.connect(stream, node).await?),
            };
            Ok(stream)
        })
    }
}
