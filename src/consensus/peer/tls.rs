//! Certificates on both ends.
//!
//! The cluster has an authority of its own. A node's certificate is valid for the name `node-ID.everstep`, so it
//! proves which node it is, to whoever dials and to whoever is dialled; and for `cluster.everstep`, for a node that
//! asks to join and does not know whom it reached.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// Where the certificates of a node are, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authority of the cluster.
    pub authority: PathBuf,
    /// This node's certificate, with what leads to the authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Why the certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds something else.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The certificate is not valid for this node.
    #[error("{path}: it is not valid for `{name}`, the name of this node")]
    Name {
        /// The certificate.
        path: PathBuf,
        /// What it should be valid for.
        name: String,
    },
    /// They do not fit together.
    #[error("the certificates of the cluster: {0}")]
    Unfit(String),
}

/// Certificates, ready for use. Cheap to clone.
#[derive(Clone)]
pub struct TlsSettings {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

/// The certificate of whoever connected.
pub(super) struct PeerCertificate(Option<CertificateDer<'static>>);

impl PeerCertificate {
    pub(super) fn is_for(&self, node: u64) -> bool {
        self.0.as_ref().is_some_and(|certificate| is_for(certificate, node))
    }
}

fn is_for(certificate: &CertificateDer<'_>, node: u64) -> bool {
    let parsed = webpki::EndEntityCert::try_from(certificate);
    parsed.is_ok_and(|parsed| parsed.verify_is_valid_for_subject_name(&name_of(node)).is_ok())
}

fn name_of(node: u64) -> ServerName<'static> {
    let name = if node == 0 { "cluster.everstep".to_owned() } else { format!("node-{node}.everstep") };
    ServerName::try_from(name).expect("digits and letters are a lawful name")
}

impl TlsSettings {
    /// Reads the files of a node. Blocks on the disk.
    ///
    /// # Errors
    /// Says which file does not do.
    pub fn read(files: &TlsFiles, node: u64) -> Result<Self, TlsError> {
        let unfit = |error: &dyn std::fmt::Display| TlsError::Unfit(error.to_string());
        let mut roots = RootCertStore::empty();
        for authority in certificates(&files.authority)? {
            roots.add(authority).map_err(|error| unfit(&error))?;
        }
        let roots = Arc::new(roots);
        let chain = certificates(&files.certificate)?;
        if !chain.first().is_some_and(|leaf| is_for(leaf, node)) {
            let name = format!("node-{node}.everstep");
            return Err(TlsError::Name { path: files.certificate.clone(), name });
        }
        let key = || PrivateKeyDer::from_pem_file(&files.key).map_err(|error| in_file(&files.key, &error));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| unfit(&error))?
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(chain.clone(), key()?)
            .map_err(|error| unfit(&error))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| unfit(&error))?
            .with_client_cert_verifier(verifier.build().map_err(|error| unfit(&error))?)
            .with_single_cert(chain, key()?)
            .map_err(|error| unfit(&error))?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(client)),
            acceptor: TlsAcceptor::from(Arc::new(server)),
        })
    }

    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        node: u64,
    ) -> std::io::Result<client::TlsStream<TcpStream>> {
        self.connector.connect(name_of(node), stream).await
    }

    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> std::io::Result<(server::TlsStream<TcpStream>, PeerCertificate)> {
        let stream = self.acceptor.accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates();
        let leaf = shown.and_then(|chain| chain.first()).map(|leaf| leaf.clone().into_owned());
        Ok((stream, PeerCertificate(leaf)))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|error| in_file(path, &error))?
        .collect::<Result<_, _>>()
        .map_err(|error| in_file(path, &error))?;
    if found.is_empty() {
        return Err(TlsError::File { path: path.to_owned(), reason: "it holds no certificate".to_owned() });
    }
    Ok(found)
}

fn in_file(path: &Path, error: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), reason: error.to_string() }
}
