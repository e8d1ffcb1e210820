//! One keep-alive connection, as cheap as HTTP/1.1 can be asked.
//!
//! The generator shares its processors with the node it measures, so each microsecond it spends is one
//! that it takes away. What it needs of HTTP is little: the request is always the same bytes, and of an
//! answer it has to find the end, the status, and one word of the body.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Heads and bodies of answers to a bench are a few kilobytes; more is not an answer to it.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// A request, ready to be written.
#[derive(Debug, Clone)]
pub(super) struct Request(Vec<u8>);

impl Request {
    pub(super) fn post(host: &str, path: &str, token: Option<&str>, body: &[u8]) -> Self {
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\n{token}content-type: application/json\r\n\
             content-length: {length}\r\n\r\n"
        );
        Self([head.as_bytes(), body].concat())
    }
}

/// How one request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// The execution completed.
    Completed,
    /// It ended otherwise, or not in time.
    NotCompleted,
    /// The server answered with this status.
    Refused(u16),
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// Bytes read; those of one answer at most.
    buffer: Vec<u8>,
    /// The server hangs up after its last answer.
    closing: bool,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096), closing: false })
    }

    /// The server has said that it answers nothing more here.
    pub(super) const fn is_closing(&self) -> bool {
        self.closing
    }

    /// Sends the request and reads the answer to its end.
    pub(super) async fn ask(&mut self, request: &Request) -> io::Result<Outcome> {
        self.buffer.clear();
        self.stream.write_all(&request.0).await?;
        loop {
            if let Some(answer) = Answer::find(&self.buffer)? {
                self.closing = answer.closing;
                return Ok(answer.outcome());
            }
            if self.buffer.len() > ANSWER_BYTES_MAX {
                return Err(io::Error::other("the answer is too long"));
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

struct Answer<'a> {
    status: u16,
    closing: bool,
    body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// The answer, once all of it is there.
    fn find(bytes: &'a [u8]) -> io::Result<Option<Self>> {
        let Some(end) = position(bytes, b"\r\n\r\n") else { return Ok(None) };
        let (head, rest) = (&bytes[..end], &bytes[end + 4..]);
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "this is no HTTP/1.1 answer");
        let head = std::str::from_utf8(head).map_err(|_| malformed())?;
        let status = head.get(9..12).and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
        let header = |wanted: &str| {
            let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
            lines.clone().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
        };
        let length = header("content-length").and_then(|value| value.parse::<usize>().ok());
        let closing = header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let body = match length {
            Some(length) => rest.get(..length),
            // The last chunk is empty. A body of JSON has no line break that could look like it.
            None => rest.ends_with(b"0\r\n\r\n").then_some(rest),
        };
        Ok(body.map(|body| Self { status, closing, body }))
    }

    fn outcome(&self) -> Outcome {
        match self.status {
            200 if position(self.body, br#""status":"completed""#).is_some() => Outcome::Completed,
            200..=299 => Outcome::NotCompleted,
            status => Outcome::Refused(status),
        }
    }
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(bytes: &[u8]) -> Option<Outcome> {
        Answer::find(bytes).unwrap().map(|answer| answer.outcome())
    }

    #[test]
    fn an_answer_is_found_when_it_is_whole() {
        let body = r#"{"id":"x","status":"completed"}"#;
        let whole = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        for cut in 0..whole.len() {
            assert_eq!(outcome(&whole.as_bytes()[..cut]), None, "after {cut} bytes");
        }
        assert_eq!(outcome(whole.as_bytes()), Some(Outcome::Completed));
    }

    #[test]
    fn chunked_answers_end_too() {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(outcome(format!("{head}2\r\n{{}}\r\n").as_bytes()), None);
        assert_eq!(outcome(format!("{head}2\r\n{{}}\r\n0\r\n\r\n").as_bytes()), Some(Outcome::NotCompleted));
    }

    #[test]
    fn a_server_that_hangs_up_says_so() {
        let closing = |bytes: &[u8]| Answer::find(bytes).unwrap().unwrap().closing;
        assert!(closing(b"HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 0\r\n\r\n"));
        assert!(!closing(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    }

    #[test]
    fn refusals_keep_their_status() {
        assert_eq!(outcome(b"HTTP/1.1 429 X\r\ncontent-length: 0\r\n\r\n"), Some(Outcome::Refused(429)));
        assert_eq!(outcome(b"HTTP/1.1 202 X\r\ncontent-length: 0\r\n\r\n"), Some(Outcome::NotCompleted));
        assert!(Answer::find(b"SSH-2.0-x\r\n\r\n").is_err());
    }
}
