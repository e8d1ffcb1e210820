//! YAML 1.2 with places: one document, the core schema, no tags of others.
//!
//! The parser gives events, so nothing here recurses. Aliases are copied, within a budget: a text of a
//! few lines can otherwise stand for gigabytes.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::Number;

use super::node::{Builder, Kind, Malformed, Node, Place};
use crate::model::limits::JSON_DEPTH_MAX;

/// Values that aliases may add to a document.
const ALIASED_NODES_MAX: usize = 10_000;

/// Reads a YAML text.
pub(super) fn read(text: &str) -> Result<Node, Malformed> {
    let mut options = granit_parser::options! { flow_nesting_limit: 200, block_nesting_limit: 200 };
    options.set_emit_comments(false);
    let mut reader = Reader::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| Malformed {
            place: place_of(error.marker().line(), error.marker().col()),
            message: error.info(),
        })?;
        reader.event(event, &span)?;
    }
    let missing = Malformed { place: place_of(1, 0), message: "the text holds no value".to_owned() };
    reader.builder.finish().ok_or(missing)
}

fn place_of(line: usize, column: usize) -> Place {
    let number = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    Place { line: number(line).max(1), column: number(column).saturating_add(1) }
}

#[derive(Default)]
struct Reader {
    builder: Builder,
    documents: usize,
    /// Anchored values, by the number the parser gave them.
    anchors: BTreeMap<usize, Node>,
    /// Anchors of what is still open, innermost last.
    open: Vec<usize>,
    aliased: usize,
}

impl Reader {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Malformed> {
        let place = place_of(span.start.line(), span.start.col());
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(wrong(place, "a file holds one definition; there is a second document"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.map(|tag| tag.to_string());
                if self.builder.wants_key() {
                    self.builder.key(text.into_owned(), place);
                } else {
                    let kind = scalar(&text, style, tag.as_deref(), place)?;
                    let more = (span.end.index() - span.start.index()).checked_sub(text.chars().count());
                    let quote = match (style, more) {
                        (ScalarStyle::Plain, Some(0)) => Some(0),
                        (ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted, Some(2)) => Some(1),
                        _ => None,
                    };
                    let quote = quote.filter(|_| span.start.line() == span.end.line());
                    self.builder.value(Node { kind, place, quote });
                    self.remember(anchor);
                }
            }
            Event::SequenceStart(_, anchor, _) => {
                self.no_key(place)?;
                self.builder.open_list(place)?;
                self.open.push(anchor);
            }
            Event::MappingStart(_, anchor, _) => {
                self.no_key(place)?;
                self.builder.open_map(place)?;
                self.open.push(anchor);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.builder.close()?;
                let anchor = self.open.pop().unwrap_or(0);
                self.remember(anchor);
            }
            Event::Alias(anchor) => self.alias(anchor, place)?,
            _ => {}
        }
        Ok(())
    }

    fn no_key(&self, place: Place) -> Result<(), Malformed> {
        if self.builder.wants_key() {
            return Err(wrong(place, "a key is a string, not a list or an object"));
        }
        Ok(())
    }

    fn remember(&mut self, anchor: usize) {
        if anchor != 0
            && let Some(node) = self.builder.last()
        {
            self.anchors.insert(anchor, node.clone());
        }
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), Malformed> {
        self.no_key(place)?;
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(wrong(place, "this alias stands inside what it stands for"));
        };
        let (count, depth) = measure(node);
        self.aliased = self.aliased.saturating_add(count);
        if self.aliased > ALIASED_NODES_MAX {
            return Err(wrong(place, format!("aliases add more than {ALIASED_NODES_MAX} values")));
        }
        if self.builder.depth() + depth > JSON_DEPTH_MAX {
            return Err(wrong(place, format!("nests deeper than {JSON_DEPTH_MAX}")));
        }
        let copy = node.clone();
        self.builder.value(copy);
        Ok(())
    }
}

fn wrong(place: Place, message: impl Into<String>) -> Malformed {
    Malformed { place, message: message.into() }
}

/// How many values a node holds, and how deep they nest. Its depth is bounded.
fn measure(node: &Node) -> (usize, usize) {
    let children: Vec<&Node> = match &node.kind {
        Kind::List(items) => items.iter().collect(),
        Kind::Map(entries) => entries.iter().map(|entry| &entry.value).collect(),
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => return (1, 0),
    };
    let sizes = children.into_iter().map(measure);
    sizes.fold((1, 1), |(count, depth), (more, deep)| (count + more, depth.max(deep + 1)))
}

/// The core schema: a plain scalar may be null, a boolean or a number; a quoted one is a string.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&str>, place: Place) -> Result<Kind, Malformed> {
    let plain = resolve(text);
    let kind = match tag.map(|tag| tag.trim_start_matches("!!").trim_start_matches("tag:yaml.org,2002:")) {
        None if style == ScalarStyle::Plain => plain,
        None | Some("str" | "!") => Kind::Text(text.to_owned()),
        Some("null" | "bool" | "int" | "float") => plain,
        Some(other) => return Err(wrong(place, format!("the tag `{other}` is not part of the language"))),
    };
    Ok(kind)
}

fn resolve(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Kind::Text(text.to_owned()), Kind::Number)
}

fn number(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let radix = |prefix, radix| {
        let digits = text.strip_prefix(prefix)?;
        u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+')).map(Number::from)
    };
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Some(number);
    }
    let lawful = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !lawful || !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') || digits == "." {
        return None;
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        let unsigned: Option<u64> = digits.parse().ok();
        return match (unsigned, negative) {
            (Some(number), false) => Some(number.into()),
            (Some(_), true) => format!("-{digits}").parse().ok().map(|number: i64| number.into()),
            // Longer than 64 bits: more likely an account number than a quantity.
            (None, _) => None,
        };
    }
    let double: f64 = digits.parse().ok()?;
    Number::from_f64(if negative { -double } else { double })
}
