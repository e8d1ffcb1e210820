//! https against servers on loopback, whose certificates the tests make.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::runners::Error;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A server on loopback with a certificate for 127.0.0.1, unless `change` makes it another one. It answers any
    /// request with the same text.
    async fn serve(&self, change: impl FnOnce(&mut CertificateParams)) -> Https {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::IpAddress(Ipv4Addr::LOCALHOST.into())];
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("default versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
            )
            .expect("a certificate and its key");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                if read_request(&mut stream).await.is_some() {
                    let _ = stream.write_all(ok("text/plain", "secure").as_bytes()).await;
                    let _ = stream.shutdown().await;
                }
            }
        });
        Https { url: format!("https://127.0.0.1:{port}/?token=planted"), _serving: serving }
    }

    /// All runners, trusting this authority.
    fn trusted(&self) -> Registry {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("authority.pem");
        std::fs::write(&path, &self.pem).expect("it can be written");
        with(|settings| settings.authority = Some(path))
    }
}

struct Https {
    url: String,
    _serving: JoinSet<()>,
}

impl Https {
    async fn called_by(&self, registry: &Registry) -> Outcome {
        registry.run(&attempt(json!({ "url": self.url })), "http").await
    }
}

#[tokio::test]
async fn a_server_is_trusted_by_the_authority_in_the_settings() {
    let authority = Authority::new("ours");
    let server = authority.serve(|_| {}).await;
    let output = server.called_by(&authority.trusted()).await.expect("it is trusted");
    assert_eq!(output.value()["body"], "secure");
}

#[tokio::test]
async fn a_certificate_that_is_not_good_is_a_fault_that_no_retry_mends() {
    let ours = Authority::new("ours");
    let stranger = Authority::new("theirs").serve(|_| {}).await;
    let impostor = Authority::new("ours").serve(|_| {}).await;
    let other_name = ours
        .serve(|params| {
            params.subject_alt_names =
                vec![SanType::DnsName("elsewhere.example".try_into().expect("a name"))];
        })
        .await;
    let over = ours
        .serve(|params| {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        })
        .await;
    let early = ours.serve(|params| params.not_before = date_time_ymd(4000, 1, 1)).await;
    let registry = ours.trusted();
    for (server, why) in [
        (stranger, "http.authority names more"),
        (impostor, "has not signed it"),
        (other_name, "elsewhere.example"),
        (over, "expired"),
        (early, "not valid yet"),
    ] {
        let fault = server.called_by(&registry).await.expect_err(why);
        assert_eq!((fault.code.as_str(), fault.retryable), ("certificate", false), "{fault}");
        assert!(fault.message.contains(why) && !fault.message.contains("planted"), "{fault}");
    }
}

#[tokio::test]
async fn a_server_without_tls_may_have_it_next_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{}/", listener.local_addr().expect("an address"));
    let answering = async {
        let (mut stream, _) = listener.accept().await.expect("it is called");
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        std::future::pending::<()>().await;
    };
    let (registry, attempt) = (Authority::new("ours").trusted(), attempt(json!({ "url": url })));
    let fault = tokio::select! {
        outcome = registry.run(&attempt, "http") => outcome.expect_err("no TLS"),
        () = answering => unreachable!("it waits for ever"),
    };
    assert_eq!((fault.code.as_str(), fault.retryable), ("connection", true), "{fault}");
}

#[test]
fn authorities_that_cannot_be_read_are_told_at_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| -> PathBuf {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("it can be written");
        path
    };
    let no_certificate = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";
    for path in [dir.path().join("none"), write("empty", ""), write("other", no_certificate)] {
        let mut settings = Settings::default();
        settings.http.authority = Some(path.clone());
        match Registry::new(settings, super::super::super::testing::clock()) {
            Err(Error::Authority { path: named, reason }) => {
                assert_eq!(named, path);
                assert!(!reason.is_empty());
            }
            other => panic!("{}: {:?}", path.display(), other.err()),
        }
    }
}
