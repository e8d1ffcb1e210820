//! What an expression looks at, parsed before it runs. What it does not mention is not parsed.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::model::{Fault, Payload, Step, StepIndex, StepStatus};

use super::text::Text;
use super::tree::Root;
use super::value::Val;
use super::{LOADED_BYTES_MAX, Scope, Stop, WORK_MAX};

/// The parsed payloads of one evaluation.
#[derive(Debug)]
pub(super) struct Loaded<'s> {
    scope: &'s Scope<'s>,
    values: Vec<(Root, Value)>,
    /// Units of work spent by everything that is evaluated over these payloads.
    work: Cell<u64>,
}

impl<'s> Loaded<'s> {
    /// Parses what these roots need. Errors: more of it than is worth holding in memory.
    pub(super) fn new(scope: &'s Scope<'s>, roots: &BTreeSet<Root>) -> Result<Self, Stop<'static>> {
        let bytes: usize = roots.iter().filter_map(|root| payload_of(scope, *root)).map(Payload::len).sum();
        if bytes > LOADED_BYTES_MAX {
            let message = format!("expressions look at {bytes} bytes at once, more than {LOADED_BYTES_MAX}");
            return Err(Stop::limit(message));
        }
        let values = roots.iter().filter_map(|root| Some((*root, value_of(scope, *root)?))).collect();
        Ok(Self { scope, values, work: Cell::new(0) })
    }

    /// Spends units of work; a unit is about one node visited. Errors: the budget is empty.
    pub(super) fn spend(&self, units: u64) -> Result<(), Stop<'static>> {
        self.work.set(self.work.get().saturating_add(units));
        if self.work.get() > WORK_MAX {
            return Err(Stop::limit(format!("evaluation takes more than {WORK_MAX} steps of work")));
        }
        Ok(())
    }

    /// The value of a root. Errors: a step that has no output, and why.
    pub(super) fn root<'a>(&'a self, root: Root) -> Result<Val<'a>, Stop<'a>> {
        if let Some((_, value)) = self.values.iter().find(|(it, _)| *it == root) {
            return Ok(Val::from(value));
        }
        let execution = self.scope.execution;
        Ok(match root {
            Root::Now => Val::time(self.scope.now),
            Root::Execution => fields([
                ("id", Val::built(&execution.id.to_string())),
                ("started_at", Val::time(execution.started_at.unwrap_or(self.scope.now))),
                ("attempt", Val::Int(i128::from(execution.retries) + 1)),
            ]),
            Root::Workflow => fields([
                ("id", execution.workflow.map_or(Val::Null, |id| Val::built(&id.to_string()))),
                ("name", Val::text(&self.scope.spec.name)),
                ("version", Val::Int(execution.workflow_version.into())),
            ]),
            Root::StepStatus(index) => Val::text(self.status(index).as_str()),
            Root::StepOutput(index) => return Err(self.no_output(index)),
            Root::StepError(_) | Root::Input | Root::Result => Val::Null,
        })
    }

    /// Whether a step has an output, or an error.
    pub(super) fn has(&self, root: Root) -> bool {
        self.values.iter().any(|(it, _)| *it == root)
    }

    fn status(&self, index: StepIndex) -> StepStatus {
        self.scope.execution.steps.get(index.usize()).map_or(StepStatus::Pending, |step| step.status)
    }

    fn no_output(&self, index: StepIndex) -> Stop<'static> {
        let id = self.scope.spec.steps.get(index.usize()).map_or("?", |step| step.id.as_str());
        let status = self.status(index);
        Stop::wrong(format!(
            "`steps.{id}.output` is absent: the step is {status}; ask with `has(steps.{id}.output)`"
        ))
    }
}

fn fields<'a>(entries: [(&'static str, Val<'a>); 3]) -> Val<'a> {
    Val::map(entries.into_iter().map(|(key, value)| (Text::Borrowed(key), value)).collect::<BTreeMap<_, _>>())
}

/// The payload behind a root, where there is one.
fn payload_of<'s>(scope: &Scope<'s>, root: Root) -> Option<&'s Payload> {
    match root {
        Root::Input => Some(&scope.execution.input),
        Root::Result => scope.result.map(|(_, payload)| payload),
        Root::StepOutput(index) => match scope.result {
            Some((own, payload)) if own == index => Some(payload),
            _ => scope.execution.steps.get(index.usize())?.output.as_ref(),
        },
        Root::StepError(_) | Root::StepStatus(_) | Root::Execution | Root::Workflow | Root::Now => None,
    }
}

/// The document behind a root, where there is one.
fn value_of(scope: &Scope<'_>, root: Root) -> Option<Value> {
    if let Root::StepError(index) = root {
        let step = scope.execution.steps.get(index.usize())?;
        let fault = step.fault.as_ref().filter(|_| step.status != StepStatus::Completed)?;
        return Some(error_of(scope, index, step, fault));
    }
    payload_of(scope, root).map(Payload::value)
}

fn error_of(scope: &Scope<'_>, index: StepIndex, step: &Step, fault: &Fault) -> Value {
    json!({
        "code": fault.code,
        "message": fault.message,
        "retryable": fault.retryable,
        "details": fault.details.as_ref().map(Payload::value),
        "step": scope.spec.steps.get(index.usize()).map(|it| it.id.as_str()),
        // As the log of the execution has it.
        "attempt": step.attempt.max(1),
    })
}
