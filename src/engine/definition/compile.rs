//! From a document to a [`Spec`], collecting everything that is wrong with it.

use crate::expression::{Expression, Names, Problem, Template};
use crate::model::limits::PAYLOAD_BYTES_MAX;
use crate::model::{DefinitionStatus, Millis, SpecHash, StepId, StepIndex};

use super::check::{Cursor, Findings};
use super::node::{Kind, Node};
use super::outline::Outline;
use super::runner::{self, Chosen};
use super::{Join, OnError, OnLost, OnTimeout, RetryPolicy, RunnerCatalogue, Schema, Spec, StepSpec, retry};

/// Fields of a definition.
const FIELDS: [&str; 11] = [
    "name",
    "description",
    "status",
    "labels",
    "input",
    "timeout",
    "priority",
    "steps",
    "output",
    "concurrency",
    "on_failure",
];

/// Fields of a step.
const STEP_FIELDS: [&str; 22] = [
    "id",
    "name",
    "type",
    "provider",
    "action",
    "params",
    "needs",
    "join",
    "when",
    "timeout",
    "retry",
    "on_error",
    "on_timeout",
    "on_lost",
    "catch",
    "output",
    "labels",
    "foreach",
    "max_parallel",
    "repeat",
    "compensate",
    "lease",
];

/// Those of them that this version refuses.
const STEP_FIELDS_LATER: [&str; 5] = ["foreach", "max_parallel", "repeat", "compensate", "lease"];

/// Priority of a definition that does not say.
const PRIORITY_DEFAULT: u8 = 5;
const PRIORITY_MAX: u8 = 9;

/// Compiles a document. The spec is good only if there are no findings.
pub(super) fn compile(
    root: &Node,
    hash: SpecHash,
    catalogue: Option<&RunnerCatalogue>,
    findings: &mut Findings,
) -> Option<Spec> {
    let root = Cursor::root(root);
    if !root.is_object("a definition", &FIELDS, findings) {
        return None;
    }
    refuse_later(&root, findings);
    let name = root.field("name");
    if name.is_none() {
        findings.add(&root, "missing", "a definition needs a `name`");
    }
    let list = root.field("steps");
    if list.is_none() {
        findings.add(&root, "missing", "a definition needs `steps`");
    }
    let outline = Outline::read(list.as_ref(), findings);
    let names = Names::new(outline.ids.iter().map(String::as_str));
    let compiler = Compiler { outline: &outline, names, catalogue };
    let steps = compiler.steps(findings);
    let statuses: Vec<_> = DefinitionStatus::ALL.iter().map(|it| (it.as_str(), *it)).collect();
    let status = root.field("status").and_then(|at| at.word(&statuses, findings));
    let priority = root.field("priority").and_then(|at| at.integer(0, PRIORITY_MAX.into(), findings));
    let output = root.field("output");
    let spec = Spec {
        hash,
        name: name.and_then(|at| at.name(findings)).unwrap_or_default().to_owned(),
        description: root
            .field("description")
            .and_then(|at| at.text(findings))
            .unwrap_or_default()
            .to_owned(),
        status: status.unwrap_or(DefinitionStatus::Active),
        labels: root.field("labels").map(|at| at.labels(findings)).unwrap_or_default(),
        input: root.field("input").and_then(|at| schema(&at, findings)),
        timeout: root.field("timeout").and_then(|at| deadline(&at, catalogue.is_some(), findings)),
        priority: priority.and_then(|it| u8::try_from(it).ok()).unwrap_or(PRIORITY_DEFAULT),
        steps: steps?,
        output: output.and_then(|at| template(&at, &at.node.value(), &compiler.names, findings)),
    };
    Some(spec)
}

fn refuse_later(root: &Cursor<'_>, findings: &mut Findings) {
    if let Some(at) = root.field("concurrency") {
        findings.add(&at, "unsupported", "`concurrency` is not supported by this version");
    }
    if let Some(at) = root.field("on_failure")
        && at.word(&[("fail", false), ("compensate", true)], findings) == Some(true)
    {
        findings.add(&at, "unsupported", "`on_failure: compensate` is not supported by this version");
    }
}

fn schema(at: &Cursor<'_>, findings: &mut Findings) -> Option<Schema> {
    if !matches!(at.node.kind, Kind::Map(_) | Kind::Bool(_)) {
        at.wrong_type("a JSON Schema", findings);
        return None;
    }
    match Schema::compile(&at.node.value()) {
        Ok(schema) => Some(schema),
        Err((pointer, why)) => {
            let node = at.node.at(&pointer);
            let pointer = format!("{}{pointer}", at.pointer);
            findings.add_at(&pointer, node.place, "schema", format!("not a JSON Schema: {why}"), None);
            None
        }
    }
}

fn template(
    at: &Cursor<'_>,
    value: &serde_json::Value,
    names: &Names,
    findings: &mut Findings,
) -> Option<Template> {
    match Template::compile(value, names) {
        Ok(template) => {
            if template.as_constant().is_some_and(|payload| payload.len() > PAYLOAD_BYTES_MAX) {
                findings.add(at, "limit", format!("this is larger than {PAYLOAD_BYTES_MAX} bytes"));
            }
            Some(template)
        }
        Err(wrong) => {
            for misplaced in wrong {
                let node = at.node.at(&misplaced.pointer);
                let cursor = Cursor { node, pointer: format!("{}{}", at.pointer, misplaced.pointer) };
                problem(&cursor, misplaced.problem, findings);
            }
            None
        }
    }
}

fn problem(at: &Cursor<'_>, problem: Problem, findings: &mut Findings) {
    let Problem { message, hint, at: byte } = problem;
    findings.add_at(&at.pointer, at.node.place_of(byte), "expression", message, hint);
}

struct Compiler<'c> {
    outline: &'c Outline<'c>,
    names: Names,
    catalogue: Option<&'c RunnerCatalogue>,
}

impl Compiler<'_> {
    /// All of them, or none if one of them is no step at all.
    fn steps(&self, findings: &mut Findings) -> Option<Vec<StepSpec>> {
        let mut steps: Option<Vec<StepSpec>> = Some(Vec::with_capacity(self.outline.steps.len()));
        for (index, at) in (0_u16..).map(StepIndex).zip(&self.outline.steps) {
            if findings.full() {
                return None;
            }
            let step = self.step(index, at, findings);
            steps = steps.zip(step).map(|(mut steps, step)| {
                steps.push(step);
                steps
            });
        }
        let mut steps = steps.filter(|steps| !steps.is_empty())?;
        assert_eq!(steps.len(), self.outline.ids.len(), "a step keeps its position");
        self.catch(&mut steps, findings);
        Some(steps)
    }

    fn step(&self, index: StepIndex, at: &Cursor<'_>, findings: &mut Findings) -> Option<StepSpec> {
        if !at.is_object("a step", &STEP_FIELDS, findings) {
            return None;
        }
        for later in STEP_FIELDS_LATER {
            if let Some(at) = at.field(later) {
                let message = format!("`{later}` is not supported by this version");
                findings.add(&at, "unsupported", message);
            }
        }
        let chosen = runner::choose(at, self.catalogue, findings);
        if let Some(chosen) = &chosen {
            runner::check_params(at, chosen, self.catalogue, findings);
        }
        let id = &self.outline.ids[index.usize()];
        let needs = self.outline.graph.as_ref().map(|graph| graph.needs(index).to_vec());
        let join = self.join(at, needs.as_deref().unwrap_or_default().len(), findings);
        let when = at.field("when").and_then(|at| self.condition(index, &at, findings));
        let params = self.params(index, at, findings);
        let output = at.field("output").and_then(|at| self.reshape(index, &at, findings));
        let words = [("fail", OnTimeout::Fail), ("continue", OnTimeout::Continue)];
        let on_timeout = at.field("on_timeout").and_then(|at| at.word(&words, findings));
        let words = [("retry", OnLost::Retry), ("uncertain", OnLost::Uncertain)];
        let on_lost = at.field("on_lost").and_then(|at| at.word(&words, findings));
        let name = at.field("name").and_then(|at| at.name(findings));
        let retry = at.field("retry").map_or_else(RetryPolicy::once, |at| retry::read(&at, findings));
        let on_error = at.field("on_error").and_then(|at| self.on_error(index, &at, findings));
        let labels = at.field("labels").map(|at| at.labels(findings)).unwrap_or_default();
        let timeout = timeout(at, findings);
        let Chosen { runner, action, kind } = chosen?;
        Some(StepSpec {
            id: StepId::new(id),
            name: name.unwrap_or(id).to_owned(),
            runner,
            action,
            kind,
            params: params?,
            needs: needs?,
            join,
            when,
            timeout,
            retry,
            on_error: on_error.unwrap_or(OnError::Fail),
            on_timeout: on_timeout.unwrap_or(OnTimeout::Fail),
            on_lost: on_lost.unwrap_or(OnLost::Retry),
            catches: self.outline.catches[index.usize()].clone(),
            output,
            labels,
        })
    }

    fn join(&self, step: &Cursor<'_>, needs: usize, findings: &mut Findings) -> Join {
        let Some(at) = step.field("join") else { return Join::All };
        if let Kind::Text(_) = at.node.kind {
            return at.word(&[("all", Join::All), ("any", Join::Any)], findings).unwrap_or(Join::All);
        }
        let most = u64::try_from(needs).unwrap_or(u64::MAX);
        if most == 0 {
            findings.add(&at, "value", "there is nothing to join: the step needs no other");
            return Join::All;
        }
        let count = at.integer(1, most, findings).and_then(|it| u16::try_from(it).ok());
        count.map_or(Join::All, Join::AtLeast)
    }

    fn condition(&self, index: StepIndex, at: &Cursor<'_>, findings: &mut Findings) -> Option<Expression> {
        let text = match &at.node.kind {
            Kind::Bool(bool) => bool.to_string(),
            Kind::Null | Kind::Number(_) | Kind::Text(_) | Kind::List(_) | Kind::Map(_) => {
                at.text(findings)?.to_owned()
            }
        };
        match Expression::compile(&text, &self.names) {
            Ok(expression) => {
                self.check_references(index, at, expression.steps(), findings);
                // What was accepted before the rule was known keeps running until it meets the value.
                if let Some(what) = expression.never_a_condition().filter(|_| self.catalogue.is_some()) {
                    let hint = "write a comparison, as in `when: \"${ input.amount > 1000 }\"`";
                    let message = format!("`when` is a boolean, and this is always {what}");
                    findings.hinted(at, "type", message, hint);
                }
                Some(expression)
            }
            Err(wrong) => {
                problem(at, wrong, findings);
                None
            }
        }
    }

    /// The parameters without `timeout`, which is the step's.
    fn params(&self, index: StepIndex, step: &Cursor<'_>, findings: &mut Findings) -> Option<Template> {
        let Some(at) = step.field("params") else {
            return Some(Template::constant(&serde_json::json!({})));
        };
        let mut value = at.node.value();
        match value.as_object_mut() {
            Some(fields) => {
                fields.remove("timeout");
            }
            None => {
                at.wrong_type("an object", findings);
                return None;
            }
        }
        let template = template(&at, &value, &self.names, findings)?;
        self.check_references(index, &at, template.steps(), findings);
        Some(template)
    }

    fn reshape(&self, index: StepIndex, at: &Cursor<'_>, findings: &mut Findings) -> Option<Template> {
        let template = template(at, &at.node.value(), &self.names.reshaping(index), findings)?;
        self.check_references(index, at, template.steps().filter(|step| *step != index), findings);
        Some(template)
    }

    /// An expression may look only at steps that have settled when it is evaluated.
    fn check_references(
        &self,
        index: StepIndex,
        at: &Cursor<'_>,
        steps: impl Iterator<Item = StepIndex>,
        findings: &mut Findings,
    ) {
        let Some(graph) = &self.outline.graph else { return };
        let mut reported = None;
        for step in steps {
            if graph.is_before(step, index) || reported == Some(step) {
                continue;
            }
            reported = Some(step);
            let (id, own) = (&self.outline.ids[step.usize()], &self.outline.ids[index.usize()]);
            let message = if step == index {
                format!("step `{own}` looks at itself before it has run")
            } else {
                format!("step `{own}` looks at `{id}`, which need not have run by then")
            };
            let hint = if step == index {
                "what it gives is known in its `output`, and to the steps after it".to_owned()
            } else if graph.is_before(index, step) {
                format!("`{own}` runs first; look at a step before it")
            } else {
                format!("add `{id}` to its `needs`")
            };
            let place = at.find(&|text| self.looks_at(text, index, step)).unwrap_or_else(|| at.clone());
            findings.hinted(&place, "not_before", message, hint);
        }
    }

    /// Whether a string of the definition looks at a step.
    fn looks_at(&self, text: &str, own: StepIndex, step: StepIndex) -> bool {
        let template = Template::compile(&serde_json::Value::from(text), &self.names.reshaping(own));
        template.is_ok_and(|template| template.steps().any(|it| it == step))
    }

    fn on_error(&self, index: StepIndex, at: &Cursor<'_>, findings: &mut Findings) -> Option<OnError> {
        if let Kind::Text(_) = at.node.kind {
            return at.word(&[("fail", OnError::Fail), ("continue", OnError::Continue)], findings);
        }
        if !at.is_object("`on_error`", &["goto"], findings) {
            return None;
        }
        let Some(goto) = at.field("goto") else {
            findings.add(at, "missing", "`on_error` is `fail`, `continue` or `{goto: <step>}`");
            return None;
        };
        let target = self.outline.reference(&goto, findings)?;
        if let Some(graph) = &self.outline.graph
            && !graph.is_before(index, target)
        {
            let (id, own) = (&self.outline.ids[target.usize()], &self.outline.ids[index.usize()]);
            let message = format!("`{id}` does not come after `{own}`, so `{own}` cannot jump to it");
            let hint = format!("add `{own}`, or a step after it, to the `needs` of `{id}`");
            findings.hinted(&goto, "goto", message, hint);
        }
        Some(OnError::Goto(target))
    }

    /// Lets the steps that are caught jump to the step that catches them.
    fn catch(&self, steps: &mut [StepSpec], findings: &mut Findings) {
        let mut catcher: Vec<Option<StepIndex>> = vec![None; steps.len()];
        for (index, at) in (0_u16..).map(StepIndex).zip(&self.outline.steps) {
            let Some(place) = at.field("catch") else { continue };
            for caught in &self.outline.catches[index.usize()] {
                let id = &self.outline.ids[caught.usize()];
                let explicit = self.outline.steps[caught.usize()].field("on_error").is_some();
                if let Some(other) = catcher[caught.usize()] {
                    let other = &self.outline.ids[other.usize()];
                    findings.add(&place, "conflict", format!("`{id}` is caught by `{other}` already"));
                } else if explicit {
                    let message = format!("`{id}` says itself what happens `on_error`");
                    findings.hinted(&place, "conflict", message, "keep `catch` or `on_error`, not both");
                } else {
                    catcher[caught.usize()] = Some(index);
                    steps[caught.usize()].on_error = OnError::Goto(index);
                }
            }
        }
    }
}

/// The step's `timeout`, which people also write among the parameters.
fn timeout(step: &Cursor<'_>, findings: &mut Findings) -> Option<Millis> {
    let inner = step.field("params").and_then(|params| params.field("timeout"));
    let at = match (step.field("timeout"), inner) {
        (Some(_), Some(inner)) => {
            findings.add(&inner, "conflict", "the step has a `timeout` already; it means the same");
            return None;
        }
        (Some(at), None) | (None, Some(at)) => at,
        (None, None) => return None,
    };
    deadline(&at, true, findings)
}

/// A length of time after which something is given up. With `strict` it is longer than nothing.
fn deadline(at: &Cursor<'_>, strict: bool, findings: &mut Findings) -> Option<Millis> {
    let timeout = at.duration(findings)?;
    if strict && timeout.0 == 0 {
        findings.add(at, "duration", "a timeout is longer than nothing");
    }
    Some(timeout)
}
