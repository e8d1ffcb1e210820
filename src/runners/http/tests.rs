//! What an http step promises, against servers on loopback.

mod tls;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::testing::{NOW_UNIX_S, attempt, registry};
use super::super::{HttpSettings, Registry, Settings};
use super::*;
use crate::engine::model::Timestamp;

/// A server that says the same few answers, one per connection, the last for ever.
pub(in crate::runners) struct Server {
    port: u16,
    seen: tokio::sync::Mutex<mpsc::UnboundedReceiver<String>>,
    _serving: JoinSet<()>,
}

impl Server {
    pub(in crate::runners) async fn answer(answer: &str) -> Self {
        Self::answers(&[answer]).await
    }

    pub(in crate::runners) async fn answers(answers: &[&str]) -> Self {
        Self::bytes(answers.iter().map(|answer| answer.as_bytes().to_vec()).collect()).await
    }

    async fn bytes(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (sender, seen) = mpsc::unbounded_channel();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut at = 0;
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(request) = read_request(&mut stream).await else { continue };
                if sender.send(request).is_err() {
                    return;
                }
                let _ = stream.write_all(&answers[at]).await;
                let _ = stream.shutdown().await;
                at = (at + 1).min(answers.len() - 1);
            }
        });
        Self { port, seen: tokio::sync::Mutex::new(seen), _serving: serving }
    }

    pub(in crate::runners) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The next request that came, as text.
    pub(in crate::runners) async fn seen(&self) -> String {
        self.seen.lock().await.recv().await.expect("a request comes")
    }

    async fn seen_in_all(&self) -> usize {
        self.seen.lock().await.len()
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let head = text.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4);
        if let Some(head) = head {
            let string = String::from_utf8_lossy(&text[..head]).to_ascii_lowercase();
            let length = string.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
            if text.len() >= head + length {
                return Some(String::from_utf8_lossy(&text).into_owned());
            }
        }
        if stream.read_buf(&mut text).await.ok()? == 0 {
            return None;
        }
    }
}

/// All runners, loopback allowed.
pub(in crate::runners) fn local() -> Registry {
    with(|_| {})
}

fn with(change: impl FnOnce(&mut HttpSettings)) -> Registry {
    let mut http = HttpSettings { allow_loopback: true, ..HttpSettings::default() };
    change(&mut http);
    registry(Settings { http, ..Settings::default() })
}

async fn run(params: Value) -> Result<Value, Fault> {
    local().run(&attempt(params), "http").await.map(|output| output.value())
}

fn ok(kind: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nx-one: a\r\nx-one: b\r\n\r\n{body}")
}

#[tokio::test]
async fn an_answer_is_status_headers_and_body() {
    let server = Server::answer(&ok("application/json; charset=utf-8", r#"{"a":[1,"ü"]}"#)).await;
    let output = run(json!({"url": server.url("/get"), "method": "get"})).await.expect("it answers");
    assert_eq!(output["status"], 200);
    assert_eq!(output["body"], json!({"a": [1, "ü"]}));
    assert_eq!(output["headers"]["x-one"], "a, b");
    assert!(output["duration_ms"].is_u64());
    let seen = server.seen().await;
    assert!(seen.starts_with("GET /get HTTP/1.1\r\n"), "{seen}");
    let key = attempt(json!({})).idempotency_key();
    assert!(seen.contains(&format!("idempotency-key: {key}\r\n")), "{seen}");
    assert!(seen.contains("everstep-attempt: 2\r\n"), "{seen}");
}

#[tokio::test]
async fn a_body_is_parsed_when_it_is_json() {
    let deep = format!("{}{}", "[".repeat(125), "]".repeat(125));
    for (answer, expected) in [
        (ok("application/problem+json", "[1]"), json!([1])),
        (ok("text/plain", "[1]"), json!("[1]")),
        (ok("application/json", "{oops"), json!("{oops")),
        (ok("application/json", &deep), json!(deep)),
        (ok("application/json", ""), json!("")),
        ("HTTP/1.1 200 OK\r\n\r\n{\"a\":1}".into(), json!({"a": 1})),
        ("HTTP/1.1 200 OK\r\n\r\nplain".into(), json!("plain")),
    ] {
        let server = Server::answer(&answer).await;
        let output = run(json!({"url": server.url("/")})).await.expect("it answers");
        assert_eq!(output["body"], expected, "{answer}");
    }
}

#[tokio::test]
async fn what_a_step_sends_arrives() {
    let server = Server::answer("HTTP/1.1 200 OK\r\n\r\n").await;
    for (params, line, kind, body) in [
        (json!({"json": {"a": 1}}), "POST / ", "application/json", r#"{"a":1}"#),
        (json!({"body": "text", "method": "PUT"}), "PUT / ", "text/plain; charset=utf-8", "text"),
        (json!({"body": [1]}), "POST / ", "application/json", "[1]"),
        (
            json!({"form": {"a b": "c&d", "n": 1}}),
            "POST / ",
            "application/x-www-form-urlencoded",
            "a+b=c%26d&n=1",
        ),
        (json!({"json": 1, "headers": {"Content-Type": "text/x"}}), "POST / ", "text/x", "1"),
    ] {
        let mut params = params;
        params["url"] = json!(server.url("/"));
        run(params.clone()).await.expect("it answers");
        let seen = server.seen().await;
        assert!(seen.starts_with(line), "{params}: {seen}");
        assert!(seen.contains(&format!("content-type: {kind}\r\n")), "{params}: {seen}");
        assert!(seen.ends_with(&format!("\r\n\r\n{body}")), "{params}: {seen}");
    }
    let query = json!({"a": [1, 2], "b": "x y", "c": null, "d": true});
    run(json!({"url": server.url("/p?z=0"), "query": query})).await.expect("it answers");
    assert!(server.seen().await.starts_with("GET /p?z=0&a=1&a=2&b=x+y&d=true HTTP"));
}

#[tokio::test]
async fn an_error_status_is_a_fault_with_its_answer() {
    for (status, retryable) in
        [(400, false), (404, false), (408, true), (409, false), (429, true), (500, true), (503, true)]
    {
        let answer = format!(
            "HTTP/1.1 {status} Oh\r\nretry-after: 7\r\ncontent-type: application/json\r\n\r\n{{\"why\":1}}"
        );
        let server = Server::answer(&answer).await;
        let fault = run(json!({"url": server.url("/")})).await.expect_err("an error status");
        assert_eq!((fault.code, fault.retryable), (format!("http_{status}"), retryable));
        let details = fault.details.expect("the answer is kept").value();
        assert_eq!((&details["status"], &details["body"]), (&json!(status), &json!({"why": 1})));
        assert_eq!(details["retry_after"], "7");
    }
}

#[tokio::test]
async fn expect_says_what_is_a_success() {
    for (expect, status, good) in [
        (json!([200, 404]), 404, true),
        (json!("4xx"), 404, true),
        (json!(["2xx", "404"]), 404, true),
        (json!(404), 404, true),
        (json!("2xx"), 404, false),
        (json!(201), 200, false),
        (json!("3xx"), 302, true),
    ] {
        let answer = format!("HTTP/1.1 {status} X\r\nlocation: /again\r\n\r\n");
        let server = Server::answer(&answer).await;
        let outcome = run(json!({"url": server.url("/"), "expect": expect})).await;
        assert_eq!(outcome.is_ok(), good, "{expect} of {status}: {outcome:?}");
        assert_eq!(server.seen_in_all().await, 1, "not followed");
    }
}

#[tokio::test]
async fn parameters_of_the_wrong_shape_are_faults_that_stay() {
    for params in [
        json!({}),
        json!({"url": 7}),
        json!({"url": "/relative"}),
        json!({"url": "http://"}),
        json!({"url": "http://x/", "method": "GE T"}),
        json!({"url": "http://x/", "json": 1, "body": "x"}),
        json!({"url": "http://x/", "headers": {"a b": "c"}}),
        json!({"url": "http://x/", "headers": {"a": "c\r\nevil: 1"}}),
        json!({"url": "http://x/", "headers": {"Host": "evil"}}),
        json!({"url": "http://x/", "headers": {"Transfer-Encoding": "chunked"}}),
        json!({"url": "http://x/", "query": {"a": {"b": 1}}}),
        json!({"url": "http://x/", "expect": "20x"}),
        json!({"url": "http://x/", "expect": 20}),
    ] {
        let fault = run(params.clone()).await.expect_err("wrong");
        assert_eq!((fault.code.as_str(), fault.retryable), ("schema", false), "{params}: {fault}");
    }
    let fault = run(json!({"url": "http://x/", "credential": "pay"})).await.expect_err("none are kept");
    assert_eq!(fault.code, "missing_credentials");
}

#[tokio::test]
async fn redirects_are_followed_and_become_get_where_browsers_do() {
    for (status, line) in
        [(301, "GET /there "), (303, "GET /there "), (307, "POST /there "), (308, "POST /there ")]
    {
        let moved = format!("HTTP/1.1 {status} M\r\nlocation: /there\r\n\r\n");
        let server = Server::answers(&[&moved, "HTTP/1.1 200 OK\r\n\r\nhere"]).await;
        let params =
            json!({"url": server.url("/a"), "json": {"a": 1}, "headers": {"Authorization": "Bearer s"}});
        assert_eq!(run(params).await.expect("it arrives")["body"], "here");
        server.seen().await;
        let second = server.seen().await;
        assert!(second.starts_with(line), "{status}: {second}");
        assert!(second.contains("authorization: Bearer s"), "the same origin keeps its headers: {second}");
        assert_eq!(second.ends_with("{\"a\":1}"), line.starts_with("POST"), "{second}");
    }
}

#[tokio::test]
async fn another_origin_gets_no_secrets() {
    let target = Server::answer("HTTP/1.1 200 OK\r\n\r\nhere").await;
    let moved = format!("HTTP/1.1 302 M\r\nlocation: {}\r\n\r\n", target.url("/x"));
    let server = Server::answer(&moved).await;
    let headers = json!({"Authorization": "Bearer s", "Cookie": "c", "X-Api-Key": "k", "Accept": "text/x"});
    run(json!({"url": server.url("/"), "headers": headers})).await.expect("it arrives");
    let seen = target.seen().await;
    assert!(seen.contains("accept: text/x\r\n"), "{seen}");
    for secret in ["authorization", "cookie", "x-api-key"] {
        assert!(!seen.contains(secret), "{seen}");
    }
}

#[tokio::test]
async fn a_redirect_to_a_forbidden_place_is_refused() {
    for place in
        ["http://10.0.0.1/", "http://169.254.169.254/", "file:///etc/passwd", "http://[::ffff:7f00:1]/"]
    {
        let server = Server::answer(&format!("HTTP/1.1 302 M\r\nlocation: {place}\r\n\r\n")).await;
        let fault = run(json!({"url": server.url("/")})).await.expect_err(place);
        assert_eq!(fault.code, "refused", "{place}: {fault}");
    }
}

#[tokio::test]
async fn redirects_end() {
    let server = Server::answer("HTTP/1.1 302 M\r\nlocation: /again\r\n\r\n").await;
    let fault = run(json!({"url": server.url("/")})).await.expect_err("for ever");
    assert_eq!(fault.code, "limit");
    assert_eq!(server.seen_in_all().await, 6);
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_a_fault() {
    let big = "x".repeat((1 << 20) + 1);
    let told = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{big}", big.len());
    let untold = format!("HTTP/1.1 200 OK\r\n\r\n{big}");
    // Below the limit as bytes, above it as JSON.
    let swelling = format!("HTTP/1.1 200 OK\r\n\r\n{}", "\u{1}".repeat(1 << 19));
    for answer in [told, untold, swelling] {
        let server = Server::answer(&answer).await;
        let fault = run(json!({"url": server.url("/")})).await.expect_err("too much");
        assert_eq!((fault.code.as_str(), fault.retryable), ("limit", false), "{fault}");
    }
}

#[tokio::test]
async fn what_is_not_text_is_replaced() {
    let server = Server::bytes(vec![b"HTTP/1.1 200 OK\r\n\r\na\xffb".to_vec()]).await;
    assert_eq!(run(json!({"url": server.url("/")})).await.expect("it answers")["body"], "a\u{fffd}b");
}

#[tokio::test]
async fn a_connection_that_fails_may_work_next_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let url = format!("http://127.0.0.1:{port}/?token=planted");
    let fault = run(json!({"url": url})).await.expect_err("nobody listens");
    assert_eq!((fault.code.as_str(), fault.retryable), ("connection", true));
    assert!(!fault.message.contains("planted"), "{fault}");
    let server = Server::answer("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
    let fault = run(json!({"url": server.url("/")})).await.expect_err("half an answer");
    assert_eq!((fault.code.as_str(), fault.retryable), ("connection", true), "{fault}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let by_settings = with(|settings| settings.timeout = Duration::from_millis(20));
    let fault = by_settings.run(&attempt(json!({"url": url})), "http").await.expect_err("silence");
    assert_eq!((fault.code.as_str(), fault.retryable), ("timeout", true));
    let deadline = Some(Timestamp::from_micros(NOW_UNIX_S * 1_000_000 + 20_000));
    let by_deadline = super::super::Attempt { deadline, ..attempt(json!({"url": url})) };
    assert_eq!(local().run(&by_deadline, "http").await.expect_err("silence").code, "timeout");
}

#[tokio::test]
async fn loopback_is_refused_unless_allowed() {
    let server = Server::answer("HTTP/1.1 200 OK\r\n\r\n").await;
    let registry = registry(Settings::default());
    let fault = registry.run(&attempt(json!({"url": server.url("/")})), "http").await.expect_err("refused");
    assert_eq!(fault.code, "refused");
    assert!(fault.message.contains("http.allow_loopback"), "{fault}");
    assert_eq!(server.seen_in_all().await, 0);
}
