//! Writes JSON as text. Payloads are JSON text already and are copied in, never parsed.

use crate::engine::model::{Payload, Timestamp};

/// A JSON object being written. Call [`Object::end`] to close it.
pub(in crate::api) struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    /// Opens an object.
    pub(in crate::api) fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// Closes it.
    pub(in crate::api) fn end(self) {
        self.out.push(b'}');
    }

    /// Writes a key and gives the place for its value, which has to be written there.
    pub(in crate::api) fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        write_text(self.out, key);
        self.out.push(b':');
        self.out
    }

    pub(in crate::api) fn text(&mut self, key: &str, value: &str) {
        write_text(self.key(key), value);
    }

    /// The text of anything that shows itself without quotes, backslashes and control characters,
    /// as ids and times do.
    pub(in crate::api) fn shown(&mut self, key: &str, value: impl std::fmt::Display) {
        use std::io::Write;
        write!(self.key(key), "\"{value}\"").expect("a buffer takes everything");
    }

    pub(in crate::api) fn number(&mut self, key: &str, value: impl std::fmt::Display + Into<i128>) {
        use std::io::Write;
        write!(self.key(key), "{value}").expect("a buffer takes everything");
    }

    pub(in crate::api) fn truth(&mut self, key: &str, value: bool) {
        self.key(key).extend_from_slice(if value { b"true" } else { b"false" });
    }

    pub(in crate::api) fn null(&mut self, key: &str) {
        self.key(key).extend_from_slice(b"null");
    }

    /// A time, or null.
    pub(in crate::api) fn time(&mut self, key: &str, value: Option<Timestamp>) {
        match value {
            Some(at) => self.shown(key, at),
            None => self.null(key),
        }
    }

    /// A JSON document as it is, or null.
    pub(in crate::api) fn payload(&mut self, key: &str, value: Option<&Payload>) {
        self.key(key).extend_from_slice(value.map_or("null", Payload::as_str).as_bytes());
    }

    /// A list, each item written by `write`.
    pub(in crate::api) fn list<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        write: impl FnMut(&mut Vec<u8>, T),
    ) {
        write_list(self.key(key), items, write);
    }

    /// An object of texts.
    pub(in crate::api) fn texts<'t>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = (&'t String, &'t String)>,
    ) {
        let mut object = Object::new(self.key(key));
        for (name, value) in items {
            object.text(name, value);
        }
        object.end();
    }
}

/// Writes a list, each item by `write`.
pub(in crate::api) fn write_list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// Writes a text with its quotes and escapes.
pub(in crate::api) fn write_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a buffer takes every text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json() {
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        object.text("te\"xt", "a\n\"b\"\u{1}☺");
        object.number("number", 7);
        object.truth("truth", true);
        object.time("none", None);
        object.shown("at", Timestamp::from_micros(0));
        object.payload("payload", Some(&Payload::from_text(r#"{"x":[1,2]}"#).unwrap()));
        object.list("list", ["a", "b"], write_text);
        object.texts("texts", &std::collections::BTreeMap::from([("k".to_owned(), "v".to_owned())]));
        object.end();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let expected = serde_json::json!({
            "te\"xt": "a\n\"b\"\u{1}☺", "number": 7, "truth": true, "none": null,
            "at": "1970-01-01T00:00:00.000000Z", "payload": {"x": [1, 2]}, "list": ["a", "b"], "texts": {"k": "v"},
        });
        assert_eq!(value, expected);
    }
}
