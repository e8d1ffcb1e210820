//! The first look at the steps: their ids, and what comes before what.

use std::collections::BTreeMap;

use crate::expression::nearest;
use crate::model::limits::{NEEDS_MAX, STEPS_MAX};
use crate::model::{StepId, StepIndex};

use super::check::{Cursor, Findings};
use super::graph::Graph;
use super::node::Kind;

/// Ids and order of the steps. Everything else about a step is checked against it.
#[derive(Debug)]
pub(super) struct Outline<'n> {
    pub(super) steps: Vec<Cursor<'n>>,
    pub(super) ids: Vec<String>,
    by_id: BTreeMap<String, StepIndex>,
    /// By step, those it catches.
    pub(super) catches: Vec<Vec<StepIndex>>,
    /// None if there is a cycle.
    pub(super) graph: Option<Graph>,
}

impl<'n> Outline<'n> {
    /// Reads `steps`, if there are any.
    pub(super) fn read(list: Option<&Cursor<'n>>, findings: &mut Findings) -> Self {
        let mut steps = list.map_or_else(Vec::new, |list| list.items(findings));
        if let Some(list) = list {
            if steps.is_empty() && matches!(list.node.kind, Kind::List(_)) {
                findings.add(list, "missing", "a definition has at least one step");
            }
            if steps.len() > STEPS_MAX {
                findings.add(list, "limit", format!("a definition has at most {STEPS_MAX} steps"));
                steps.truncate(STEPS_MAX);
            }
        }
        let mut outline =
            Self { steps, ids: Vec::new(), by_id: BTreeMap::new(), catches: Vec::new(), graph: None };
        outline.name(findings);
        outline.order(findings);
        outline
    }

    /// Gives each step its id.
    fn name(&mut self, findings: &mut Findings) {
        for (index, step) in (0_u16..).map(StepIndex).zip(&self.steps) {
            let given = step.field("id").and_then(|at| id(&at, findings));
            let id = given.unwrap_or_else(|| format!("step{}", index.0));
            if let Some(other) = self.by_id.get(&id) {
                let at = step.field("id").unwrap_or_else(|| step.clone());
                let message = format!("the step at position {} has the id `{id}` too", other.0);
                findings.hinted(&at, "duplicate_id", message, "ids are unique in a definition");
            } else {
                self.by_id.insert(id.clone(), index);
            }
            self.ids.push(id);
        }
    }

    /// Reads `needs` and `catch` of each step.
    fn order(&mut self, findings: &mut Findings) {
        let mut all = Vec::with_capacity(self.steps.len());
        for (index, step) in (0_u16..).map(StepIndex).zip(&self.steps) {
            let catches = step.field("catch").map_or_else(Vec::new, |at| self.references(&at, findings));
            let mut needs = match step.field("needs") {
                Some(at) => self.references(&at, findings),
                None => index.0.checked_sub(1).map(StepIndex).into_iter().collect(),
            };
            for caught in &catches {
                if !needs.contains(caught) {
                    needs.push(*caught);
                }
            }
            all.push(needs);
            self.catches.push(catches);
        }
        match Graph::new(all) {
            Ok(graph) => self.graph = Some(graph),
            Err(cycle) => self.report_cycle(&cycle, findings),
        }
    }

    fn report_cycle(&self, cycle: &[StepIndex], findings: &mut Findings) {
        /// A longer path does not help.
        const SHOWN: usize = 12;
        let Some(first) = cycle.first() else { return };
        let mut path: Vec<_> =
            cycle.iter().take(SHOWN).map(|it| format!("`{}`", self.ids[it.usize()])).collect();
        if cycle.len() > SHOWN {
            path.push("…".to_owned());
        }
        path.push(format!("`{}`", self.ids[first.usize()]));
        let step = &self.steps[first.usize()];
        let at = step.field("needs").or_else(|| step.field("catch")).unwrap_or_else(|| step.clone());
        let message = format!("steps need each other in a cycle: {}", path.join(" needs "));
        findings.hinted(&at, "cycle", message, "take one of these needs away");
    }

    /// A list of steps, or one. Names are ids or positions.
    fn references(&self, at: &Cursor<'_>, findings: &mut Findings) -> Vec<StepIndex> {
        let items = match at.node.kind {
            Kind::Text(_) | Kind::Number(_) => vec![at.clone()],
            Kind::Null | Kind::Bool(_) | Kind::List(_) | Kind::Map(_) => at.items(findings),
        };
        if items.len() > NEEDS_MAX {
            findings.add(at, "limit", format!("a step names at most {NEEDS_MAX} others"));
        }
        let mut steps = Vec::new();
        for item in items.iter().take(NEEDS_MAX) {
            if let Some(step) = self.reference(item, findings)
                && !steps.contains(&step)
            {
                steps.push(step);
            }
        }
        steps
    }

    /// A step by its id or its position. Reports what is none.
    pub(super) fn reference(&self, at: &Cursor<'_>, findings: &mut Findings) -> Option<StepIndex> {
        let name = match &at.node.kind {
            Kind::Text(text) => text.clone(),
            Kind::Number(number) => number.to_string(),
            Kind::Null | Kind::Bool(_) | Kind::List(_) | Kind::Map(_) => {
                at.wrong_type("the id of a step", findings);
                return None;
            }
        };
        let by_position = || name.parse().ok().map(StepIndex).filter(|it| it.usize() < self.ids.len());
        let found = self.by_id.get(&name).copied().or_else(by_position);
        if found.is_none() && !findings.full() {
            let message = format!("there is no step `{name}`");
            let hint = nearest(&name, self.by_id.keys().map(String::as_str));
            let hint = hint.map(|near| format!("did you mean `{near}`?"));
            findings.add_at(&at.pointer, at.node.place, "unknown_step", message, hint);
        }
        found
    }
}

/// Reads an id. Reports what is none.
fn id(at: &Cursor<'_>, findings: &mut Findings) -> Option<String> {
    let text = match &at.node.kind {
        Kind::Number(number) => number.to_string(),
        Kind::Null | Kind::Bool(_) | Kind::Text(_) | Kind::List(_) | Kind::Map(_) => {
            at.text(findings)?.to_owned()
        }
    };
    let lawful = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let most = StepId::BYTES_MAX;
    if text.is_empty() || text.len() > most || !text.bytes().all(lawful) {
        let hint = format!("an id is 1 to {most} of letters, digits, `_` and `-`");
        findings.hinted(at, "bad_id", format!("`{text}` is no id"), hint);
        return None;
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        let message = format!("`{text}` is no id: a number names a step by its position");
        findings.hinted(at, "bad_id", message, format!("write `step{text}`"));
        return None;
    }
    Some(text)
}
