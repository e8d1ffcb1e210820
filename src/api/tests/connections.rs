//! The listener: answers, idle connections, slow speakers, a graceful stop.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::api::{ConnectionLimits, serve};

async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "closed after {answer:?}");
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn connections_are_served_bounded_and_drained() {
    let node = super::Node::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let until = async {
        let _dropped = stopped.await;
    };
    let header_time_max = Duration::from_millis(300);
    let limits = ConnectionLimits { header_time_max, ..ConnectionLimits::default() };
    let serving = tokio::spawn(serve(listener, node.router.clone(), until, limits));

    let mut talker = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut talker).await.starts_with("HTTP/1.1 200"));
    assert!(ask(&mut talker).await.contains("x-trace-id"), "the connection is kept");

    // One that says nothing, and two that stop in the middle of a word.
    for word in [&b""[..], b"PRI", b"GET / HT"] {
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(word).await.unwrap();
        let mut rest = Vec::new();
        let _reset_or_closed = slow.read_to_end(&mut rest).await;
        assert!(!rest.starts_with(b"HTTP/1.1 200"));
    }

    let mut large = TcpStream::connect(address).await.unwrap();
    let header = format!("GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "x".repeat(20 << 10));
    large.write_all(header.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    large.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");

    let mut idle = TcpStream::connect(address).await.unwrap();
    stop.send(()).unwrap();
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or(0), 0, "an idle connection does not hold up the stop");
    serving.await.unwrap().unwrap();
}
