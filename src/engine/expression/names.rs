//! The names an expression may use, and help for those that are misspelt.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::StepIndex;

use super::Problem;
use super::tree::{Call, FUNCTIONS, Kind, Node, Root};

/// What can be named at one place of a definition.
#[derive(Debug, Clone, Default)]
pub struct Names {
    steps: Arc<BTreeMap<String, StepIndex>>,
    own: Option<StepIndex>,
}

impl Names {
    /// Of a definition with these step ids, in order.
    #[must_use]
    pub fn new<'i>(ids: impl IntoIterator<Item = &'i str>) -> Self {
        let steps: BTreeMap<_, _> =
            (0_u16..).map(StepIndex).zip(ids).map(|(index, id)| (id.to_owned(), index)).collect();
        Self { steps: Arc::new(steps), own: None }
    }

    /// The same inside the `output` of a step, where `output` is what the runner answered.
    #[must_use]
    pub fn reshaping(&self, own: StepIndex) -> Self {
        Self { steps: Arc::clone(&self.steps), own: Some(own) }
    }

    /// A step by its id or its position.
    pub(super) fn step(&self, id: &str, at: usize) -> Result<StepIndex, Problem> {
        if let Some(index) = self.steps.get(id) {
            return Ok(*index);
        }
        let position = id.parse().ok().map(StepIndex).filter(|index| index.usize() < self.steps.len());
        position.ok_or_else(|| {
            let problem = Problem::new(at, format!("there is no step `{id}`"));
            match nearest(id, self.steps.keys().map(String::as_str)) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint("name a step by its id, or by its position from 0"),
            }
        })
    }

    /// A name that stands alone.
    pub(super) fn root(&self, name: &str, locals: &[String], at: usize) -> Result<Root, Problem> {
        match name {
            "input" => return Ok(Root::Input),
            "execution" => return Ok(Root::Execution),
            "workflow" => return Ok(Root::Workflow),
            "now" => return Ok(Root::Now),
            "output" if self.own.is_some() => return Ok(Root::Result),
            "output" => {
                let problem = Problem::new(at, "`output` is known only inside the `output` of a step");
                return Err(problem.hint("write `steps.<id>.output`"));
            }
            "item" | "index" => {
                let message = format!("`{name}` is known only inside a step with `foreach`");
                return Err(Problem::new(at, message));
            }
            _ => {}
        }
        let known = ["input", "steps", "execution", "workflow", "now", "true", "false", "null"];
        let all = known.into_iter().chain(locals.iter().map(String::as_str));
        let problem = Problem::new(at, format!("unknown name `{name}`"));
        Err(match nearest(name, all) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None if self.steps.contains_key(name) => problem.hint(format!("write `steps.{name}.output`")),
            None => problem.hint("known are input, steps, execution, workflow and now"),
        })
    }
}

/// Which part of a step is meant.
pub(super) fn step_field(step: StepIndex, field: &str, at: usize) -> Result<Root, Problem> {
    match field {
        "output" => Ok(Root::StepOutput(step)),
        "status" => Ok(Root::StepStatus(step)),
        "error" => Ok(Root::StepError(step)),
        _ => {
            let problem = Problem::new(at, format!("a step has no `{field}`"));
            let near = nearest(field, ["output", "status", "error"]);
            Err(problem.hint(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("what a step gave is under `output`: write `.output.{field}`"),
            }))
        }
    }
}

/// Fields of `execution` and `workflow` are known, so a wrong one is found when it is saved.
pub(super) fn check_field(of: &Node, field: &str, at: usize) -> Result<(), Problem> {
    let (root, known) = match of.kind {
        Kind::Root(Root::Execution) => ("execution", &EXECUTION_FIELDS),
        Kind::Root(Root::Workflow) => ("workflow", &WORKFLOW_FIELDS),
        _ => return Ok(()),
    };
    if known.contains(&field) {
        return Ok(());
    }
    Err(Problem::new(at, format!("`{root}` has no `{field}`")).hint(format!("it has {}", known.join(", "))))
}

pub(super) const EXECUTION_FIELDS: [&str; 3] = ["id", "started_at", "attempt"];
pub(super) const WORKFLOW_FIELDS: [&str; 3] = ["id", "name", "version"];

/// The names of types, which `type(x)` is compared with.
pub(super) fn type_name(name: &str) -> Option<&'static str> {
    ["int", "double", "string", "bool", "list", "map", "null_type"].into_iter().find(|it| *it == name)
}

/// Functions as other languages call them.
const SYNONYMS: [(&str, &str); 9] = [
    ("length", "size"),
    ("len", "size"),
    ("count", "size"),
    ("includes", "contains"),
    ("toString", "string"),
    ("toLowerCase", "lowerAscii"),
    ("toUpperCase", "upperAscii"),
    ("some", "exists"),
    ("every", "all"),
];

pub(super) fn unknown_function(name: &str, style: Call, at: usize) -> Problem {
    if let Some((_, _, lawful, ..)) = FUNCTIONS.iter().find(|it| it.0 == name) {
        let form = if *lawful == Call::Method { format!("x.{name}(…)") } else { format!("{name}(x)") };
        return Problem::new(at, format!("`{name}` is not called like this")).hint(format!("write `{form}`"));
    }
    if let Some((_, ours)) = SYNONYMS.iter().find(|(theirs, _)| *theirs == name) {
        return Problem::new(at, format!("there is no `{name}`")).hint(format!("write `{ours}`"));
    }
    let macros = ["has", "all", "exists", "exists_one", "map", "filter"];
    let what = if style == Call::Method { "method" } else { "function" };
    let problem = Problem::new(at, format!("unknown {what} `{name}`"));
    match nearest(name, FUNCTIONS.iter().map(|it| it.0).chain(macros)) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem,
    }
}

/// The known word that was probably meant: at most a third of the letters differ.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    /// Longer words are not typed by hand, and comparing them costs their product.
    const WORD_BYTES_MAX: usize = 64;
    /// A hint is not worth more comparisons.
    const CANDIDATES_MAX: usize = 1_000;
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let lower = word.to_lowercase();
    known
        .into_iter()
        .take(CANDIDATES_MAX)
        .filter(|candidate| candidate.len() <= WORD_BYTES_MAX && candidate.len().abs_diff(word.len()) <= 3)
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(edits, candidate)| *edits <= candidate.len() / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters have to be changed, added, left out or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    let mut last = None;
    for (i, l) in left.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let mut edits = (row[j] + usize::from(l != *r)).min(row[j + 1] + 1).min(next[j] + 1);
            if j > 0 && last == Some(*r) && right[j - 1] == l {
                edits = edits.min(before[j - 1] + 1);
            }
            next.push(edits);
        }
        before = std::mem::replace(&mut row, next);
        last = Some(l);
    }
    row[right.len()]
}
