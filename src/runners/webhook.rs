//! `webhook`: posts a payload that the receiver can verify.
//!
//! The signature covers the time and the exact bytes of the body, as `t + "." + body`, so that neither
//! can be changed and an old delivery can be refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use reqwest::header::{self, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::Sha256;
use tokio::time::Instant;

use super::egress::{Egress, Request};
use super::written::Written;
use super::{Attempt, Outcome, Runner, Running, http, params};
use crate::engine::definition::{Misfit, RunnerShape};
use crate::engine::model::{Fault, codes};

/// The only action.
const POST_REQUEST: &str = "post_request";

/// The runner. See the module.
pub(super) struct Webhook {
    egress: Arc<Egress>,
}

#[derive(Deserialize)]
struct Params<'a> {
    url: String,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    secret: String,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
}

impl Webhook {
    pub(super) fn new(egress: Arc<Egress>) -> Self {
        Self { egress }
    }

    async fn attempt(&self, attempt: &Attempt) -> Outcome {
        if !matches!(attempt.action.as_str(), "" | POST_REQUEST) {
            let message =
                format!("`webhook` knows only the action `{POST_REQUEST}`, not `{}`", attempt.action);
            return Err(Fault::fatal(codes::UNKNOWN_ACTION, message));
        }
        let params: Params<'_> = params::decode(&attempt.params)?;
        trusted(&params.secret)?;
        let body = params.payload.map_or("null", RawValue::get);
        let mut headers = http::headers(&params.headers)?;
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let signature = signature(&params.secret, self.egress.now().unix_ms() / 1_000, body);
        let signature = HeaderValue::from_str(&signature).expect("a signature is hex and punctuation");
        headers.insert(HeaderName::from_static("everstep-signature"), signature);
        let request = Request {
            method: Method::POST,
            url: http::url(&params.url)?,
            headers,
            body: Some(body.as_bytes().to_vec()),
            // The payload is for the named receiver alone.
            follow: false,
        };
        let started = Instant::now();
        let response = self.egress.send(attempt, request).await?;
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if response.status.is_success() {
            Ok(http::output(&response, duration_ms))
        } else {
            Err(http::fault(&response))
        }
    }
}

impl Runner for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn shape(&self) -> RunnerShape {
        RunnerShape {
            actions: params::names(&[POST_REQUEST]),
            required: params::names(&["url", "secret"]),
            known: params::names(&["url", "payload", "secret", "headers", "timeout"]),
            check: Some(check),
        }
    }

    fn run<'a>(&'a self, attempt: &'a Attempt) -> Running<'a> {
        Box::pin(self.attempt(attempt))
    }
}

/// What a definition can be told before anything runs.
fn check(params: &Value) -> Vec<Misfit> {
    let mut written = Written::new(params);
    http::check_url(&mut written);
    http::check_headers(&mut written);
    if let Some(secret) = written.text("secret") {
        written.judge("/secret", trusted(secret));
    }
    written.misfits()
}

/// Errors: a `schema` fault for a secret that is none.
fn trusted(secret: &str) -> Result<(), Fault> {
    if secret.is_empty() {
        return Err(params::wrong("`secret` is empty, so nobody could trust the signature"));
    }
    Ok(())
}

/// `t=<unix seconds>,v1=<hex of HMAC-SHA-256 over t.body>`.
fn signature(secret: &str, unix_s: u64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{unix_s}.{body}").as_bytes());
    let tag = mac.finalize().into_bytes();
    let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={unix_s},v1={hex}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::http::tests::{Server, local};
    use super::super::testing::{NOW_UNIX_S, attempt};
    use super::*;

    #[test]
    fn the_signature_is_what_openssl_says() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac shh
        assert_eq!(
            signature("shh", 1_700_000_000, r#"{"a":1}"#),
            "t=1700000000,v1=be310eac0f84daf469d630347a950258de768b365563ab68f29f2f783473d547"
        );
    }

    #[tokio::test]
    async fn the_receiver_gets_the_signed_bytes() {
        let server = Server::answer("HTTP/1.1 204 No Content\r\n\r\n").await;
        let params = json!({"url": server.url("/hook"), "payload": {"b": 1, "a": "ü"}, "secret": "shh"});
        let attempt = Attempt { action: POST_REQUEST.into(), ..attempt(params) };
        let output = local().run(&attempt, "webhook").await.expect("the receiver is content");
        assert_eq!(output.value()["status"], 204);
        let seen = server.seen().await;
        let body = seen.split_once("\r\n\r\n").expect("a body").1;
        assert!(seen.starts_with("POST /hook HTTP/1.1\r\n"));
        assert!(
            seen.contains(&format!("everstep-signature: {}\r\n", signature("shh", NOW_UNIX_S, body))),
            "{seen}"
        );
        assert!(seen.contains("everstep-attempt: 2\r\n") && seen.contains("/a-step\r\n"), "{seen}");
    }

    #[tokio::test]
    async fn anything_but_success_is_a_fault_and_redirects_are_not_followed() {
        let server =
            Server::answer("HTTP/1.1 307 Moved\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n").await;
        let params = json!({"url": server.url("/"), "secret": "shh"});
        let fault = local().run(&attempt(params), "webhook").await.expect_err("it moved");
        assert_eq!((fault.code.as_str(), fault.retryable), ("http_307", false));
        let other = Attempt { action: "put".into(), ..attempt(json!({})) };
        assert_eq!(local().run(&other, "webhook").await.expect_err("no such action").code, "unknown_action");
    }
}
