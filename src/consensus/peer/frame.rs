//! One message on a connection.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The largest frame: the largest entry, and as much again for what was appended beside it.
pub(super) const FRAME_BYTES_MAX: usize = 24 << 20;

/// Kind and id.
const HEAD_BYTES: usize = 9;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Who dialled, and whom it means.
    Hello = 1,
    /// The other end takes its requests.
    Welcome = 2,
    /// The other end does not, and says why.
    Refused = 3,
    /// A request.
    Request = 4,
    /// Its answer.
    Answer = 5,
    /// Why there is none.
    Failure = 6,
    /// Is anybody there?
    Ping = 7,
    /// Yes.
    Pong = 8,
    /// The other end does not take its requests, now or ever, and says why.
    Dismissed = 9,
}

impl Kind {
    const fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Hello,
            2 => Self::Welcome,
            3 => Self::Refused,
            4 => Self::Request,
            5 => Self::Answer,
            6 => Self::Failure,
            7 => Self::Ping,
            8 => Self::Pong,
            9 => Self::Dismissed,
            _ => return None,
        })
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// Of the request, so that its answer finds back.
    pub(super) id: u64,
    pub(super) body: Bytes,
}

impl Frame {
    pub(super) fn new(kind: Kind, id: u64, body: impl Into<Bytes>) -> Self {
        Self { kind, id, body: body.into() }
    }

    /// Writes it, without flushing.
    pub(super) async fn write(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let length = u32::try_from(HEAD_BYTES + self.body.len())
            .ok()
            .filter(|length| *length as usize <= FRAME_BYTES_MAX)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a message is too large"))?;
        let mut head = [0; 4 + HEAD_BYTES];
        head[..4].copy_from_slice(&length.to_le_bytes());
        head[4] = self.kind as u8;
        head[5..].copy_from_slice(&self.id.to_le_bytes());
        to.write_all(&head).await?;
        to.write_all(&self.body).await
    }

    /// Reads the next one; none at the end of the connection. What is not a frame ends the connection.
    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let mut length = [0; 4];
        match from.read_exact(&mut length).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let length = u32::from_le_bytes(length) as usize;
        if !(HEAD_BYTES..=FRAME_BYTES_MAX).contains(&length) {
            return Err(broken(format!("a frame of {length} bytes")));
        }
        let mut head = [0; HEAD_BYTES];
        from.read_exact(&mut head).await?;
        let kind = Kind::of(head[0]).ok_or_else(|| broken(format!("a frame of kind {}", head[0])))?;
        let id = u64::from_le_bytes(head[1..].try_into().expect("the head has eight more bytes"));
        let mut body = vec![0; length - HEAD_BYTES];
        from.read_exact(&mut body).await?;
        Ok(Some(Self { kind, id, body: body.into() }))
    }
}

fn broken(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
