//! The bytes of one connection, with an eye on the heads of its requests.
//!
//! The HTTP library answers a head that it cannot read by itself: with a bare status, and not a word to
//! us. That answer is caught here on its way out. The library takes it for sent and lets go of the
//! connection, which then goes back to the server, to be told in full what was wrong. A head that has
//! begun and does not end is cut off here too, and goes the same way.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use super::ConnectionLimits;
use crate::api::edge::TRACE_ID;
use crate::api::problem::Problem;

/// How an HTTP/2 connection begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What both ends of a connection know of its requests.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// Heads that were read whole.
    read: AtomicUsize,
    /// Requests whose answer is not out yet.
    at_work: AtomicUsize,
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct AtWork(Arc<Heads>);

impl Heads {
    /// A head was read whole.
    pub(super) fn begin(self: &Arc<Self>) -> AtWork {
        self.read.fetch_add(1, Ordering::Relaxed);
        self.at_work.fetch_add(1, Ordering::Relaxed);
        AtWork(Arc::clone(self))
    }

    /// Whether any was.
    pub(super) fn any(&self) -> bool {
        self.read.load(Ordering::Relaxed) > 0
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a connection is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The head is none.
    Malformed,
    /// The first line alone is too long.
    LongLine,
    /// The head is too long.
    Large,
    /// The head does not end.
    Slow,
}

impl Refusal {
    /// What the caller is told.
    pub(super) fn problem(self, limits: &ConnectionLimits) -> Problem {
        let bytes = limits.head_bytes_max;
        match self {
            Self::Malformed => Problem::new(
                StatusCode::BAD_REQUEST,
                "malformed_head",
                "the first line or a header of this request cannot be read: look for control characters, \
                 a Content-Length that is no number, or another protocol than HTTP/1.1 and HTTP/2",
            ),
            Self::LongLine => Problem::new(
                StatusCode::URI_TOO_LONG,
                "uri_too_long",
                format!("the first line of a request may have {bytes} bytes, with its headers"),
            ),
            Self::Large => Problem::new(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "head_too_large",
                format!("the headers of a request may have {bytes} bytes, with its first line"),
            ),
            Self::Slow => Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "head_too_slow",
                format!("the head of this request did not arrive within {:?}", limits.head_time_max),
            ),
        }
    }
}

/// Where a connection goes that was given up.
pub(super) type Back = oneshot::Sender<(TcpStream, Refusal)>;

/// The bytes of one connection.
pub(super) struct Wire {
    /// Gone only once it is dropped.
    stream: Option<TcpStream>,
    heads: Arc<Heads>,
    head_time_max: Duration,
    back: Option<Back>,
    refused: Option<Refusal>,
    /// When the head that is not whole yet began.
    began: Option<Instant>,
    /// Wakes the reader when that was too long ago.
    alarm: Option<Pin<Box<Sleep>>>,
    /// How many heads were whole when bytes came last.
    read: usize,
    /// A line has ended since.
    has_line: bool,
    /// How much of [`PREFACE`] the connection began with; none if it began with anything else.
    preface: Option<usize>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, heads: Arc<Heads>, head_time_max: Duration, back: Back) -> Self {
        Self {
            stream: Some(stream),
            heads,
            head_time_max,
            back: Some(back),
            refused: None,
            began: None,
            alarm: None,
            read: 0,
            has_line: false,
            preface: Some(0),
        }
    }

    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.stream.as_mut().expect("a wire keeps its stream until it is dropped"))
    }

    const fn is_http2(&self) -> bool {
        matches!(self.preface, Some(seen) if seen == PREFACE.len())
    }

    /// Bytes have come.
    fn saw(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || self.is_http2() {
            return;
        }
        if let Some(seen) = self.preface {
            let rest = &PREFACE[seen..];
            let both = rest.len().min(bytes.len());
            self.preface = (rest[..both] == bytes[..both]).then_some(seen + both);
        }
        let read = self.heads.read.load(Ordering::Relaxed);
        if read != self.read {
            (self.read, self.has_line, self.began) = (read, false, None);
        }
        self.has_line |= bytes.contains(&b'\n');
        if self.heads.at_work.load(Ordering::Relaxed) == 0 {
            self.began.get_or_insert_with(Instant::now);
        }
    }

    /// Whether a head has begun too long ago. If not, the reader is woken when it has.
    fn is_too_slow(&mut self, cx: &mut Context<'_>) -> bool {
        let whole = self.heads.read.load(Ordering::Relaxed) != self.read;
        if whole || self.is_http2() || self.heads.at_work.load(Ordering::Relaxed) > 0 {
            self.began = None;
        }
        let Some(began) = self.began else {
            self.alarm = None;
            return false;
        };
        let deadline = began + self.head_time_max;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if alarm.deadline() != deadline {
            alarm.as_mut().reset(deadline);
        }
        alarm.as_mut().poll(cx).is_ready()
    }

    /// Notes the library's own answer to a head that it cannot read.
    fn catch(&mut self, bytes: &[u8]) -> bool {
        if self.refused.is_none() && !self.is_http2() {
            self.refused = bare_refusal(bytes, self.has_line);
        }
        self.refused.is_some()
    }
}

/// What an answer of the library itself says. Ours have a trace id.
fn bare_refusal(bytes: &[u8], has_line: bool) -> Option<Refusal> {
    let head = bytes.strip_prefix(b"HTTP/1.1 ").or_else(|| bytes.strip_prefix(b"HTTP/1.0 "))?;
    let ours = || head.windows(TRACE_ID.as_str().len()).any(|it| it == TRACE_ID.as_str().as_bytes());
    if !head.ends_with(b"\r\n\r\n") || ours() {
        return None;
    }
    match head.get(..3)? {
        b"400" => Some(Refusal::Malformed),
        b"414" => Some(Refusal::LongLine),
        b"431" if has_line => Some(Refusal::Large),
        b"431" => Some(Refusal::LongLine),
        _ => None,
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match this.stream().poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                this.saw(&buf.filled()[before..]);
                Poll::Ready(Ok(()))
            }
            Poll::Pending if this.is_too_slow(cx) => {
                this.refused = Some(Refusal::Slow);
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.catch(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        this.stream().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let first = bufs.iter().find(|buf| !buf.is_empty());
        if first.is_some_and(|buf| this.catch(buf)) {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        this.stream().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Something is still to be said.
        if this.refused.is_some() {
            return Poll::Ready(Ok(()));
        }
        this.stream().poll_shutdown(cx)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let (Some(refusal), Some(stream), Some(back)) =
            (self.refused, self.stream.take(), self.back.take())
        {
            // Nobody is there to take it when the server itself is gone.
            let _ = back.send((stream, refusal));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_librarys_own_refusals_are_caught() {
        let bare =
            |status: &str| format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        let caught = |text: &str| bare_refusal(text.as_bytes(), true);
        assert_eq!(caught(&bare("400 Bad Request")), Some(Refusal::Malformed));
        assert_eq!(caught(&bare("431 Request Header Fields Too Large")), Some(Refusal::Large));
        assert_eq!(bare_refusal(bare("431 x").as_bytes(), false), Some(Refusal::LongLine));
        assert_eq!(caught(&bare("200 OK")), None);
        assert_eq!(caught("HTTP/1.1 400 Bad Request\r\nx-trace-id: 00\r\n\r\n"), None);
        assert_eq!(caught("{\"say\": \"HTTP/1.1 400 Bad Request\"}"), None);
        assert_eq!(caught(""), None);
    }
}
