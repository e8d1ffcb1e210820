//! JSON documents with expressions in their strings.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::limits::{EXPRESSION_BYTES_MAX, JSON_DEPTH_MAX};
use crate::model::{Fault, Payload, StepIndex};

use super::evaluate::Machine;
use super::loaded::Loaded;
use super::names::Names;
use super::parse::{Until, parse};
use super::tree::{Node, Root};
use super::value::Val;
use super::write::Writer;
use super::{Misplaced, Problem, Scope, Stop};

/// A JSON document with expressions in its strings, compiled.
#[derive(Debug)]
pub struct Template {
    form: Form,
    roots: BTreeSet<Root>,
}

#[derive(Debug)]
enum Form {
    /// Without expressions: made once, handed out by reference count.
    Constant(Payload),
    Computed(Part),
}

/// One value of the document.
#[derive(Debug)]
enum Part {
    /// JSON text that stays as it is.
    Fixed(String),
    /// A string that is exactly one expression: its value keeps its type.
    Whole {
        source: String,
        node: Node,
    },
    /// Text with expressions in it.
    Mixed {
        source: String,
        pieces: Vec<Piece>,
    },
    List(Vec<Part>),
    /// Keys as JSON strings, sorted.
    Map(Vec<(String, Part)>),
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Hole(Node),
}

impl Template {
    /// Compiles a document. Errors: everything wrong with its expressions, each with its place.
    pub fn compile(document: &Value, names: &Names) -> Result<Self, Vec<Misplaced>> {
        let mut compiler = Compiler { names, roots: BTreeSet::new(), wrong: Vec::new() };
        let part = compiler.part(document, &mut String::new(), 0);
        if !compiler.wrong.is_empty() {
            return Err(compiler.wrong);
        }
        let form = match part {
            Part::Fixed(text) => Form::Constant(Payload::from_text(&text).expect("fixed parts are JSON")),
            computed => Form::Computed(computed),
        };
        Ok(Self { form, roots: compiler.roots })
    }

    /// The same document for every execution.
    #[must_use]
    pub fn constant(document: &Value) -> Self {
        Self { form: Form::Constant(Payload::from_value(document)), roots: BTreeSet::new() }
    }

    /// The document, if it has no expressions.
    #[must_use]
    pub fn as_constant(&self) -> Option<&Payload> {
        match &self.form {
            Form::Constant(payload) => Some(payload),
            Form::Computed(_) => None,
        }
    }

    /// The steps it looks at, in the definition's order.
    pub fn steps(&self) -> impl Iterator<Item = StepIndex> + '_ {
        super::steps_of(&self.roots)
    }

    /// Evaluates every expression in it. A constant one is returned as it is.
    ///
    /// Errors: a fault with code `expression`, or `limit` if the result or the work is too much.
    pub fn resolve(&self, scope: &Scope<'_>) -> Result<Payload, Fault> {
        let part = match &self.form {
            Form::Constant(payload) => return Ok(payload.clone()),
            Form::Computed(part) => part,
        };
        let loaded = Loaded::new(scope, &self.roots).map_err(Stop::into_fault)?;
        let mut writer = Writer::default();
        write(part, &loaded, &mut writer, 0).map_err(Stop::into_fault)?;
        let text = writer.finish();
        Payload::from_text(&text).map_err(|error| Stop::wrong(error.to_string()).into_fault())
    }
}

fn write<'a>(
    part: &'a Part,
    loaded: &'a Loaded<'a>,
    writer: &mut Writer,
    depth: usize,
) -> Result<(), Stop<'a>> {
    match part {
        Part::Fixed(text) => writer.raw(text),
        Part::Whole { source, node } => {
            let value = Machine::new(source, loaded).run(node)?;
            writer.value(&value, depth)
        }
        Part::Mixed { source, pieces } => {
            let mut text = String::new();
            for piece in pieces {
                match piece {
                    Piece::Text(fixed) => text.push_str(fixed),
                    Piece::Hole(node) => push(&mut text, &Machine::new(source, loaded).run(node)?)?,
                }
            }
            writer.string(&text)
        }
        Part::List(parts) => {
            for (position, part) in parts.iter().enumerate() {
                writer.raw(if position == 0 { "[" } else { "," })?;
                write(part, loaded, writer, depth + 1)?;
            }
            writer.raw("]")
        }
        Part::Map(entries) => {
            for (position, (key, part)) in entries.iter().enumerate() {
                writer.raw(if position == 0 { "{" } else { "," })?;
                writer.raw(key)?;
                writer.raw(":")?;
                write(part, loaded, writer, depth + 1)?;
            }
            writer.raw("}")
        }
    }
}

/// Adds a value to text: strings as they are, everything else as JSON.
fn push(text: &mut String, value: &Val<'_>) -> Result<(), Stop<'static>> {
    match value {
        Val::Text(inner) => text.push_str(inner),
        Val::Time(_) | Val::Span(_) => {
            text.push_str(&super::functions::shown(value).map_err(Stop::wrong)?);
        }
        other => {
            let mut writer = Writer::default();
            writer.value(other, 0)?;
            text.push_str(&writer.finish());
        }
    }
    Ok(())
}

struct Compiler<'n> {
    names: &'n Names,
    roots: BTreeSet<Root>,
    wrong: Vec<Misplaced>,
}

impl Compiler<'_> {
    fn part(&mut self, value: &Value, pointer: &mut String, depth: usize) -> Part {
        if depth > JSON_DEPTH_MAX {
            self.wrong(pointer, Problem::new(0, format!("nests deeper than {JSON_DEPTH_MAX}")));
            return Part::Fixed("null".to_owned());
        }
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Part::Fixed(value.to_string()),
            Value::String(text) => self.string(text, pointer),
            Value::Array(items) => {
                let parts = items.iter().enumerate();
                let parts =
                    parts.map(|(at, item)| self.child(&at.to_string(), item, pointer, depth)).collect();
                list(parts)
            }
            Value::Object(fields) => {
                let mut parts = Vec::with_capacity(fields.len());
                for (key, value) in fields {
                    if key.contains("${") {
                        self.wrong(
                            pointer,
                            Problem::new(0, format!("the key `{key}` cannot hold expressions")),
                        );
                    }
                    parts.push((key, self.child(key, value, pointer, depth)));
                }
                parts.sort_unstable_by_key(|(key, _)| *key);
                map(parts
                    .into_iter()
                    .map(|(key, part)| (Value::from(key.as_str()).to_string(), part))
                    .collect())
            }
        }
    }

    fn child(&mut self, key: &str, value: &Value, pointer: &mut String, depth: usize) -> Part {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
        let part = self.part(value, pointer, depth + 1);
        pointer.truncate(length);
        part
    }

    fn wrong(&mut self, pointer: &str, problem: Problem) {
        /// As many as a check of a definition reports.
        const WRONG_MAX: usize = 100;
        if self.wrong.len() >= WRONG_MAX {
            return;
        }
        self.wrong.push(Misplaced { pointer: pointer.to_owned(), problem });
    }

    fn string(&mut self, text: &str, pointer: &str) -> Part {
        match self.pieces(text) {
            Ok(mut pieces) => match (pieces.pop(), pieces.is_empty()) {
                (None, _) => Part::Fixed("\"\"".to_owned()),
                (Some(Piece::Text(only)), true) => Part::Fixed(Value::from(only).to_string()),
                (Some(Piece::Hole(node)), true) => Part::Whole { source: text.to_owned(), node },
                (Some(last), false) => {
                    pieces.push(last);
                    Part::Mixed { source: text.to_owned(), pieces }
                }
            },
            Err(problem) => {
                self.wrong(pointer, problem);
                Part::Fixed("null".to_owned())
            }
        }
    }

    /// Cuts a string at its `${ … }`. `$${` is a literal `${`.
    fn pieces(&mut self, text: &str) -> Result<Vec<Piece>, Problem> {
        let mut pieces = Vec::new();
        let mut fixed = String::new();
        let mut position = 0;
        while let Some(found) = text[position..].find("${") {
            let open = position + found;
            if text[position..open].ends_with('$') {
                fixed.push_str(&text[position..open]);
                fixed.push('{');
                position = open + 2;
                continue;
            }
            fixed.push_str(&text[position..open]);
            if !fixed.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut fixed)));
            }
            let parsed = parse(text, open + 2, Until::Brace, self.names)?;
            if parsed.end - open > EXPRESSION_BYTES_MAX {
                let message = format!("an expression is at most {EXPRESSION_BYTES_MAX} bytes long");
                return Err(Problem::new(open, message));
            }
            self.roots.extend(parsed.roots);
            pieces.push(Piece::Hole(parsed.node));
            position = parsed.end;
        }
        fixed.push_str(&text[position..]);
        if !fixed.is_empty() {
            pieces.push(Piece::Text(fixed));
        }
        Ok(pieces)
    }
}

/// A list of fixed parts is itself fixed.
fn list(parts: Vec<Part>) -> Part {
    let fixed: Option<Vec<&str>> = parts.iter().map(Part::fixed).collect();
    match fixed {
        Some(texts) => Part::Fixed(format!("[{}]", texts.join(","))),
        None => Part::List(parts),
    }
}

/// A map of fixed parts is itself fixed.
fn map(entries: Vec<(String, Part)>) -> Part {
    let fixed: Option<Vec<String>> =
        entries.iter().map(|(key, part)| part.fixed().map(|text| format!("{key}:{text}"))).collect();
    match fixed {
        Some(texts) => Part::Fixed(format!("{{{}}}", texts.join(","))),
        None => Part::Map(entries),
    }
}

impl Part {
    fn fixed(&self) -> Option<&str> {
        match self {
            Self::Fixed(text) => Some(text),
            Self::Whole { .. } | Self::Mixed { .. } | Self::List(_) | Self::Map(_) => None,
        }
    }
}
