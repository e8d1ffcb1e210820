//! Server-sent events, out of bytes that arrive in any cut.

/// One event, or the comment that keeps a quiet connection alive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) data: String,
}

/// Collects bytes and gives out whole events.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    frame: Frame,
}

/// A line of the stream holds one event of a history, which holds at most a few payloads of a mebibyte.
pub(crate) const LINE_BYTES_MAX: usize = 16 << 20;

/// The server sent a line that no memory should hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Parser {
    /// Takes the next bytes; answers the events they complete.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, TooLong> {
        let mut frames = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.len() > LINE_BYTES_MAX || self.frame.data.len() > LINE_BYTES_MAX {
                return Err(TooLong);
            }
            if piece.last() == Some(&b'\n') {
                let line = std::mem::take(&mut self.line);
                frames.extend(self.take_line(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n'])));
            }
        }
        Ok(frames)
    }

    fn take_line(&mut self, line: &str) -> Option<Frame> {
        if line.is_empty() {
            let frame = std::mem::take(&mut self.frame);
            return (!frame.data.is_empty()).then_some(frame);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => value.clone_into(&mut self.frame.id),
            "event" => value.clone_into(&mut self.frame.event),
            "data" => {
                if !self.frame.data.is_empty() {
                    self.frame.data.push('\n');
                }
                self.frame.data.push_str(value);
            }
            // Comments (an empty field name) and fields of the future.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        ": hello\n\nid: 1\nevent: created\ndata: {\"a\":1}\n\nid: 2\r\ndata: x\r\ndata:y☺\r\n\r\n";

    #[test]
    fn events_do_not_depend_on_how_the_bytes_are_cut() {
        for size in 1..=TEXT.len() {
            let mut parser = Parser::default();
            let frames: Vec<_> =
                TEXT.as_bytes().chunks(size).flat_map(|bytes| parser.take(bytes).unwrap()).collect();
            assert_eq!(frames.len(), 2, "in pieces of {size} bytes");
            assert_eq!((frames[0].id.as_str(), frames[0].event.as_str()), ("1", "created"));
            assert_eq!(frames[0].data, "{\"a\":1}");
            assert_eq!((frames[1].id.as_str(), frames[1].data.as_str()), ("2", "x\ny☺"));
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut parser = Parser::default();
        let bytes = vec![b'x'; LINE_BYTES_MAX / 2 + 1];
        assert_eq!(parser.take(&bytes), Ok(Vec::new()));
        assert_eq!(parser.take(&bytes), Err(TooLong));
    }
}
