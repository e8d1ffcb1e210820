//! What is true of every execution and of every history, checked from outside.
//!
//! Written against the promises, not against the code: [`check()`] looks at a state and asks whether it
//! can be; [`check_history()`] reads a list of facts with a memory of its own. Tests run both after each
//! fact, and whoever suspects a damaged store may run them on what it holds.

use crate::decide::{Turn, needs_wanted, turn};
use crate::definition::Spec;
use crate::model::{
    AfterFailure, AttemptNumber, Event, Execution, Recorded, Status, Step, StepIndex, StepKey, StepStatus,
    Timestamp,
};

/// Everything wrong with a state; empty if nothing is.
#[must_use]
pub fn check(execution: &Execution, spec: &Spec) -> Vec<String> {
    let mut wrong = Wrong::default();
    if execution.version == 0 {
        wrong.unless(execution.steps.is_empty(), || "an unborn execution has steps".into());
        return wrong.0;
    }
    wrong.unless(execution.spec == spec.hash, || "the definition is another one".into());
    wrong.unless(execution.steps.len() == spec.steps.len(), || "the number of steps is another one".into());
    if !wrong.0.is_empty() {
        return wrong.0;
    }
    whole(&mut wrong, execution);
    let halfway = execution.may_be_halfway();
    for (key, step) in execution.keyed_steps() {
        let before = wrong.0.len();
        shape_of_step(&mut wrong, step);
        place_of_step(&mut wrong, execution, spec, key.index, halfway);
        for message in &mut wrong.0[before..] {
            *message = format!("step {}: {message}", spec.steps[key.index.usize()].id);
        }
    }
    wrong.0
}

fn whole(wrong: &mut Wrong, execution: &Execution) {
    let finished = execution.status.is_finished();
    let any = |wanted: fn(&Step) -> bool| execution.steps.iter().any(wanted);
    wrong.unless(finished == execution.finished_at.is_some(), || "ended and end time disagree".into());
    wrong.unless((execution.status == Status::Paused) == execution.pause.is_some(), || {
        "paused and pause disagree".into()
    });
    let may_have_fault = matches!(execution.status, Status::Failed | Status::Cancelled);
    wrong.unless(execution.fault.is_none() || may_have_fault, || "it has a fault and has not failed".into());
    wrong.unless(execution.fault.is_some() || execution.status != Status::Failed, || {
        "it failed without a fault".into()
    });
    wrong.unless(!finished || !any(|step| !step.status.is_settled()), || {
        "it has ended with an open step".into()
    });
    let unhandled = any(|step| step.status == StepStatus::Failed && !step.handled);
    wrong.unless(execution.status != Status::Completed || !unhandled, || {
        "it is completed with a failure nobody took care of".into()
    });
    wrong.unless(execution.status != Status::Running || !unhandled, || {
        "it runs with a failure nobody took care of".into()
    });
    wrong.unless(finished || !any(|step| step.status == StepStatus::Cancelled), || {
        "a step is cancelled and its execution is not".into()
    });
    let idle = execution.status == Status::Running && !any(|step| step.status.is_in_flight());
    wrong.unless(!idle || execution.may_be_halfway(), || "it runs and nothing is in flight".into());
}

fn shape_of_step(wrong: &mut Wrong, step: &Step) {
    let is = |statuses: &[StepStatus]| statuses.contains(&step.status);
    wrong.unless(!is(&[StepStatus::Running, StepStatus::Uncertain]) || step.attempt > 0, || {
        "it runs without an attempt".into()
    });
    wrong
        .unless(!is(&[StepStatus::Running]) || step.params.is_some(), || "it runs without parameters".into());
    wrong.unless(!is(&[StepStatus::Backoff, StepStatus::Waiting]) || step.due.is_some(), || {
        "it waits without an end".into()
    });
    wrong.unless(!is(&[StepStatus::Completed]) || step.output.is_some(), || {
        "it is completed without an output".into()
    });
    wrong.unless(!is(&[StepStatus::Failed]) || step.fault.is_some(), || "it failed without a fault".into());
    wrong.unless(is(&[StepStatus::Skipped]) == step.skipped.is_some(), || {
        "skipped and the reason disagree".into()
    });
    wrong.unless(!is(&[StepStatus::Ready]), || "it was left between two facts".into());
    wrong.unless(step.status.is_settled() == step.finished_at.is_some(), || {
        "settled and end time disagree".into()
    });
    wrong.unless(!step.status.is_settled() || step.due.is_none(), || "it is settled and due".into());
    wrong.unless(step.failures <= step.attempt, || "it failed more often than it was tried".into());
    wrong.unless(step.ignored <= step.attempt, || "an attempt was ignored that was never started".into());
}

fn place_of_step(wrong: &mut Wrong, execution: &Execution, spec: &Spec, index: StepIndex, halfway: bool) {
    let (step, step_spec) = (&execution.steps[index.usize()], &spec.steps[index.usize()]);
    let reached = match step.status {
        StepStatus::Running
        | StepStatus::Waiting
        | StepStatus::Backoff
        | StepStatus::Completed
        | StepStatus::Failed
        | StepStatus::Uncertain => true,
        StepStatus::Pending
        | StepStatus::Ready
        | StepStatus::Skipped
        | StepStatus::Cancelled
        | StepStatus::Compensated => false,
    };
    let ready = turn(spec, execution, index) != Turn::Wait;
    wrong.unless(!reached || ready, || {
        format!("it was reached before {} of its needs were done", needs_wanted(spec, index))
    });
    let left_behind = execution.status == Status::Running && step.status == StepStatus::Pending && ready;
    wrong.unless(!left_behind || halfway, || "its needs are met and it was left behind".into());
    wrong.unless(step.failures <= step_spec.retry.attempts, || {
        format!("it failed {} times, its policy allows {}", step.failures, step_spec.retry.attempts)
    });
}

/// Everything wrong with a history, oldest fact first; empty if nothing is.
///
/// Kept here: creation is first and only first; time never runs back; attempts count from 1 without a
/// gap; an attempt has one start, then at most one outcome, and only while it is the live one; nothing
/// starts while paused or after an end, unless a retry comes between.
#[must_use]
pub fn check_history(history: &[Recorded], spec: &Spec) -> Vec<String> {
    let mut reader = Reader {
        wrong: Wrong::default(),
        lanes: vec![Lane::default(); spec.steps.len()],
        held: false,
        ended: false,
        last: Timestamp::default(),
    };
    for (position, recorded) in history.iter().enumerate() {
        let before = reader.wrong.0.len();
        reader.read(position, recorded);
        for message in &mut reader.wrong.0[before..] {
            *message = format!("fact {}: {message}", position + 1);
        }
    }
    reader.wrong.0
}

#[derive(Default, Clone)]
struct Lane {
    last: AttemptNumber,
    live: bool,
    not_before: Timestamp,
    completed: bool,
}

struct Reader {
    wrong: Wrong,
    lanes: Vec<Lane>,
    held: bool,
    ended: bool,
    last: Timestamp,
}

impl Reader {
    fn read(&mut self, position: usize, recorded: &Recorded) {
        let at = recorded.at;
        self.wrong.unless(self.last <= at, || "time runs back".into());
        self.last = at;
        let first = matches!(recorded.event, Event::Created(_));
        self.wrong
            .unless(first == (position == 0), || "creation is the first fact, and only the first".into());
        let after_end = matches!(recorded.event, Event::Retried { .. } | Event::OutcomeIgnored { .. });
        self.wrong.unless(!self.ended || after_end, || "it comes after the end".into());
        match &recorded.event {
            Event::AttemptStarted { step, attempt, .. } => self.start(*step, *attempt, at),
            Event::AttemptCompleted { step, attempt, .. } => {
                self.end_attempt(*step, *attempt);
                self.complete(*step);
            }
            Event::AttemptFailed { step, attempt, next, .. } => {
                self.end_attempt(*step, *attempt);
                // It may lie in the past: what was decided in time may have been recorded late.
                if let AfterFailure::Backoff { until } = next {
                    self.lane(*step, |lane| lane.not_before = *until);
                }
            }
            Event::StepCompleted { step, .. } => {
                self.quiet();
                self.complete(*step);
            }
            Event::StepWaiting { .. } => self.quiet(),
            Event::StepCancelled { step } => self.lane(*step, |lane| lane.live = false),
            Event::Paused { .. } => self.held = true,
            Event::Resumed { .. } => self.held = false,
            Event::Completed { .. } | Event::Failed { .. } | Event::Cancelled { .. } => self.end(),
            Event::Retried { steps, .. } => {
                self.ended = false;
                for step in steps {
                    self.lane(*step, |lane| {
                        lane.completed = false;
                        lane.not_before = Timestamp::default();
                    });
                }
            }
            Event::Created(_)
            | Event::StepFailed { .. }
            | Event::StepSkipped { .. }
            | Event::OutcomeIgnored { .. } => {}
        }
    }

    fn start(&mut self, key: StepKey, attempt: AttemptNumber, at: Timestamp) {
        self.quiet();
        let Some(lane) = self.lanes.get_mut(key.index.usize()) else {
            return self.wrong.0.push("the step does not exist".into());
        };
        self.wrong.unless(!lane.live, || "a second attempt is live".into());
        self.wrong.unless(!lane.completed, || "a completed step runs again".into());
        self.wrong
            .unless(attempt == lane.last + 1, || format!("attempt {attempt} follows attempt {}", lane.last));
        self.wrong.unless(at >= lane.not_before, || "the backoff was cut short".into());
        (lane.last, lane.live) = (attempt, true);
    }

    fn end_attempt(&mut self, key: StepKey, attempt: AttemptNumber) {
        let lane = self.lanes.get_mut(key.index.usize());
        let lawful = lane.is_some_and(|lane| std::mem::take(&mut lane.live) && lane.last == attempt);
        self.wrong.unless(lawful, || format!("an outcome of attempt {attempt}, which is not live"));
    }

    fn complete(&mut self, key: StepKey) {
        let lane = self.lanes.get_mut(key.index.usize());
        let lawful = lane.is_some_and(|lane| !std::mem::replace(&mut lane.completed, true));
        self.wrong.unless(lawful, || "a step completes twice".into());
    }

    /// Nothing begins while it is paused.
    fn quiet(&mut self) {
        self.wrong.unless(!self.held, || "something begins while it is paused".into());
    }

    fn end(&mut self) {
        let live = self.lanes.iter().any(|lane| lane.live);
        self.wrong.unless(!live, || "it ends with an attempt in flight".into());
        (self.ended, self.held) = (true, false);
    }

    fn lane(&mut self, key: StepKey, change: impl FnOnce(&mut Lane)) {
        if let Some(lane) = self.lanes.get_mut(key.index.usize()) {
            change(lane);
        }
    }
}

/// What was found.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn unless(&mut self, holds: bool, message: impl FnOnce() -> String) {
        if !holds {
            self.0.push(message());
        }
    }
}
