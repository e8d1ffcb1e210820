//! The listener: answers, idle connections, slow speakers, bad heads, a graceful stop.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Node;
use crate::api::{ConnectionLimits, serve};

/// A node behind a listener.
struct Door {
    node: Node,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Door {
    async fn open(limits: ConnectionLimits) -> Self {
        let node = Node::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let until = async {
            let _dropped = stopped.await;
        };
        let serving = tokio::spawn(serve(listener, node.router.clone(), until, limits));
        Self { node, address, stop, serving }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Says something and reads until the connection is closed.
    async fn told(&self, word: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(word).await.unwrap();
        rest(&mut stream).await
    }
}

/// Everything that still comes. A reset would have taken the answer away.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("closed in order, not reset");
    String::from_utf8(answer).unwrap()
}

async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "closed after {answer:?}");
    }
    String::from_utf8(answer).unwrap()
}

/// That an answer is a whole problem document.
#[track_caller]
fn is_problem(answer: &str, status: u16, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.contains("content-type: application/problem+json"), "{answer}");
    let document: serde_json::Value = serde_json::from_str(body).expect("a document");
    assert_eq!((document["status"].as_u64(), document["code"].as_str()), (Some(status.into()), Some(code)));
    assert!(head.contains(document["trace_id"].as_str().expect("a trace id")), "{answer}");
}

#[tokio::test]
async fn a_connection_is_kept_and_an_idle_one_does_not_hold_up_the_stop() {
    let door = Door::open(ConnectionLimits::default()).await;
    let mut talker = door.connect().await;
    assert!(ask(&mut talker).await.starts_with("HTTP/1.1 200"));
    assert!(ask(&mut talker).await.contains("x-trace-id"), "the connection is kept");
    let mut idle = door.connect().await;
    door.stop.send(()).unwrap();
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or(0), 0);
    door.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_head_that_cannot_be_read_is_answered_with_a_problem() {
    let door = Door::open(ConnectionLimits::default()).await;
    let long = "x".repeat(20 << 10);
    let huge = "x".repeat(300 << 10);
    let cases = [
        (format!("GET / HTTP/1.1\r\nhost: x\r\na: {long}\r\n\r\n"), 431, "head_too_large"),
        (format!("GET / HTTP/1.1\r\nhost: x\r\na: {huge}\r\n\r\n"), 431, "head_too_large"),
        (format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"), 414, "uri_too_long"),
        (format!("GET /{huge} HTTP/1.1\r\nhost: x\r\n\r\n"), 414, "uri_too_long"),
        ("GET / HTTP/1.1\r\nhost: x\r\na: b\u{1}c\r\n\r\n".to_owned(), 400, "malformed_head"),
        ("GET / HTTP/1.1\r\nhost: x\r\na\u{0}: b\r\n\r\n".to_owned(), 400, "malformed_head"),
        ("GET /\r\n\r\n".to_owned(), 400, "malformed_head"),
        ("GET / HTTP/7.0\r\n\r\n".to_owned(), 400, "malformed_head"),
        ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ten\r\n\r\n".to_owned(), 400, "malformed_head"),
        (
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_owned(),
            400,
            "malformed_head",
        ),
        ("\u{16}\u{3}\u{1}\u{2}".to_owned(), 400, "malformed_head"),
    ];
    for (request, status, code) in cases {
        let answer = door.told(request.as_bytes()).await;
        is_problem(&answer, status, code);
    }
    let mut talker = door.connect().await;
    assert!(ask(&mut talker).await.starts_with("HTTP/1.1 200"));
    talker.write_all(b"GET / HTTP/1.1\r\nb\x01d: x\r\n\r\n").await.unwrap();
    is_problem(&rest(&mut talker).await, 400, "malformed_head");
}

#[tokio::test]
async fn a_head_that_does_not_end_is_given_up_before_an_idle_connection() {
    let head_time_max = Duration::from_millis(200);
    let door = Door::open(ConnectionLimits { head_time_max, ..ConnectionLimits::default() }).await;
    let mut idle = door.connect().await;
    let mut kept = door.connect().await;
    assert!(ask(&mut kept).await.starts_with("HTTP/1.1 200"));
    for word in [&b"PRI"[..], b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\n"] {
        is_problem(&door.told(word).await, 408, "head_too_slow");
    }
    let mut second = door.connect().await;
    assert!(ask(&mut second).await.starts_with("HTTP/1.1 200"));
    second.write_all(b"GET /health HTTP/1.1\r\n").await.unwrap();
    is_problem(&rest(&mut second).await, 408, "head_too_slow");
    assert!(ask(&mut idle).await.starts_with("HTTP/1.1 200"), "silence is no head");
    assert!(ask(&mut kept).await.starts_with("HTTP/1.1 200"), "nor is it between two requests");
}

#[tokio::test]
async fn silence_has_an_end() {
    let idle_time_max = Duration::from_millis(200);
    let door = Door::open(ConnectionLimits { idle_time_max, ..ConnectionLimits::default() }).await;
    assert_eq!(door.told(b"").await, "");
    let mut kept = door.connect().await;
    assert!(ask(&mut kept).await.starts_with("HTTP/1.1 200"));
    assert_eq!(rest(&mut kept).await, "");
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let door = Door::open(ConnectionLimits { connections_max: 1, ..ConnectionLimits::default() }).await;
    let mut first = door.connect().await;
    assert!(ask(&mut first).await.starts_with("HTTP/1.1 200"));
    let answer = door.told(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    is_problem(&answer, 503, "too_many_connections");
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    assert!(ask(&mut first).await.starts_with("HTTP/1.1 200"));
    drop(first);
    let mut next = door.connect().await;
    while !ask(&mut next).await.starts_with("HTTP/1.1 200") {
        next = door.connect().await;
    }
}

#[tokio::test]
async fn a_stop_ends_the_streams() {
    let door = Door::open(ConnectionLimits::default()).await;
    let text = r#"{"definition": {"name": "nap", "steps": [{"type": "delay", "params": {"for": "1h"}}]}}"#;
    let (status, execution) = door.node.json("POST", "/api/executions", text).await;
    assert_eq!(status, 201, "{execution}");
    let id = execution["id"].as_str().expect("an id");
    let mut reader = door.connect().await;
    let request = format!("GET /api/executions/{id}/stream HTTP/1.1\r\nhost: x\r\n\r\n");
    reader.write_all(request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("step_waiting") {
        assert!(reader.read_buf(&mut seen).await.unwrap() > 0);
    }
    door.stop.send(()).unwrap();
    let rest = rest(&mut reader).await;
    assert!(rest.ends_with("0\r\n\r\n"), "the body ends as a body ends: {rest:?}");
    let stopped = tokio::time::timeout(ConnectionLimits::default().drain_time_max / 2, door.serving).await;
    stopped.expect("a stream does not hold up the stop").unwrap().unwrap();
}
