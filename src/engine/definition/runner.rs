//! What runs a step, and whether its parameters suit it.

use serde_json::json;

use crate::expression::nearest;

use super::check::{Cursor, Findings};
use super::node::Kind;
use super::{Misfit, Pure, RunnerCatalogue, RunnerShape, StepKind};

/// What runs a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) runner: String,
    pub(super) action: String,
    pub(super) kind: StepKind,
}

/// Step types of the language that this version does not run yet.
const LATER: [&str; 6] = ["signal", "queue", "workflow", "emit", "openai", "groq"];

const LOGIC: [(&str, Pure); 5] = [
    ("set", Pure::Set),
    ("assert", Pure::Assert),
    ("switch", Pure::Switch),
    ("transform", Pure::Transform),
    ("merge", Pure::Merge),
];

/// Reads `type`, or `provider`, and `action`. Without a catalogue every runner is taken as known.
pub(super) fn choose(
    step: &Cursor<'_>,
    catalogue: Option<&RunnerCatalogue>,
    findings: &mut Findings,
) -> Option<Chosen> {
    let named = match (step.field("type"), step.field("provider")) {
        (Some(named), None) | (None, Some(named)) => named,
        (Some(_), Some(provider)) => {
            findings.add(&provider, "conflict", "a step has a `type` or a `provider`, not both");
            return None;
        }
        (None, None) => {
            let hint = "write `type: shell`, or `provider` and `action`";
            findings.hinted(step, "missing", "a step says what runs it", hint);
            return None;
        }
    };
    let runner = named.text(findings)?.to_owned();
    let action = match step.field("action") {
        Some(at) => Some((at.text(findings)?.to_owned(), at)),
        None => None,
    };
    match runner.as_str() {
        "logic" => logic(step, action, findings),
        "delay" => {
            if let Some((action, at)) = action {
                findings.add(&at, "unknown_action", format!("`delay` has no action `{action}`"));
            }
            Some(Chosen { runner, action: String::new(), kind: StepKind::Delay })
        }
        _ => effect(&named, runner, action, catalogue, findings),
    }
}

fn logic(step: &Cursor<'_>, action: Option<(String, Cursor<'_>)>, findings: &mut Findings) -> Option<Chosen> {
    let words = LOGIC.map(|(word, _)| word);
    let Some((action, at)) = action else {
        let hint = format!("write `action:` and one of {}", words.join(", "));
        findings.hinted(step, "missing", "`logic` needs an `action`", hint);
        return None;
    };
    match LOGIC.into_iter().find(|(word, _)| *word == action) {
        Some((_, pure)) => Some(Chosen { runner: "logic".to_owned(), action, kind: StepKind::Pure(pure) }),
        None => {
            unknown_action(&at, "logic", &action, &words, findings);
            None
        }
    }
}

fn effect(
    named: &Cursor<'_>,
    runner: String,
    action: Option<(String, Cursor<'_>)>,
    catalogue: Option<&RunnerCatalogue>,
    findings: &mut Findings,
) -> Option<Chosen> {
    let Some(catalogue) = catalogue else {
        let action = action.map(|(action, _)| action).unwrap_or_default();
        return Some(Chosen { runner, action, kind: StepKind::Effect });
    };
    let Some(shape) = catalogue.runners.get(&runner) else {
        if LATER.contains(&runner.as_str()) {
            let message = format!("steps of type `{runner}` are not supported by this version");
            findings.add(named, "unsupported", message);
            return None;
        }
        let known: Vec<&str> =
            catalogue.runners.keys().map(String::as_str).chain(["logic", "delay"]).collect();
        let hint = match nearest(&runner, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", known.join(", ")),
        };
        findings.hinted(named, "unknown_runner", format!("there is no runner `{runner}`"), hint);
        return None;
    };
    if let Some((action, at)) = &action
        && !shape.actions.contains(action)
    {
        let words: Vec<&str> = shape.actions.iter().map(String::as_str).collect();
        unknown_action(at, &runner, action, &words, findings);
    }
    let action = action.map(|(action, _)| action).unwrap_or_default();
    Some(Chosen { runner, action, kind: StepKind::Effect })
}

fn unknown_action(at: &Cursor<'_>, runner: &str, action: &str, known: &[&str], findings: &mut Findings) {
    let hint = match nearest(action, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "leave `action` out".to_owned(),
        None => format!("it has {}", known.join(", ")),
    };
    findings.hinted(at, "unknown_action", format!("`{runner}` has no action `{action}`"), hint);
}

/// Checks that parameters are there that have to be, and no others.
pub(super) fn check_params(
    step: &Cursor<'_>,
    chosen: &Chosen,
    catalogue: Option<&RunnerCatalogue>,
    findings: &mut Findings,
) {
    let pure: (&[&str], &[&str]) = match chosen.kind {
        StepKind::Pure(Pure::Set) => return,
        StepKind::Pure(Pure::Assert) => (&["that"], &["that", "message"]),
        StepKind::Pure(Pure::Switch) => (&["cases"], &["cases", "default"]),
        StepKind::Pure(Pure::Transform) => (&["value"], &["value"]),
        StepKind::Pure(Pure::Merge) => (&["objects"], &["objects"]),
        StepKind::Delay => (&[], &["for", "until"]),
        StepKind::Effect => {
            let Some(shape) = catalogue.and_then(|it| it.runners.get(&chosen.runner)) else { return };
            let required: Vec<&str> = shape.required.iter().map(String::as_str).collect();
            let known: Vec<&str> = shape.known.iter().map(String::as_str).collect();
            fit(step, &chosen.runner, (&required, &known), findings);
            return check_values(step, shape, findings);
        }
    };
    fit(step, &chosen.runner, pure, findings);
    match chosen.kind {
        StepKind::Delay => check_delay(step, findings),
        StepKind::Pure(pure) => check_pure(step, pure, findings),
        StepKind::Effect => {}
    }
}

fn fit(step: &Cursor<'_>, runner: &str, (required, known): (&[&str], &[&str]), findings: &mut Findings) {
    let params = step.field("params");
    for name in required {
        if params.as_ref().and_then(|params| params.node.get(name)).is_none() {
            let at = params.as_ref().unwrap_or(step);
            findings.add(at, "missing_param", format!("`{runner}` needs the parameter `{name}`"));
        }
    }
    let Some(params) = params else { return };
    for (name, at) in params.fields() {
        let lawful =
            known.is_empty() || known.contains(&name) || required.contains(&name) || name == "timeout";
        if !lawful && !findings.full() {
            let hint = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it knows {}", known.join(", ")),
            };
            findings.hinted(&at, "unknown_param", format!("`{runner}` has no parameter `{name}`"), hint);
        }
    }
}

/// What the runner itself says of the values.
fn check_values(step: &Cursor<'_>, shape: &RunnerShape, findings: &mut Findings) {
    let Some(check) = shape.check else { return };
    let params = step.field("params");
    let value = params.as_ref().map_or_else(|| json!({}), |params| params.node.value());
    if !value.is_object() {
        return;
    }
    let at = params.as_ref().unwrap_or(step);
    for Misfit { pointer, message } in check(&value) {
        let place = at.node.at(&pointer).place;
        findings.add_at(&format!("{}{pointer}", at.pointer), place, "bad_param", message, None);
    }
}

/// Values of the rules of `logic` that no expression will change.
fn check_pure(step: &Cursor<'_>, pure: Pure, findings: &mut Findings) {
    let field = |name| step.field("params").and_then(|params| params.field(name));
    match pure {
        Pure::Assert => {
            if let Some(at) = field("that").filter(|at| !is_template(at))
                && !matches!(at.node.kind, Kind::Bool(_))
            {
                let hint = "write `that: \"${ … }\"`";
                findings.hinted(&at, "type", "`that` is one expression or a boolean", hint);
            }
        }
        Pure::Switch => check_cases(step, findings),
        Pure::Merge => {
            let objects = field("objects").filter(|at| !is_template(at));
            for object in objects.map(|at| at.items(findings)).unwrap_or_default() {
                if !is_template(&object) && !matches!(object.node.kind, Kind::Map(_)) {
                    object.wrong_type("an object", findings);
                }
            }
        }
        Pure::Set | Pure::Transform => {}
    }
}

/// `for` or `until`, and whichever is a literal must be right.
fn check_delay(step: &Cursor<'_>, findings: &mut Findings) {
    let field = |name| step.field("params").and_then(|params| params.field(name));
    match (field("for"), field("until")) {
        (None, None) => findings.add(step, "missing_param", "`delay` needs the parameter `for` or `until`"),
        (Some(_), Some(at)) => findings.add(&at, "conflict", "`delay` takes `for` or `until`, not both"),
        (Some(at), None) => {
            if !is_template(&at) {
                at.duration(findings);
            }
        }
        (None, Some(at)) => match &at.node.kind {
            Kind::Text(text) if is_template(&at) || text.parse::<jiff::Timestamp>().is_ok() => {}
            _ => {
                let hint = "write a time with its zone, as in 2026-01-31T09:00:00Z";
                findings.hinted(&at, "value", "`until` is no RFC 3339 time", hint);
            }
        },
    }
}

fn check_cases(step: &Cursor<'_>, findings: &mut Findings) {
    let Some(cases) = step.field("params").and_then(|params| params.field("cases")) else { return };
    for case in cases.items(findings) {
        if !case.is_object("a case", &["when", "name", "value"], findings) {
            continue;
        }
        match case.field("when") {
            None => findings.add(&case, "missing", "a case needs `when`"),
            Some(at) => {
                if !is_template(&at) && !matches!(at.node.kind, Kind::Bool(_)) {
                    let hint = "write `when: \"${ … }\"`";
                    findings.hinted(&at, "type", "`when` of a case is one expression or a boolean", hint);
                }
            }
        }
    }
}

/// Whether a value is a string with an expression in it.
pub(super) fn is_template(at: &Cursor<'_>) -> bool {
    matches!(&at.node.kind, Kind::Text(text) if text.contains("${"))
}
