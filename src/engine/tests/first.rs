//! The life of small executions, before there are scripts.

use std::collections::BTreeMap;

use crate::definition::{Backoff, Join, OnError, OnLost, OnTimeout, RetryPolicy, Spec, StepKind, StepSpec};
use crate::expression::Template;
use crate::model::*;
use crate::{decide, evolve, owed};

fn step(id: &str, needs: &[u16]) -> StepSpec {
    StepSpec {
        id: StepId::new(id),
        name: id.into(),
        runner: "noop".into(),
        action: String::new(),
        kind: StepKind::Effect,
        params: Template {},
        needs: needs.iter().copied().map(StepIndex).collect(),
        join: Join::All,
        when: None,
        timeout: None,
        retry: RetryPolicy {
            attempts: 2,
            backoff: Backoff::Fixed,
            initial: Millis(1_000),
            factor: 1.0,
            max: Millis(60_000),
            jitter: 0.0,
            on: Vec::new(),
        },
        on_error: OnError::Fail,
        on_timeout: OnTimeout::Fail,
        on_lost: OnLost::Retry,
        catches: Vec::new(),
        output: None,
        labels: BTreeMap::new(),
    }
}

struct World {
    spec: Spec,
    execution: Execution,
    now: Timestamp,
    epoch: Epoch,
}

impl World {
    fn new(steps: Vec<StepSpec>) -> Self {
        let spec = Spec {
            hash: SpecHash([7; 32]),
            name: "w".into(),
            description: String::new(),
            status: DefinitionStatus::Active,
            labels: BTreeMap::new(),
            input: None,
            timeout: Some(Millis(3_600_000)),
            priority: 5,
            steps,
            output: None,
        };
        let tenant = TenantId::new("default").unwrap();
        let execution = Execution::unborn(ExecutionId::new(0, 1, 0), tenant);
        Self { spec, execution, now: Timestamp::default(), epoch: Epoch(1) }
    }

    fn wish(&mut self, input: Input) -> Vec<Event> {
        let moment = Moment { at: self.now, epoch: self.epoch };
        let events = decide(&self.execution, &self.spec, input, moment).unwrap();
        for event in &events {
            evolve(&mut self.execution, &Recorded { at: self.now, event: event.clone() });
        }
        events
    }

    fn create(&mut self) -> Vec<Event> {
        let create = Create {
            tenant: self.execution.tenant.clone(),
            workflow: None,
            workflow_version: 0,
            input: Payload::null(),
            labels: BTreeMap::new(),
            by: "test".into(),
        };
        self.wish(Input::Create(Box::new(create)))
    }

    fn end(&mut self, index: u16, attempt: u32, outcome: Result<Payload, Fault>) -> Vec<Event> {
        self.wish(Input::AttemptFinished { step: StepKey::plain(StepIndex(index)), attempt, outcome })
    }
}

#[test]
fn a_sequence_costs_one_commit_more_than_it_has_steps() {
    let mut world = World::new(vec![step("a", &[]), step("b", &[0])]);
    assert_eq!(world.create().len(), 2);
    assert_eq!(world.end(0, 1, Ok(Payload::null())).len(), 2);
    assert_eq!(world.end(1, 1, Ok(Payload::null())).len(), 2);
    assert_eq!(world.execution.status, Status::Completed);
    assert_eq!(world.execution.version, 6);
    assert!(owed(&world.execution, &world.spec).is_empty());
}

#[test]
fn a_failed_attempt_waits_out_its_backoff() {
    let mut world = World::new(vec![step("a", &[])]);
    world.create();
    world.end(0, 1, Err(Fault::retryable("http_503", "busy")));
    assert_eq!(world.execution.steps[0].status, StepStatus::Backoff);
    assert_eq!(
        owed(&world.execution, &world.spec),
        [Effect::Timer { due: Timestamp::default() + Millis(1_000) }]
    );
    assert!(world.wish(Input::Reconcile).is_empty());
    world.now = world.now + Millis(1_000);
    world.wish(Input::Reconcile);
    assert_eq!(world.execution.steps[0].status, StepStatus::Running);
    world.end(0, 2, Err(Fault::retryable("http_503", "busy")));
    assert_eq!(world.execution.status, Status::Failed);
    world.wish(Input::Retry { by: "me".into(), from: RetryFrom::Failed });
    assert_eq!(world.execution.steps[0].attempt, 3);
}

#[test]
fn a_graph_joins_its_branches() {
    let mut world = World::new(vec![step("a", &[]), step("b", &[0]), step("c", &[0]), step("d", &[1, 2])]);
    world.create();
    world.end(0, 1, Ok(Payload::null()));
    assert_eq!(owed(&world.execution, &world.spec).len(), 3, "two attempts and the deadline");
    world.end(2, 1, Ok(Payload::null()));
    assert_eq!(world.execution.steps[3].status, StepStatus::Pending);
    world.end(1, 1, Ok(Payload::null()));
    world.end(3, 1, Ok(Payload::null()));
    assert_eq!(world.execution.status, Status::Completed);
}

#[test]
fn a_lost_attempt_is_tried_again_and_its_late_outcome_is_ignored_once() {
    let mut world = World::new(vec![step("a", &[])]);
    world.create();
    world.epoch = Epoch(2);
    assert_eq!(world.wish(Input::Reconcile).len(), 2);
    assert_eq!(world.execution.steps[0].failures, 0);
    assert_eq!(world.end(0, 1, Ok(Payload::null())).len(), 1);
    assert_eq!(world.end(0, 1, Ok(Payload::null())).len(), 0);
    world.end(0, 2, Ok(Payload::null()));
    assert_eq!(world.execution.status, Status::Completed);
}

#[test]
fn pause_holds_and_cancel_ends() {
    let mut world = World::new(vec![step("a", &[]), step("b", &[0])]);
    world.create();
    world.wish(Input::Pause { by: "me".into(), reason: "look".into() });
    world.end(0, 1, Ok(Payload::null()));
    assert_eq!(world.execution.steps[1].status, StepStatus::Pending);
    world.wish(Input::Resume { by: "me".into() });
    assert_eq!(world.execution.steps[1].status, StepStatus::Running);
    world.wish(Input::Cancel { by: "me".into(), reason: "enough".into() });
    assert_eq!(world.execution.status, Status::Cancelled);
    assert!(owed(&world.execution, &world.spec).is_empty());
    assert_eq!(world.end(1, 1, Ok(Payload::null())).len(), 1, "ignored, and recorded so");
}

#[test]
fn the_deadline_ends_what_runs() {
    let mut world = World::new(vec![step("a", &[])]);
    world.create();
    world.now = world.now + Millis(3_600_000);
    world.wish(Input::Reconcile);
    assert_eq!(world.execution.status, Status::Failed);
    assert_eq!(world.execution.fault.as_ref().unwrap().code, codes::TIMEOUT);
    assert_eq!(world.execution.steps[0].status, StepStatus::Cancelled);
}
