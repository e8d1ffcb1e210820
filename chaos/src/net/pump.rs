//! Carries the bytes of a connection.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::link::Passing;

/// Bytes that are carried at once: a slow link is slow in steps of it.
const CHUNK: usize = 8 << 10;

/// Carries bytes both ways until both ends are closed, one fails, or a link breaks the connection.
pub(super) async fn carry(mut dialled: TcpStream, mut behind: TcpStream, there: &Passing, back: &Passing) {
    let (mut breaks_there, mut breaks_back) = (there.clone(), back.clone());
    let carried = {
        let (dialled_read, dialled_write) = dialled.split();
        let (behind_read, behind_write) = behind.split();
        let both = async {
            tokio::try_join!(
                one_way(dialled_read, behind_write, there.clone()),
                one_way(behind_read, dialled_write, back.clone()),
            )
        };
        tokio::select! {
            carried = both => carried.is_ok(),
            () = breaks_there.broken() => false,
            () = breaks_back.broken() => false,
        }
    };
    if !carried {
        slam(dialled);
        slam(behind);
    }
}

/// Ends a connection so that the other end hears of it as an error.
pub(super) fn slam(stream: TcpStream) {
    // One that is gone already needs no slamming.
    let _ = stream.set_zero_linger();
    drop(stream);
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut passing: Passing,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk).await?;
        // The end of a connection is held like any of its bytes.
        passing.wait(read).await;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..read]).await?;
    }
}
