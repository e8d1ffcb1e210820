//! What a command says, as much of it as can be kept.

use tokio::io::{AsyncRead, AsyncReadExt};

use super::super::fit;
use crate::engine::model::limits::PAYLOAD_BYTES_MAX;

/// What stays free in a recorded output for everything but the two texts.
const ROOM: usize = 1 << 10;

/// The start of a stream, and how much more came.
#[derive(Debug, Default)]
pub(super) struct Capture {
    kept: Vec<u8>,
    dropped: u64,
}

impl Capture {
    /// Reads a stream to its end. Beyond `bytes_max` it reads on and forgets, so that the writer never
    /// waits for a full pipe. Cancel-safe: what was read so far stays.
    pub(super) async fn drain(&mut self, mut stream: impl AsyncRead + Unpin, bytes_max: usize) {
        let mut chunk = vec![0; 16 << 10];
        // A read error means that the other end is gone: the end of the stream by another name.
        while let Ok(read @ 1..) = stream.read(&mut chunk).await {
            let kept = read.min(bytes_max - self.kept.len());
            self.kept.extend_from_slice(&chunk[..kept]);
            self.dropped += (read - kept) as u64;
        }
        assert!(self.kept.len() <= bytes_max, "a capture keeps no more than it may");
    }

    /// Two captures as text that fits into one recorded output. What had to go is marked where it went;
    /// what is not UTF-8 is replaced.
    pub(super) fn texts(stdout: Self, stderr: Self) -> (String, String) {
        let total = PAYLOAD_BYTES_MAX - ROOM;
        let (out, err) = (
            String::from_utf8_lossy(&stdout.kept).into_owned(),
            String::from_utf8_lossy(&stderr.kept).into_owned(),
        );
        let (out_len, err_len) = (fit::quoted_len(&out), fit::quoted_len(&err));
        // Each may have half, and what the other leaves of its half.
        let out_max = (total / 2).max(total.saturating_sub(err_len));
        let err_max = (total / 2).max(total.saturating_sub(out_len));
        (marked(out, out_max, stdout.dropped), marked(err, err_max, stderr.dropped))
    }
}

fn marked(text: String, quoted_max: usize, dropped: u64) -> String {
    /// Longer than any mark.
    const MARK: usize = 100;
    let fits = dropped == 0 && fit::quoted_len(&text) <= quoted_max;
    if fits {
        return text;
    }
    let start = fit::quoted_start(&text, quoted_max - MARK);
    let gone = dropped + (text.len() - start.len()) as u64;
    format!("{start}\n[cut by everstep: {gone} more bytes]\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(kept: &[u8], dropped: u64) -> Capture {
        Capture { kept: kept.to_vec(), dropped }
    }

    #[tokio::test]
    async fn keeps_the_start_and_counts_the_rest() {
        let mut short = Capture::default();
        short.drain(&b"hello"[..], 3).await;
        assert_eq!((short.kept.as_slice(), short.dropped), (&b"hel"[..], 2));
        let (stdout, _) = Capture::texts(short, Capture::default());
        assert_eq!(stdout, "hel\n[cut by everstep: 2 more bytes]\n");
    }

    #[test]
    fn two_full_streams_still_fit_into_one_output() {
        // A control character takes six bytes in JSON: the worst case.
        for byte in [b'x', b'"', 1, 0xff] {
            let full = || capture(&vec![byte; 1 << 20], 5);
            let (stdout, stderr) = Capture::texts(full(), full());
            assert!(stdout.contains("[cut by everstep") && stderr.contains("[cut by everstep"));
            let output = serde_json::json!({ "stdout": stdout, "stderr": stderr }).to_string();
            assert!(output.len() <= PAYLOAD_BYTES_MAX - ROOM + 64, "{} bytes", output.len());
        }
    }

    #[test]
    fn one_stream_may_use_what_the_other_leaves() {
        let (stdout, stderr) = Capture::texts(capture(&vec![b'x'; 1 << 20], 0), capture(b"note", 0));
        assert!(stdout.len() > 1_000_000, "{} bytes", stdout.len());
        assert_eq!(stderr, "note");
    }

    #[test]
    fn what_is_not_text_is_replaced() {
        assert_eq!(Capture::texts(capture(b"a\xffb", 0), Capture::default()).0, "a\u{fffd}b");
    }
}
