//! A JSON or YAML document with the place of everything in it.

use std::fmt::Write;

use serde_json::{Number, Value};

use super::{json, yaml};
use crate::model::limits::{DEFINITION_BYTES_MAX, JSON_DEPTH_MAX};

/// Where something begins: line and column, both from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) place: Place,
    /// Of a string that stands in the text as it is, on one line: how many characters its quote takes.
    pub(super) quote: Option<u32>,
}

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// In the order it is written; a key never comes twice.
    Map(Vec<Entry>),
}

/// A field of a map.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Of the key.
    pub(super) place: Place,
    pub(super) value: Node,
}

/// Why a text is no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) place: Place,
    pub(super) message: String,
}

impl Node {
    /// Reads JSON or YAML. What begins with a bracket, or with a brace and a quote, is JSON.
    pub(super) fn read(text: &str) -> Result<Self, Malformed> {
        let start = Place { line: 1, column: 1 };
        if text.len() > DEFINITION_BYTES_MAX {
            let message = format!("a definition is at most {} MiB long", DEFINITION_BYTES_MAX >> 20);
            return Err(Malformed { place: start, message });
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(Malformed { place: start, message: "the text is empty".to_owned() });
        }
        let json = match text.trim_start().strip_prefix('{') {
            Some(rest) => rest.trim_start().starts_with(['"', '}']) || rest.trim().is_empty(),
            None => text.trim_start().starts_with('['),
        };
        if json { json::read(text) } else { yaml::read(text) }
    }

    /// The place of a byte of a string, where that can be told; otherwise its beginning.
    pub(super) fn place_of(&self, byte: usize) -> Place {
        let Kind::Text(text) = &self.kind else { return self.place };
        let before = text.get(..byte).map_or(0, |part| part.chars().count());
        let more = self.quote.and_then(|quote| u32::try_from(before).ok()?.checked_add(quote));
        Place { column: self.place.column.saturating_add(more.unwrap_or(0)), ..self.place }
    }

    /// What kind of value it is, with its article, for messages.
    pub(super) const fn what(&self) -> &'static str {
        match self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a string",
            Kind::List(_) => "a list",
            Kind::Map(_) => "an object",
        }
    }

    /// Its fields; none unless it is a map.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) => &[],
        }
    }

    /// The value of a field.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Without the places. Depth is bounded by the readers.
    pub(super) fn value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(bool) => Value::Bool(*bool),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Self::value).collect()),
            Kind::Map(entries) => {
                Value::Object(entries.iter().map(|it| (it.key.clone(), it.value.value())).collect())
            }
        }
    }

    /// The node a pointer leads to, or the deepest on its way.
    pub(super) fn at(&self, pointer: &str) -> &Self {
        let mut node = self;
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let next = match &node.kind {
                Kind::Map(_) => node.get(&token),
                Kind::List(items) => token.parse().ok().and_then(|at: usize| items.get(at)),
                Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// Compact JSON with sorted keys: what is stored and hashed.
    pub(super) fn canonical(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        match &self.kind {
            Kind::Null => text.write_str("null"),
            Kind::Bool(bool) => write!(text, "{bool}"),
            Kind::Number(number) => write!(text, "{number}"),
            Kind::Text(string) => write!(text, "{}", quoted(string)),
            Kind::List(items) => {
                text.push('[');
                for (position, item) in items.iter().enumerate() {
                    text.push_str(if position == 0 { "" } else { "," });
                    item.write(text)?;
                }
                text.write_char(']')
            }
            Kind::Map(entries) => {
                let mut sorted: Vec<_> = entries.iter().collect();
                sorted.sort_unstable_by(|left, right| left.key.cmp(&right.key));
                text.push('{');
                for (position, entry) in sorted.into_iter().enumerate() {
                    text.push_str(if position == 0 { "" } else { "," });
                    write!(text, "{}:", quoted(&entry.key))?;
                    entry.value.write(text)?;
                }
                text.write_char('}')
            }
        }
    }
}

fn quoted(text: &str) -> Value {
    Value::from(text)
}

/// Collects values into a document while a reader walks its text, without recursion.
#[derive(Debug, Default)]
pub(super) struct Builder {
    open: Vec<Open>,
    done: Option<Node>,
}

#[derive(Debug)]
enum Open {
    List(Vec<Node>, Place),
    Map { entries: Vec<Entry>, key: Option<(String, Place)>, place: Place },
}

impl Builder {
    /// Opens a list. Errors: nesting too deep.
    pub(super) fn open_list(&mut self, place: Place) -> Result<(), Malformed> {
        self.deeper(place)?;
        self.open.push(Open::List(Vec::new(), place));
        Ok(())
    }

    /// Opens a map. Errors: nesting too deep.
    pub(super) fn open_map(&mut self, place: Place) -> Result<(), Malformed> {
        self.deeper(place)?;
        self.open.push(Open::Map { entries: Vec::new(), key: None, place });
        Ok(())
    }

    fn deeper(&self, place: Place) -> Result<(), Malformed> {
        if self.open.len() >= JSON_DEPTH_MAX {
            let message = format!("nests deeper than {JSON_DEPTH_MAX}");
            return Err(Malformed { place, message });
        }
        Ok(())
    }

    /// Whether a key comes next.
    pub(super) fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map { key: None, .. }))
    }

    /// How many lists and maps are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Names the next value of the map that is open.
    pub(super) fn key(&mut self, name: String, place: Place) {
        if let Some(Open::Map { key, .. }) = self.open.last_mut() {
            *key = Some((name, place));
        }
    }

    /// Adds a value.
    pub(super) fn value(&mut self, node: Node) {
        match self.open.last_mut() {
            Some(Open::List(items, _)) => items.push(node),
            Some(Open::Map { entries, key, .. }) => {
                if let Some((key, place)) = key.take() {
                    entries.push(Entry { key, place, value: node });
                }
            }
            None => self.done = Some(node),
        }
    }

    /// Closes what was opened last and gives it back as a copy of what was added. Errors: a key twice.
    pub(super) fn close(&mut self) -> Result<(), Malformed> {
        let node = match self.open.pop() {
            Some(Open::List(items, place)) => Node { kind: Kind::List(items), place, quote: None },
            Some(Open::Map { entries, place, .. }) => {
                unique(&entries)?;
                Node { kind: Kind::Map(entries), place, quote: None }
            }
            None => return Ok(()),
        };
        self.value(node);
        Ok(())
    }

    /// The last value added to what is open, or the document itself.
    pub(super) fn last(&self) -> Option<&Node> {
        match self.open.last() {
            Some(Open::List(items, _)) => items.last(),
            Some(Open::Map { entries, .. }) => entries.last().map(|entry| &entry.value),
            None => self.done.as_ref(),
        }
    }

    /// The document.
    pub(super) fn finish(self) -> Option<Node> {
        self.done
    }
}

/// Refuses a key that comes twice: readers disagree on which one counts.
fn unique(entries: &[Entry]) -> Result<(), Malformed> {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by(|left, right| left.key.cmp(&right.key));
    let twice = sorted.windows(2).find(|pair| pair[0].key == pair[1].key);
    twice.map_or(Ok(()), |pair| {
        let message = format!("the key `{}` comes twice in one object", pair[1].key);
        Err(Malformed { place: pair[1].place, message })
    })
}
