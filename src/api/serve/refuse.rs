//! Telling a caller no before a request of it was read.

use std::fmt::Write;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::ServiceExt;

use crate::api::problem::Problem;

/// How long all of it may take: the caller is there and listens, or it has gone.
const TIME_MAX: Duration = Duration::from_secs(2);
/// What a caller may still send. A socket that is closed with bytes unread is reset, and a reset takes the
/// answer away from the caller that has not read it yet.
const UNREAD_BYTES_MAX: usize = 1 << 20;

/// Answers a problem and closes the connection such that the answer arrives.
pub(super) async fn refuse(router: &Router, mut stream: TcpStream, problem: Problem) {
    let answer = answer(router, problem).await;
    let told = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        let (mut unread, mut bytes) = ([0; 4_096], 0);
        while bytes < UNREAD_BYTES_MAX {
            match stream.read(&mut unread).await? {
                0 => break,
                read => bytes += read,
            }
        }
        Ok::<(), std::io::Error>(())
    };
    // Whoever does not listen any more is not told.
    let _ = tokio::time::timeout(TIME_MAX, told).await;
}

/// The bytes of the answer. It comes from the router, so that it is counted and logged like any other.
async fn answer(router: &Router, problem: Problem) -> Vec<u8> {
    let mut request = Request::new(Body::empty());
    request.extensions_mut().insert(problem);
    let (head, body) = match router.clone().oneshot(request).await {
        Ok(response) => response.into_parts(),
        Err(never) => match never {},
    };
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let mut text = format!("HTTP/1.1 {}\r\n", head.status);
    for (name, value) in &head.headers {
        // Writing to a string does not fail.
        let _ = write!(text, "{name}: {}\r\n", value.to_str().unwrap_or_default());
    }
    let _ = write!(text, "content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}
