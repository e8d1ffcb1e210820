//! A JSON document, kept as text.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A JSON document as compact text, cheap to clone.
///
/// Most payloads pass through the engine unread; keeping the text means they are parsed only when an
/// expression looks inside.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Payload(Arc<str>);

impl Payload {
    /// The document `null`.
    #[must_use]
    pub fn null() -> Self {
        Self("null".into())
    }

    /// Writes a value as compact text; object keys come out sorted.
    #[must_use]
    pub fn from_value(value: &Value) -> Self {
        Self(value.to_string().into())
    }

    /// Takes text that is JSON, and drops the spaces between its tokens. Errors: what `serde_json` says of
    /// text that is not.
    pub fn from_text(text: &str) -> Result<Self, serde_json::Error> {
        let raw: &serde_json::value::RawValue = serde_json::from_str(text)?;
        Ok(Self(compact(raw.get()).into()))
    }

    /// Parses the text. A payload was made from JSON, so what is not JSON came from a damaged store
    /// and reads as null.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or(Value::Null)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How deep arrays and objects are nested in it; 0 for a plain value.
    #[must_use]
    pub fn depth(&self) -> usize {
        let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0_usize, false, false);
        for byte in self.0.bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'[' | b'{' if !quoted => depth += 1,
                b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        deepest
    }

    /// Length of the text in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a JSON document is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// JSON without the spaces between its tokens.
fn compact(json: &str) -> Cow<'_, str> {
    let (mut quoted, mut escaped) = (false, false);
    let mut is_content = |c: &char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' | '\n' | '\r' | '\t' if !quoted => return false,
            _ => {}
        }
        true
    };
    // Most documents come from machines and are compact.
    let Some(first) = json.char_indices().find(|(_, c)| !is_content(c)).map(|(at, _)| at) else {
        return Cow::Borrowed(json);
    };
    let mut text = String::with_capacity(json.len());
    text.push_str(&json[..first]);
    text.extend(json[first..].chars().filter(is_content));
    Cow::Owned(text)
}

impl Default for Payload {
    fn default() -> Self {
        Self::null()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_spaces_between_tokens_and_nowhere_else() {
        let cases = [
            (r#" { "a b" : [ 1 , "x \" y" ] } "#, r#"{"a b":[1,"x \" y"]}"#),
            ("[1,2]", "[1,2]"),
            ("\"\\\\\" ", "\"\\\\\""),
            ("{\n\t\"ä\" : \"☺ \" }", "{\"ä\":\"☺ \"}"),
        ];
        for (text, compact) in cases {
            assert_eq!(Payload::from_text(text).unwrap().as_str(), compact);
        }
        assert!(Payload::from_text("{").is_err());
        assert!(Payload::from_text("1 2").is_err());
    }

    #[test]
    fn counts_how_deep_it_nests() {
        let depth = |text: &str| Payload::from_text(text).unwrap().depth();
        assert_eq!(depth("1"), 0);
        assert_eq!(depth("[]"), 1);
        assert_eq!(depth(r#"{"a":[{"b":"[[[\"[["}],"c":[]}"#), 3);
        assert_eq!(depth(&format!("{}{}", "[".repeat(300), "]".repeat(300))), 300);
    }

    #[test]
    fn what_is_as_deep_as_the_limit_can_be_read() {
        let nested = |levels: usize| {
            Payload::from_text(&format!("{}1{}", "[".repeat(levels), "]".repeat(levels))).unwrap()
        };
        let most = super::super::limits::JSON_DEPTH_MAX;
        assert!(!nested(most).value().is_null(), "a document within the limit reads as null");
    }
}
