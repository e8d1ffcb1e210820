//! Whose certificates are good.

use std::error::Error as StdError;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::engine::model::{Fault, codes};
use crate::runners::Error;

/// The authorities that are trusted beside the system's.
#[derive(Debug, Default)]
pub(super) struct Trust {
    authorities: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Reads the authorities in a file. Errors: [`Error::Authority`] if there are none or one is none.
    pub(super) fn read(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else { return Ok(Self::default()) };
        let wrong = |reason: String| Error::Authority { path: path.to_owned(), reason };
        let authorities: Vec<_> = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|error| wrong(error.to_string()))?;
        if authorities.is_empty() {
            return Err(wrong("it holds no certificate".to_owned()));
        }
        for authority in &authorities {
            RootCertStore::empty().add(authority.clone()).map_err(|error| wrong(error.to_string()))?;
        }
        Ok(Self { authorities })
    }

    /// TLS with these authorities and the system's.
    pub(super) fn config(&self) -> Result<ClientConfig, rustls::Error> {
        let verifier = Verifier::new_with_extra_roots(self.authorities.iter().cloned(), provider())?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        Ok(config.with_no_client_auth())
    }
}

/// For plain http: trusts nobody, and is never asked.
pub(super) fn no_tls() -> ClientConfig {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider knows the default versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

/// The one crypto provider of the process. Two in one graph would panic at first use.
fn provider() -> Arc<CryptoProvider> {
    if CryptoProvider::get_default().is_none() {
        // Losing the race to another installer is as good as winning it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    Arc::clone(CryptoProvider::get_default().expect("a provider was just installed"))
}

/// The fault of a request that ended because the other end's certificate is not good. A person has to mend
/// that, so another attempt is no use.
pub(super) fn distrusted(error: &(dyn StdError + 'static)) -> Option<Fault> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref() {
            let message = format!("the server's certificate is not trusted: {}", reason(why));
            return Some(Fault::fatal(codes::CERTIFICATE, message));
        }
        // An IO error does not name the error it wraps as its source.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn reason(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "no authority that this node knows has signed it; the setting http.authority names more"
                .to_owned()
        }
        CertificateError::BadSignature => "the authority that it names has not signed it".to_owned(),
        other => other.to_string(),
    }
}
