//! A decision in the making.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use crate::definition::{Spec, StepSpec};
use crate::expression::Scope;
use crate::model::{
    Event, Execution, Fault, Handling, Moment, Payload, Recorded, Step, StepIndex, StepKey, codes, limits,
};

use super::graph::Dependents;
use crate::{evolve, invariants};

/// The execution as it will be, and the facts that make it so.
pub(super) struct Draft<'a> {
    pub(super) execution: Execution,
    pub(super) spec: &'a Spec,
    pub(super) moment: Moment,
    events: Vec<Event>,
    /// What the execution keeps, in bytes.
    kept: usize,
    /// Bytes of the documents in `events`.
    decided: usize,
    /// Steps that may have something to do now. Ordered, so that the definition's order decides.
    queue: BTreeSet<StepIndex>,
    dependents: OnceCell<Dependents>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(execution: &Execution, spec: &'a Spec, moment: Moment) -> Self {
        Self {
            execution: execution.clone(),
            spec,
            moment,
            events: Vec::new(),
            kept: execution.kept_bytes(),
            decided: 0,
            queue: BTreeSet::new(),
            dependents: OnceCell::new(),
        }
    }

    /// The facts, once nothing is left to decide.
    pub(super) fn into_events(self) -> Vec<Event> {
        debug_assert_eq!(
            invariants::check(&self.execution, self.spec),
            [""; 0],
            "a decision broke a promise"
        );
        self.events
    }

    /// Records a fact, and remembers whose turn it may be because of it.
    pub(super) fn push(&mut self, event: Event) {
        let recorded = Recorded { at: self.moment.at, event };
        let key = step_changed(&recorded.event);
        let before = self.kept_by(key);
        evolve(&mut self.execution, &recorded);
        self.kept = match recorded.event {
            Event::Created(_) | Event::Retried { .. } => self.execution.kept_bytes(),
            _ => self.kept - before + self.kept_by(key),
        };
        self.decided += documents_bytes(&recorded.event);
        self.wake_after(&recorded.event);
        self.events.push(recorded.event);
    }

    fn wake_after(&mut self, event: &Event) {
        match event {
            // Its wait for the next attempt may be zero.
            Event::AttemptFailed { step, .. } => self.wake(step.index),
            Event::StepFailed { step, handling, .. } => {
                if let Handling::Goto(target) = handling {
                    self.wake(*target);
                }
                self.wake_dependents(step.index);
            }
            Event::AttemptCompleted { step, .. }
            | Event::StepCompleted { step, .. }
            | Event::StepSkipped { step, .. } => self.wake_dependents(step.index),
            Event::Created(_) | Event::Resumed { .. } | Event::Retried { .. } => self.wake_all(),
            Event::AttemptStarted { .. }
            | Event::StepWaiting { .. }
            | Event::StepCancelled { .. }
            | Event::OutcomeIgnored { .. }
            | Event::Paused { .. }
            | Event::Completed { .. }
            | Event::Failed { .. }
            | Event::Cancelled { .. } => {}
        }
    }

    /// Whether the decision is as large as one may be: nothing else is to start in it.
    pub(super) fn is_full(&self) -> bool {
        self.decided >= limits::DECISION_BYTES_MAX
    }

    fn kept_by(&self, key: Option<StepKey>) -> usize {
        key.and_then(|key| self.execution.step(key)).map_or(0, Step::kept_bytes)
    }

    /// Checks a fact against what one execution may keep, before it is recorded.
    ///
    /// Errors: a fault with the code `limit`.
    pub(super) fn admit(&self, event: Event) -> Result<Event, Fault> {
        let key = step_changed(&event);
        let step = key.and_then(|key| self.execution.step(key));
        let (params, output) = match &event {
            Event::AttemptStarted { params, .. } | Event::StepWaiting { params, .. } => (Some(params), None),
            Event::StepCompleted { params, output, .. } => (Some(params), Some(output)),
            Event::AttemptCompleted { output, .. } => (None, Some(output)),
            _ => return Ok(event),
        };
        // A new document takes the place of an old one.
        let replaced = |new: Option<&Payload>, old: fn(&Step) -> Option<&Payload>| {
            new.and(step).and_then(old).map_or(0, Payload::len)
        };
        let replaced =
            replaced(params, |step| step.params.as_ref()) + replaced(output, |step| step.output.as_ref());
        let added = params.map_or(0, Payload::len) + output.map_or(0, Payload::len);
        match self.kept - replaced + added {
            kept if kept > limits::EXECUTION_BYTES_MAX => Err(too_much(kept)),
            _ => Ok(event),
        }
    }

    /// A fault of a runner, without its details if there is no room for them.
    pub(super) fn admit_fault(&self, index: StepIndex, fault: Fault) -> Fault {
        let before = self.step(index).fault.as_ref().map_or(0, Fault::bytes);
        match self.kept - before + fault.bytes() {
            kept if kept > limits::EXECUTION_BYTES_MAX => Fault { details: None, ..fault },
            _ => fault,
        }
    }

    fn wake(&mut self, index: StepIndex) {
        self.queue.insert(index);
    }

    /// Looks at every step.
    pub(super) fn wake_all(&mut self) {
        self.queue = self.execution.keyed_steps().map(|(key, _)| key.index).collect();
    }

    fn wake_dependents(&mut self, index: StepIndex) {
        let dependents = self.dependents.get_or_init(|| Dependents::new(self.spec));
        self.queue.extend(dependents.of(index));
    }

    /// The next step to look at.
    pub(super) fn next(&mut self) -> Option<StepIndex> {
        self.queue.pop_first()
    }

    /// Everything that comes after a step, itself not among it.
    pub(super) fn descendants(&self, index: StepIndex) -> BTreeSet<StepIndex> {
        self.dependents.get_or_init(|| Dependents::new(self.spec)).descendants(index)
    }

    pub(super) fn step(&self, index: StepIndex) -> &Step {
        &self.execution.steps[index.usize()]
    }

    pub(super) fn step_spec(&self, index: StepIndex) -> &'a StepSpec {
        &self.spec.steps[index.usize()]
    }

    /// What expressions see now.
    pub(super) fn scope(&self) -> Scope<'_> {
        Scope { execution: &self.execution, spec: self.spec, now: self.moment.at, result: None }
    }

    /// The keys of all steps of which `wanted` is true, in the definition's order.
    pub(super) fn keys_where(&self, wanted: impl Fn(&Step) -> bool) -> Vec<StepKey> {
        self.execution.keyed_steps().filter(|(_, step)| wanted(step)).map(|(key, _)| key).collect()
    }

    /// The step's parameters as they are now.
    pub(super) fn params(&self, index: StepIndex) -> Result<Payload, Fault> {
        let params = self.step_spec(index).params.resolve(&self.scope())?;
        fits(params, "the resolved parameters")
    }

    /// What a step gives when its runner, or its rule, answered `raw`.
    pub(super) fn shaped(&self, index: StepIndex, raw: Payload) -> Result<Payload, Fault> {
        let raw = fits(raw, "the output")?;
        let Some(template) = &self.step_spec(index).output else { return Ok(raw) };
        let scope = Scope { result: Some((index, &raw)), ..self.scope() };
        fits(template.resolve(&scope)?, "the reshaped output")
    }
}

/// Checks a document against the limits of what is recorded.
pub(super) fn fits(payload: Payload, what: &str) -> Result<Payload, Fault> {
    if payload.len() > limits::PAYLOAD_BYTES_MAX {
        let message =
            format!("{what} has {} bytes; the limit is {}", payload.len(), limits::PAYLOAD_BYTES_MAX);
        return Err(Fault::fatal(codes::LIMIT, message));
    }
    // Nesting takes two bytes a level, so a short document needs no look.
    if payload.len() > limits::JSON_DEPTH_MAX && payload.depth() > limits::JSON_DEPTH_MAX {
        let message = format!("{what} is nested deeper than {} levels", limits::JSON_DEPTH_MAX);
        return Err(Fault::fatal(codes::LIMIT, message));
    }
    Ok(payload)
}

fn too_much(kept: usize) -> Fault {
    let message = format!(
        "with this step the execution would keep {kept} bytes of input, parameters, outputs and faults; \
         the limit is {}",
        limits::EXECUTION_BYTES_MAX
    );
    Fault::fatal(codes::LIMIT, message)
}

/// The step whose documents a fact may change.
fn step_changed(event: &Event) -> Option<StepKey> {
    match event {
        Event::AttemptStarted { step, .. }
        | Event::AttemptCompleted { step, .. }
        | Event::AttemptFailed { step, .. }
        | Event::StepCompleted { step, .. }
        | Event::StepFailed { step, .. }
        | Event::StepSkipped { step, .. }
        | Event::StepWaiting { step, .. }
        | Event::StepCancelled { step }
        | Event::OutcomeIgnored { step, .. } => Some(*step),
        Event::Created(_)
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::Retried { .. }
        | Event::Completed { .. }
        | Event::Failed { .. }
        | Event::Cancelled { .. } => None,
    }
}

/// Bytes of the documents that a fact leaves in its execution. A fault that ends an attempt and then its step
/// is left there once.
fn documents_bytes(event: &Event) -> usize {
    match event {
        Event::Created(created) => created.input.len(),
        Event::AttemptStarted { params, .. } | Event::StepWaiting { params, .. } => params.len(),
        Event::AttemptCompleted { output, .. } => output.len(),
        Event::StepCompleted { params, output, .. } => params.len() + output.len(),
        Event::StepFailed { fault, .. } => fault.bytes(),
        Event::AttemptFailed { .. }
        | Event::StepSkipped { .. }
        | Event::StepCancelled { .. }
        | Event::OutcomeIgnored { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::Retried { .. }
        | Event::Completed { .. }
        | Event::Failed { .. }
        | Event::Cancelled { .. } => 0,
    }
}
