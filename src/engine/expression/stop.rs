//! Why an evaluation ended early.

use crate::model::{Fault, codes};

use super::names::nearest;
use super::text::Text;
use super::value::Map;

/// Why an evaluation ended early. Most of these are never shown, because `||` or `exists` found what it
/// looked for elsewhere; so an absent field keeps what its message needs, and makes it only at the end.
#[derive(Debug, Clone)]
pub(super) enum Stop<'a> {
    /// Something does not fit together.
    Wrong(String),
    /// A limit was reached. Nothing absorbs it.
    Limit(String),
    /// A map has no such key.
    Absent {
        /// The text of what was looked into.
        of: &'a str,
        key: Text<'a>,
        map: Map<'a>,
    },
}

impl Stop<'_> {
    pub(super) fn wrong(message: impl Into<String>) -> Self {
        Self::Wrong(message.into())
    }

    pub(super) fn limit(message: impl Into<String>) -> Self {
        Self::Limit(message.into())
    }

    pub(super) const fn is_limit(&self) -> bool {
        matches!(self, Self::Limit(_))
    }

    /// As a person is told.
    pub(super) fn into_fault(self) -> Fault {
        match self {
            Self::Wrong(message) => Fault::fatal(codes::EXPRESSION, message),
            Self::Limit(message) => Fault::fatal(codes::LIMIT, message),
            Self::Absent { of, key, map } => Fault::fatal(codes::EXPRESSION, absent(of, &key, &map)),
        }
    }
}

fn absent(of: &str, key: &str, map: &Map<'_>) -> String {
    /// A key may be a megabyte that was computed.
    const KEY_CHARS_MAX: usize = 100;
    let keys = map.keys();
    let tail = match nearest(key, keys.iter().map(|key| &**key)) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if keys.is_empty() => "; it is empty".to_owned(),
        None => format!("; it has {}", listed(&keys)),
    };
    let key: String = key.chars().take(KEY_CHARS_MAX).collect();
    format!("`{of}.{key}` is absent: `{of}` has no `{key}`{tail}")
}

/// The first few names.
fn listed(keys: &[Text<'_>]) -> String {
    const SHOWN: usize = 6;
    let shown: Vec<_> = keys.iter().take(SHOWN).map(|key| format!("`{}`", &**key)).collect();
    let more = if keys.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
