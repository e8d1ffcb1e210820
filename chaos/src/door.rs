//! The public port of one node of several, and what its answers mean while things break.
//!
//! What a caller knows after a request is one of four things: it was done, it was not done, it is wrong, or nobody
//! knows. Mixing them up makes a check blind or unjust, so they are told apart here and nowhere else.

use std::time::Duration;

use anyhow::Result;
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

/// A node waits 5 s for a leader before it says no; somebody who asks a node that is frozen waits no longer.
const TIMEOUT: Duration = Duration::from_secs(6);

/// What came of a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// It was done; this is the answer.
    Done(Value),
    /// The node refuses it, and is right or not; the caller knows.
    Refused(StatusCode, String),
    /// It was not done, and may be later.
    NotNow(String),
    /// The node says that it cannot tell: it lost sight of the leader while it waited.
    Unavailable(String),
    /// No answer came, and nobody knows.
    Unknown(String),
}

/// The public port of a node.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    http: Client,
    base: String,
}

impl Door {
    pub(crate) fn new(base: String) -> Result<Self> {
        let http = Client::builder().timeout(TIMEOUT).connect_timeout(Duration::from_secs(2)).build()?;
        Ok(Self { http, base })
    }

    pub(crate) fn address(&self) -> &str {
        &self.base
    }

    /// Whether the node takes work, as it says itself.
    pub(crate) async fn ready(&self) -> bool {
        matches!(self.get("/readyz").await, Reply::Done(_))
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path, None, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask(Method::POST, path, None, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.ask(Method::DELETE, path, None, None).await
    }

    /// Submits under an idempotency key.
    pub(crate) async fn submit(&self, workflow: &str, key: &str, input: &Value) -> Reply {
        let path = format!("/api/workflows/{workflow}/trigger");
        self.ask(Method::POST, &path, Some(key), Some(&serde_json::json!({ "input": input }))).await
    }

    /// A whole history, as long as one page holds it.
    pub(crate) async fn history(&self, id: &str) -> Reply {
        match self.get(&format!("/api/executions/{id}/history?limit=1000")).await {
            Reply::Done(mut page) if page["next_cursor"].is_null() => Reply::Done(page["items"].take()),
            Reply::Done(_) => Reply::Unknown("the history is longer than a page".to_owned()),
            other => other,
        }
    }

    async fn ask(&self, method: Method, path: &str, key: Option<&str>, body: Option<&Value>) -> Reply {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => return Reply::NotNow("nobody listens".to_owned()),
            Err(error) => return Reply::Unknown(error.to_string()),
        };
        let status = answer.status();
        let Ok(text) = answer.text().await else {
            return Reply::Unknown("the answer broke off".to_owned());
        };
        judge(status, text)
    }
}

fn judge(status: StatusCode, text: String) -> Reply {
    if status.is_success() {
        return match serde_json::from_str(&text) {
            Ok(answer) => Reply::Done(answer),
            Err(error) => Reply::Refused(status, format!("an answer that is no JSON: {error}")),
        };
    }
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::INSUFFICIENT_STORAGE => Reply::NotNow(text),
        StatusCode::SERVICE_UNAVAILABLE => Reply::Unavailable(text),
        _ => Reply::Refused(status, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_certain_is_called_so() {
        let of = |status: u16| judge(StatusCode::from_u16(status).expect("a status"), "{}".to_owned());
        assert!(matches!(of(200), Reply::Done(_)));
        assert!(matches!(of(429), Reply::NotNow(_)));
        assert!(matches!(of(507), Reply::NotNow(_)));
        assert!(matches!(of(503), Reply::Unavailable(_)));
        for status in [400, 404, 409, 500] {
            assert!(matches!(of(status), Reply::Refused(..)), "{status}");
        }
    }
}
