//! The handle on a server.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use crate::cluster::Cluster;
use crate::executions::Executions;
use crate::retry::Retry;
use crate::workflows::Workflows;
use crate::{Error, Result};

/// A handle on a server. Cloning is cheap; clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) http: reqwest::Client,
    pub(crate) base: Url,
    pub(crate) timeout: Duration,
    pub(crate) retry: Retry,
}

/// Sets up a [`Client`].
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    address: String,
    token: Option<String>,
    timeout: Duration,
    retry: Retry,
}

impl Client {
    /// Starts setting up a client of the server at `address`, such as `http://127.0.0.1:8000` or
    /// `127.0.0.1:8000`.
    pub fn builder(address: impl Into<String>) -> Builder {
        Builder {
            address: address.into(),
            token: None,
            timeout: Duration::from_secs(30),
            retry: Retry::default(),
        }
    }

    /// The server's address.
    #[must_use]
    pub fn address(&self) -> &str {
        self.inner.base.as_str().trim_end_matches('/')
    }

    /// The workflow endpoints.
    #[must_use]
    pub fn workflows(&self) -> Workflows<'_> {
        Workflows { client: self }
    }

    /// The execution endpoints.
    #[must_use]
    pub fn executions(&self) -> Executions<'_> {
        Executions { client: self }
    }

    /// The endpoints of the cluster.
    #[must_use]
    pub fn cluster(&self) -> Cluster<'_> {
        Cluster { client: self }
    }

    /// Whether the server is ready to work.
    ///
    /// Errors: as for any call; a server that is starting answers [`Error::Problem`] with status 503.
    pub async fn ready(&self) -> Result<()> {
        self.get(&["readyz"]).send_empty().await
    }
}

impl Builder {
    /// A bearer token, sent with every call.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// How long one try may take, from connecting to the last byte, and how long a call is tried again; 30 s if not
    /// said. Watching has no limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How calls are repeated.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The client. It connects with the first call.
    ///
    /// Errors: [`Error::Setup`] for an address that is no http or https URL, or a token that no header can carry.
    pub fn build(self) -> Result<Client> {
        let base = base_url(&self.address)?;
        let mut headers = HeaderMap::new();
        if let Some(token) = self.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| setup("the token has characters that no header can carry"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(5).min(self.timeout))
            .user_agent(concat!("everstep-sdk/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry the token to another host.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| setup(&error.to_string()))?;
        let inner = Inner { http, base, timeout: self.timeout, retry: self.retry };
        Ok(Client { inner: Arc::new(inner) })
    }
}

fn base_url(address: &str) -> Result<Url> {
    let spelled = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let url = Url::parse(&spelled).map_err(|error| setup(&format!("{address:?}: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(setup(&format!("{address:?} is not an http or https address")));
    }
    Ok(url)
}

fn setup(reason: &str) -> Error {
    Error::Setup { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_with_and_without_a_scheme() {
        for address in ["127.0.0.1:8000", "http://127.0.0.1:8000", "http://127.0.0.1:8000/"] {
            let client = Client::builder(address).build().unwrap();
            assert_eq!(client.address(), "http://127.0.0.1:8000");
        }
        for address in ["", "ftp://example.com", "http://"] {
            let error = Client::builder(address).build().unwrap_err();
            assert_eq!(error.code(), "setup", "{address:?} is refused");
        }
    }
}
