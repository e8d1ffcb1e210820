//! Values to JSON text, with sorted keys and a limit.

use crate::model::limits::{JSON_DEPTH_MAX, PAYLOAD_BYTES_MAX};

use super::Stop;
use super::functions::{span_text, time_text};
use super::value::{Map, Val};

/// A JSON text that is being written.
#[derive(Debug, Default)]
pub(super) struct Writer {
    text: String,
}

impl Writer {
    /// The text.
    pub(super) fn finish(self) -> String {
        self.text
    }

    /// Adds punctuation or JSON that is known to be right. Errors: the limit on size.
    pub(super) fn raw(&mut self, json: &str) -> Result<(), Stop<'static>> {
        self.text.push_str(json);
        if self.text.len() > PAYLOAD_BYTES_MAX {
            return Err(Stop::limit(format!("the result is larger than {PAYLOAD_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    /// Adds a string. Errors: the limit on size.
    pub(super) fn string(&mut self, text: &str) -> Result<(), Stop<'static>> {
        if text.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\') {
            self.text.push('"');
            self.text.push_str(text);
            return self.raw("\"");
        }
        let quoted = serde_json::to_string(text).map_err(|error| Stop::wrong(error.to_string()))?;
        self.raw(&quoted)
    }

    /// Adds a value. Errors: the limits on size and depth, and doubles JSON cannot hold.
    pub(super) fn value(&mut self, value: &Val<'_>, depth: usize) -> Result<(), Stop<'static>> {
        if depth > JSON_DEPTH_MAX - 1 {
            return Err(Stop::limit(format!("the result nests deeper than {JSON_DEPTH_MAX}")));
        }
        match value {
            Val::Null => self.raw("null"),
            Val::Bool(bool) => self.raw(if *bool { "true" } else { "false" }),
            Val::Int(int) => self.raw(&int.to_string()),
            Val::Double(double) => match serde_json::Number::from_f64(*double) {
                Some(number) => self.raw(&number.to_string()),
                None => Err(Stop::wrong(format!("the result {double} has no JSON form"))),
            },
            Val::Text(text) => self.string(text),
            Val::Time(micros) => self.string(&time_text(*micros)),
            Val::Span(micros) => self.string(&span_text(*micros)),
            Val::List(list) => {
                self.raw("[")?;
                for (position, item) in list.iter().enumerate() {
                    if position > 0 {
                        self.raw(",")?;
                    }
                    self.value(&item, depth + 1)?;
                }
                self.raw("]")
            }
            Val::Map(map) => self.map(map, depth),
        }
    }

    fn map(&mut self, map: &Map<'_>, depth: usize) -> Result<(), Stop<'static>> {
        self.raw("{")?;
        let mut separator = "";
        for key in map.keys() {
            if let Some(value) = map.get(&key) {
                self.raw(separator)?;
                self.string(&key)?;
                self.raw(":")?;
                self.value(&value, depth + 1)?;
                separator = ",";
            }
        }
        self.raw("}")
    }
}
