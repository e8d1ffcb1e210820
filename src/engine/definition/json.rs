//! JSON with places.

use crate::model::OversizedInteger;

use super::node::{Builder, Kind, Malformed, Node, Place};

/// Reads a JSON text.
pub(super) fn read(text: &str) -> Result<Node, Malformed> {
    let mut reader = Reader { text, position: 0, line: 1, line_start: 0, columns: (0, 0) };
    let mut builder = Builder::default();
    reader.value(&mut builder)?;
    while builder.depth() > 0 {
        reader.member(&mut builder)?;
    }
    reader.blanks();
    if reader.position < text.len() {
        return Err(reader.wrong("there is text behind the end of the document"));
    }
    builder.finish().ok_or_else(|| reader.wrong("there is no value"))
}

struct Reader<'t> {
    text: &'t str,
    position: usize,
    line: u32,
    line_start: usize,
    /// A position in this line and its column, so that long lines are counted once.
    columns: (usize, u32),
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.position..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn blanks(&mut self) {
        while let Some(byte @ (b' ' | b'\n' | b'\r' | b'\t')) = self.peek() {
            self.position += 1;
            if byte == b'\n' {
                self.line += 1;
                self.line_start = self.position;
                self.columns = (self.position, 0);
            }
        }
    }

    fn place(&mut self) -> Place {
        let (from, count) = self.columns;
        let more = self.text.get(from..self.position).map_or(0, |part| part.chars().count());
        let column = count + u32::try_from(more).unwrap_or(u32::MAX - count);
        self.columns = (self.position, column);
        Place { line: self.line, column: column.saturating_add(1) }
    }

    fn wrong(&mut self, message: impl Into<String>) -> Malformed {
        Malformed { place: self.place(), message: message.into() }
    }

    fn expected(&mut self, wanted: &str) -> Malformed {
        let found = self.rest().chars().next().map_or("the end of the text".to_owned(), |c| format!("`{c}`"));
        self.wrong(format!("expected {wanted}, found {found}"))
    }

    /// One value; of a list or a map only its beginning.
    fn value(&mut self, builder: &mut Builder) -> Result<(), Malformed> {
        self.blanks();
        let place = self.place();
        let kind = match self.peek() {
            Some(b'{') => {
                self.position += 1;
                return builder.open_map(place);
            }
            Some(b'[') => {
                self.position += 1;
                return builder.open_list(place);
            }
            Some(b'"') => {
                let start = self.position;
                let text = self.string()?;
                let quote = (self.position - start == text.len() + 2).then_some(1);
                builder.value(Node { kind: Kind::Text(text), place, quote });
                return Ok(());
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        builder.value(Node { kind, place, quote: None });
        Ok(())
    }

    /// What comes next inside a list or a map: a member, or the end.
    fn member(&mut self, builder: &mut Builder) -> Result<(), Malformed> {
        self.blanks();
        let in_map = builder.wants_key();
        let close = if in_map { b'}' } else { b']' };
        if self.peek() == Some(close) {
            self.position += 1;
            return builder.close();
        }
        if builder.last().is_some() {
            if self.peek() != Some(b',') {
                return Err(self.expected(if in_map { "`,` or `}`" } else { "`,` or `]`" }));
            }
            self.position += 1;
            self.blanks();
        }
        if in_map {
            if self.peek() != Some(b'"') {
                return Err(self.expected("a key in double quotes"));
            }
            let place = self.place();
            let key = self.string()?;
            self.blanks();
            if self.peek() != Some(b':') {
                return Err(self.expected("`:`"));
            }
            self.position += 1;
            builder.key(key, place);
        }
        self.value(builder)
    }

    fn word(&mut self) -> Result<Kind, Malformed> {
        let words = [("true", Kind::Bool(true)), ("false", Kind::Bool(false)), ("null", Kind::Null)];
        for (word, kind) in words {
            if self.rest().starts_with(word) {
                self.position += word.len();
                return Ok(kind);
            }
        }
        Err(self.expected("a value"))
    }

    fn number(&mut self) -> Result<Kind, Malformed> {
        let rest = self.rest();
        let lawful = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
        let length = rest.find(|c| !lawful(c)).unwrap_or(rest.len());
        if !OversizedInteger::fits(&rest[..length]) {
            return Err(self.wrong("this integer does not fit 64 bits; write it as a string"));
        }
        match serde_json::from_str(&rest[..length]) {
            Ok(number) => {
                self.position += length;
                Ok(Kind::Number(number))
            }
            Err(_) => Err(self.wrong("this is no number of JSON")),
        }
    }

    /// A string, from its opening quote to behind its closing one.
    fn string(&mut self) -> Result<String, Malformed> {
        let bytes = self.rest().as_bytes();
        let mut length = 1;
        loop {
            match bytes.get(length) {
                None | Some(b'\n') => return Err(self.wrong("this string has no closing quote")),
                Some(b'"') => break,
                Some(b'\\') => length += 2,
                Some(_) => length += 1,
            }
        }
        let raw = self.rest().get(..=length).unwrap_or_default();
        match serde_json::from_str(raw) {
            Ok(text) => {
                self.position += length + 1;
                Ok(text)
            }
            Err(_) => Err(self.wrong("this string has an escape or a character JSON does not know")),
        }
    }
}
