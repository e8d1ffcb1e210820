//! The log of an execution: one line per attempt, per pure step computed, per wait.
//!
//! Lines are derived from the history, so the log can never disagree with it.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::definition::Spec;
use crate::engine::model::{
    AfterFailure, Event, Fault, Millis, Payload, Recorded, StepKey, Timestamp, codes,
};

use super::write::Object;

/// Payload text a log shows in all. Beyond it lines say `truncated`: a log is read whole, and a
/// history may hold gigabytes.
const PAYLOAD_BYTES_MAX: usize = 32 << 20;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct Line {
    pub(in crate::api) step: StepKey,
    /// From 1; steps that take no attempts show 1.
    pub(in crate::api) attempt: u32,
    /// `running`, `waiting`, `completed`, `failed`, `lost`, `uncertain` or `cancelled`.
    pub(in crate::api) status: &'static str,
    pub(in crate::api) input: Option<Payload>,
    pub(in crate::api) output: Option<Payload>,
    /// When it began.
    pub(in crate::api) at: Timestamp,
    /// How long it took; none while it goes on.
    pub(in crate::api) duration: Option<Millis>,
    pub(in crate::api) fault: Option<Fault>,
    /// Input and output were left out: see [`PAYLOAD_BYTES_MAX`].
    pub(in crate::api) truncated: bool,
}

/// The log while it is read from a history, event by event.
#[derive(Debug, Default)]
pub(in crate::api) struct Log {
    lines: Vec<Line>,
    /// The line of a step that goes on. Invariant: at most one per step.
    open: BTreeMap<StepKey, usize>,
    /// Steps whose last attempt has failed; the `StepFailed` that follows needs no line of its own.
    failed: BTreeSet<StepKey>,
    payload_bytes: usize,
}

impl Log {
    /// The lines so far, in the order in which they began.
    pub(in crate::api) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Reads the next event.
    pub(in crate::api) fn read(&mut self, recorded: &Recorded) {
        let at = recorded.at;
        match &recorded.event {
            Event::AttemptStarted { step, attempt, params, .. } => {
                self.begin(*step, *attempt, "running", params, at);
            }
            Event::StepWaiting { step, params, .. } => self.begin(*step, 1, "waiting", params, at),
            Event::AttemptCompleted { step, output, .. } => {
                self.close(*step, "completed", at, Some(output), None);
            }
            Event::StepCompleted { step, params, output } => {
                if !self.open.contains_key(step) {
                    self.begin(*step, 1, "running", params, at);
                }
                self.close(*step, "completed", at, Some(output), None);
            }
            Event::AttemptFailed { step, fault, next, .. } => {
                let status = match next {
                    AfterFailure::Uncertain => "uncertain",
                    _ if fault.code == codes::NODE_LOST => "lost",
                    AfterFailure::Backoff { .. } | AfterFailure::Exhausted => "failed",
                };
                self.close(*step, status, at, None, Some(fault));
                if *next == AfterFailure::Exhausted {
                    self.failed.insert(*step);
                }
            }
            Event::StepFailed { step, fault, .. } => self.step_failed(*step, fault, at),
            Event::StepCancelled { step } => self.close(*step, "cancelled", at, None, None),
            Event::Retried { .. } => self.failed.clear(),
            Event::Created(_)
            | Event::StepSkipped { .. }
            | Event::OutcomeIgnored { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::Completed { .. }
            | Event::Failed { .. }
            | Event::Cancelled { .. } => {}
        }
    }

    /// A step failed without an attempt: its parameters or its computation did.
    fn step_failed(&mut self, step: StepKey, fault: &Fault, at: Timestamp) {
        if self.failed.remove(&step) {
            return;
        }
        if !self.open.contains_key(&step) {
            self.begin(step, 1, "running", &Payload::null(), at);
        }
        self.close(step, "failed", at, None, Some(fault));
    }

    fn begin(&mut self, step: StepKey, attempt: u32, status: &'static str, input: &Payload, at: Timestamp) {
        let input = self.keep(input);
        let truncated = input.is_none();
        self.open.insert(step, self.lines.len());
        self.lines.push(Line {
            step,
            attempt,
            status,
            input,
            output: None,
            at,
            duration: None,
            fault: None,
            truncated,
        });
    }

    fn close(
        &mut self,
        step: StepKey,
        status: &'static str,
        at: Timestamp,
        output: Option<&Payload>,
        fault: Option<&Fault>,
    ) {
        let Some(index) = self.open.remove(&step) else { return };
        let kept = output.and_then(|output| self.keep(output));
        let line = &mut self.lines[index];
        line.truncated |= output.is_some() && kept.is_none();
        line.status = status;
        line.duration = Some(at.since(line.at));
        line.output = kept;
        line.fault = fault.cloned();
    }

    fn keep(&mut self, payload: &Payload) -> Option<Payload> {
        let bytes = self.payload_bytes + payload.len();
        (bytes <= PAYLOAD_BYTES_MAX).then(|| {
            self.payload_bytes = bytes;
            payload.clone()
        })
    }
}

/// The id, the name and the type of a step, as its definition has them.
pub(in crate::api) fn step_words(spec: &Spec, key: StepKey) -> (&str, &str, &str) {
    spec.steps
        .get(key.index.usize())
        .map_or(("", "", ""), |step| (step.id.as_str(), step.name.as_str(), step.runner.as_str()))
}

/// Writes one line.
pub(in crate::api) fn write_line(out: &mut Vec<u8>, line: &Line, spec: &Spec) {
    let (id, name, runner) = step_words(spec, line.step);
    let mut object = Object::new(out);
    object.text("step_id", id);
    object.text("step_name", name);
    object.text("step_type", runner);
    object.number("attempt", u64::from(line.attempt));
    object.text("status", line.status);
    object.payload("input", line.input.as_ref());
    object.payload("output", line.output.as_ref());
    match line.duration {
        Some(duration) => object.number("duration_ms", duration.0),
        None => object.null("duration_ms"),
    }
    object.shown("timestamp", line.at);
    match &line.fault {
        Some(fault) => {
            object.text("error_message", &fault.message);
            object.text("error_code", &fault.code);
        }
        None => {
            object.null("error_message");
            object.null("error_code");
        }
    }
    object.truth("truncated", line.truncated);
    object.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::model::{Epoch, Handling, StepIndex};

    fn recorded(ms: u64, event: Event) -> Recorded {
        Recorded { at: Timestamp::from_micros(ms * 1_000), event }
    }

    fn started(step: u16, attempt: u32) -> Event {
        let params = Payload::from_text("{}").unwrap();
        let step = StepKey::plain(StepIndex(step));
        Event::AttemptStarted { step, attempt, params, deadline: None, epoch: Epoch(1) }
    }

    fn log(events: impl IntoIterator<Item = Recorded>) -> Vec<(u16, u32, &'static str, Option<u64>)> {
        let mut log = Log::default();
        events.into_iter().for_each(|event| log.read(&event));
        log.lines()
            .iter()
            .map(|line| (line.step.index.0, line.attempt, line.status, line.duration.map(|it| it.0)))
            .collect()
    }

    #[test]
    fn one_line_per_attempt() {
        let step = StepKey::plain(StepIndex(0));
        let lost = Fault::retryable(codes::NODE_LOST, "gone");
        let failed = Fault::fatal("exit_1", "no");
        let until = Timestamp::from_micros(9_000);
        let lines = log([
            recorded(1, started(0, 1)),
            recorded(
                5,
                Event::AttemptFailed { step, attempt: 1, fault: lost, next: AfterFailure::Backoff { until } },
            ),
            recorded(9, started(0, 2)),
            recorded(
                12,
                Event::AttemptFailed {
                    step,
                    attempt: 2,
                    fault: failed.clone(),
                    next: AfterFailure::Exhausted,
                },
            ),
            recorded(12, Event::StepFailed { step, fault: failed, handling: Handling::Continue }),
            recorded(12, started(1, 1)),
        ]);
        assert_eq!(
            lines,
            [(0, 1, "lost", Some(4)), (0, 2, "failed", Some(3)), (1, 1, "running", None)],
            "the failure of the step adds no line to that of its last attempt"
        );
    }

    #[test]
    fn pure_steps_and_waits_have_lines_too() {
        let pure = StepKey::plain(StepIndex(0));
        let delay = StepKey::plain(StepIndex(1));
        let null = Payload::null;
        let until = Timestamp::from_micros(9_000);
        let lines = log([
            recorded(1, Event::StepCompleted { step: pure, params: null(), output: null() }),
            recorded(
                1,
                Event::StepWaiting {
                    step: delay,
                    params: null(),
                    wait: crate::engine::model::Wait::Until(until),
                },
            ),
            recorded(9, Event::StepCompleted { step: delay, params: null(), output: null() }),
        ]);
        assert_eq!(lines, [(0, 1, "completed", Some(0)), (1, 1, "completed", Some(8))]);
    }

    #[test]
    fn a_step_that_fails_without_an_attempt_has_a_line() {
        let step = StepKey::plain(StepIndex(0));
        let fault = Fault::fatal(codes::EXPRESSION, "no");
        let lines = log([recorded(3, Event::StepFailed { step, fault, handling: Handling::Unhandled })]);
        assert_eq!(lines, [(0, 1, "failed", Some(0))]);
    }
}
