//! Walking a document: typed looks at a place of it, and the findings on the way.

use std::collections::BTreeMap;

use crate::expression::nearest;
use crate::model::Millis;
use crate::model::limits::{LABEL_BYTES_MAX, LABELS_MAX, NAME_BYTES_MAX};

use super::node::{Kind, Node, Place};
use super::{Finding, duration};

/// Findings of one check. A definition that is not one at all should not answer with a book.
pub(super) const FINDINGS_MAX: usize = 100;

/// The findings so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    /// Codes that do not count.
    ignored: &'static [&'static str],
}

impl Findings {
    /// Collects all findings but those with some codes.
    pub(super) const fn ignoring(codes: &'static [&'static str]) -> Self {
        Self { list: Vec::new(), ignored: codes }
    }

    /// Adds a finding about a place.
    pub(super) fn add(&mut self, at: &Cursor<'_>, code: &'static str, message: impl Into<String>) {
        self.add_at(&at.pointer, at.node.place, code, message, None);
    }

    /// Adds a finding with a hint.
    pub(super) fn hinted(
        &mut self,
        at: &Cursor<'_>,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add_at(&at.pointer, at.node.place, code, message, Some(hint.into()));
    }

    /// Adds a finding about a pointer.
    pub(super) fn add_at(
        &mut self,
        pointer: &str,
        place: Place,
        code: &'static str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        if self.full() || self.ignored.contains(&code) {
            return;
        }
        self.list.push(Finding {
            pointer: pointer.to_owned(),
            code,
            message: message.into(),
            hint,
            line: Some(place.line),
            column: Some(place.column),
        });
    }

    /// Whether more would be dropped, so that looking for them is in vain.
    pub(super) fn full(&self) -> bool {
        self.list.len() >= FINDINGS_MAX
    }

    /// In the order of the text.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.list.sort_by_key(|finding| (finding.line, finding.column));
        self.list
    }
}

/// A place in a document, with the pointer that leads to it.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'n> {
    pub(super) node: &'n Node,
    pub(super) pointer: String,
}

impl<'n> Cursor<'n> {
    /// The root of a document.
    pub(super) const fn root(node: &'n Node) -> Self {
        Self { node, pointer: String::new() }
    }

    /// A field, if it is there. A null counts as left out.
    pub(super) fn field(&self, key: &str) -> Option<Self> {
        let node = self.node.get(key).filter(|node| !matches!(node.kind, Kind::Null))?;
        Some(self.to(key, node))
    }

    /// The items of a list. Reports what is no list.
    pub(super) fn items(&self, findings: &mut Findings) -> Vec<Self> {
        match &self.node.kind {
            Kind::List(items) => {
                items.iter().enumerate().map(|(at, item)| self.to(&at.to_string(), item)).collect()
            }
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Map(_) => {
                self.wrong_type("a list", findings);
                Vec::new()
            }
        }
    }

    /// The fields of a map, with their keys.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'n str, Self)> + '_ {
        self.node.entries().iter().map(|entry| (entry.key.as_str(), self.to(&entry.key, &entry.value)))
    }

    /// The first string in it that a test accepts. Depth is bounded by the readers.
    pub(super) fn find(&self, accepts: &dyn Fn(&str) -> bool) -> Option<Self> {
        match &self.node.kind {
            Kind::Text(text) => accepts(text).then(|| self.clone()),
            Kind::List(items) => {
                let mut items = items.iter().enumerate();
                items.find_map(|(at, item)| self.to(&at.to_string(), item).find(accepts))
            }
            Kind::Map(_) => self.fields().find_map(|(_, field)| field.find(accepts)),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) => None,
        }
    }

    fn to(&self, key: &str, node: &'n Node) -> Self {
        let token = key.replace('~', "~0").replace('/', "~1");
        Self { node, pointer: format!("{}/{token}", self.pointer) }
    }

    /// Reports that something else should be here.
    pub(super) fn wrong_type(&self, wanted: &str, findings: &mut Findings) {
        findings.add(self, "type", format!("expected {wanted}, found {}", self.node.what()));
    }

    /// Whether this is an object with known fields only. Reports what is not.
    pub(super) fn is_object(&self, what: &str, known: &[&str], findings: &mut Findings) -> bool {
        if !matches!(self.node.kind, Kind::Map(_)) {
            self.wrong_type("an object", findings);
            return false;
        }
        for entry in self.node.entries() {
            let key = entry.key.as_str();
            if !known.contains(&key) && !findings.full() {
                let at = self.to(key, &entry.value);
                let hint = synonym(key)
                    .filter(|it| known.contains(it))
                    .or_else(|| nearest(key, known.iter().copied()));
                let hint = hint.map_or_else(
                    || format!("it has {}", known.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                let message = format!("{what} has no field `{key}`");
                findings.add_at(&at.pointer, entry.place, "unknown_field", message, Some(hint));
            }
        }
        true
    }

    /// The text of a string. Reports what is none.
    pub(super) fn text(&self, findings: &mut Findings) -> Option<&'n str> {
        match &self.node.kind {
            Kind::Text(text) => Some(text),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::List(_) | Kind::Map(_) => {
                self.wrong_type("a string", findings);
                None
            }
        }
    }

    /// A short string for people. Reports what is empty or too long.
    pub(super) fn name(&self, findings: &mut Findings) -> Option<&'n str> {
        let text = self.text(findings)?;
        if text.trim().is_empty() {
            findings.add(self, "value", "a name is not empty");
            return None;
        }
        if text.len() > NAME_BYTES_MAX {
            findings.add(self, "limit", format!("a name is at most {NAME_BYTES_MAX} bytes long"));
        }
        Some(text)
    }

    /// One of some words. Reports others.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)], findings: &mut Findings) -> Option<T> {
        let text = self.text(findings)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let all: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            findings.add(self, "value", format!("`{text}` is not one of {}", all.join(", ")));
        }
        found
    }

    /// A whole number within bounds. Reports others.
    pub(super) fn integer(&self, least: u64, most: u64, findings: &mut Findings) -> Option<u64> {
        let Kind::Number(number) = &self.node.kind else {
            self.wrong_type("a whole number", findings);
            return None;
        };
        let lawful = number.as_u64().filter(|it| (least..=most).contains(it));
        if lawful.is_none() {
            findings.add(self, "value", format!("{number} is not a whole number from {least} to {most}"));
        }
        lawful
    }

    /// A number within bounds. Reports others.
    pub(super) fn double(&self, least: f64, most: f64, findings: &mut Findings) -> Option<f64> {
        let Kind::Number(number) = &self.node.kind else {
            self.wrong_type("a number", findings);
            return None;
        };
        let lawful = number.as_f64().filter(|it| (least..=most).contains(it));
        if lawful.is_none() {
            findings.add(self, "value", format!("{number} is not from {least} to {most}"));
        }
        lawful
    }

    /// A length of time. Reports what is none.
    pub(super) fn duration(&self, findings: &mut Findings) -> Option<Millis> {
        let parsed = match &self.node.kind {
            Kind::Text(text) => duration::parse(text),
            Kind::Number(number) => duration::from_seconds(number),
            Kind::Null | Kind::Bool(_) | Kind::List(_) | Kind::Map(_) => {
                self.wrong_type("a duration", findings);
                return None;
            }
        };
        match parsed {
            Ok(millis) => Some(millis),
            Err(why) => {
                let shown = self.node.value();
                findings.add(self, "duration", format!("{shown} {why}"));
                None
            }
        }
    }

    /// Labels: strings, or numbers and booleans, which become strings. Reports others.
    pub(super) fn labels(&self, findings: &mut Findings) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        if !matches!(self.node.kind, Kind::Map(_)) {
            self.wrong_type("an object", findings);
        }
        if self.node.entries().len() > LABELS_MAX {
            findings.add(self, "limit", format!("there are at most {LABELS_MAX} labels"));
        }
        for (key, at) in self.fields() {
            let value = match &at.node.kind {
                Kind::Text(text) => text.clone(),
                Kind::Number(number) => number.to_string(),
                Kind::Bool(bool) => bool.to_string(),
                Kind::Null | Kind::List(_) | Kind::Map(_) => {
                    at.wrong_type("a string", findings);
                    continue;
                }
            };
            if key.is_empty() || key.len() > LABEL_BYTES_MAX || value.len() > LABEL_BYTES_MAX {
                findings.add(&at, "limit", format!("a label has 1 to {LABEL_BYTES_MAX} bytes"));
            }
            labels.insert(key.to_owned(), value);
        }
        labels
    }
}

/// Words other systems use for ours.
fn synonym(key: &str) -> Option<&'static str> {
    let synonyms = [
        ("depends_on", "needs"),
        ("dependsOn", "needs"),
        ("dependencies", "needs"),
        ("after", "needs"),
        ("if", "when"),
        ("condition", "when"),
        ("parameters", "params"),
        ("config", "params"),
        ("args", "params"),
        ("with", "params"),
        ("inputs", "params"),
        ("retries", "retry"),
        ("runner", "type"),
        ("uses", "type"),
        ("step_id", "id"),
        ("title", "name"),
        ("tags", "labels"),
        ("input_schema", "input"),
        ("tasks", "steps"),
        ("nodes", "steps"),
        ("max_attempts", "attempts"),
        ("delay", "initial"),
    ];
    synonyms.into_iter().find(|(theirs, _)| *theirs == key).map(|(_, ours)| ours)
}
