//! Whatever is wished of whatever definition, what is always true stays true, the end is reached, and a
//! history adds up to the same state from anywhere.

use std::sync::Arc;

use proptest::prelude::*;

use super::build;
use super::world::World;
use crate::definition::{Join, OnError, OnLost, OnTimeout, Pure, Spec, StepKind, StepSpec};
use crate::expression::{Expression, Names};
use crate::model::{
    AfterFailure, Effect, Epoch, Event, Execution, Fault, Handling, IgnoredReason, Input, Millis, Payload,
    Recorded, RetryFrom, SkipReason, Status, StepIndex, StepKey, StepStatus, Timestamp, Wait,
};
use crate::{evolve, explain, invariants, owed};

/// What is drawn for one step.
#[derive(Debug, Clone)]
struct Drawn {
    kind: u8,
    needs: u8,
    join: u8,
    when: u8,
    attempts: u32,
    on_error: u8,
    uncertain: bool,
    timeout: bool,
}

/// What is drawn for one move.
type Drive = (u8, usize, u32);

fn step(at: usize, count: usize, drawn: &Drawn) -> StepSpec {
    let earlier = drawn.needs & ((1_u16 << at) - 1) as u8;
    let needs = (0..8).filter(|need| earlier >> need & 1 == 1).map(StepIndex).collect();
    let mut step = build::step(at, needs);
    (step.kind, step.params) = match drawn.kind {
        0..5 => (StepKind::Effect, build::template("{}")),
        5..7 => (StepKind::Delay, build::template(r#"{"for": "3s"}"#)),
        7 => (StepKind::Pure(Pure::Set), build::template(r#"{"a": 1}"#)),
        8 => (StepKind::Pure(Pure::Assert), build::template(r#"{"that": true}"#)),
        _ => (StepKind::Pure(Pure::Assert), build::template(r#"{"that": false}"#)),
    };
    step.join = match drawn.join {
        0 => Join::Any,
        1 => Join::AtLeast(2),
        _ => Join::All,
    };
    let when = ["true", "false", "input.absent"].get(usize::from(drawn.when));
    step.when = when.map(|text| Expression::compile(text, &Names::default()).unwrap());
    step.retry = build::attempts(drawn.attempts);
    step.on_error = match drawn.on_error {
        0 => OnError::Fail,
        // A jump leads to a later step, as the definition check demands.
        1..3 if at + 1 < count => OnError::Goto(StepIndex((count - 1) as u16)),
        _ => OnError::Continue,
    };
    step.on_timeout = if drawn.on_error == 4 { OnTimeout::Continue } else { OnTimeout::Fail };
    step.on_lost = if drawn.uncertain { OnLost::Uncertain } else { OnLost::Retry };
    step.timeout = drawn.timeout.then_some(Millis(2_000));
    step
}

fn spec(drawn: &[Drawn], catching: bool, timeout: bool) -> Spec {
    let count = drawn.len();
    let mut steps: Vec<StepSpec> =
        drawn.iter().enumerate().map(|(at, drawn)| step(at, count, drawn)).collect();
    let last = StepIndex((count - 1) as u16);
    let jumping: Vec<StepIndex> = (0..last.0)
        .map(StepIndex)
        .filter(|index| steps[index.usize()].on_error == OnError::Goto(last))
        .collect();
    // A jump goes to what comes after it.
    for index in &jumping {
        if !steps[last.usize()].needs.contains(index) {
            steps[last.usize()].needs.push(*index);
        }
    }
    if catching {
        steps[last.usize()].catches = jumping;
    }
    let mut spec = build::spec(steps);
    spec.timeout = timeout.then_some(Millis(12_000));
    spec
}

fn drive(world: &mut World, (kind, pick, number): Drive) {
    let by = || "ada".to_owned();
    let running = steps_in(world, StepStatus::Running);
    let nth = |steps: &[StepIndex]| steps.get(pick % steps.len().max(1)).copied();
    let any = StepIndex((pick % world.execution.steps.len()) as u16);
    let latest = |world: &World, index: StepIndex| world.execution.steps[index.usize()].attempt;
    // Refusals are answers too: what counts is what holds afterwards.
    let _ = match (kind, nth(&running)) {
        (0..6, Some(index)) => world.finish(index, latest(world, index), Ok(Payload::null())),
        (6..9, Some(index)) => {
            let fault = ["exit_1", "timeout", "http_503"][number as usize % 3];
            let fault = Fault { retryable: number % 5 != 0, ..Fault::retryable(fault, "no") };
            world.finish(index, latest(world, index), Err(fault))
        }
        (9, _) => world.finish(any, number % 4, Ok(Payload::null())),
        (10..13, _) => {
            world.now = world.now + Millis(u64::from(number) % 4_000);
            world.wish(Input::Reconcile)
        }
        (13, _) => {
            world.epoch.0 += 1;
            if number % 2 == 0 { world.wish(Input::Reconcile) } else { Ok(Vec::new()) }
        }
        (14, _) => world.wish(Input::Pause { by: by(), reason: String::new() }),
        (15, _) => world.wish(Input::Resume { by: by() }),
        (16, _) if number % 4 == 0 => world.wish(Input::Cancel { by: by(), reason: String::new() }),
        (17, _) => world.wish(Input::Retry { by: by(), from: RetryFrom::Failed }),
        (18, _) if number % 4 == 0 => world.wish(Input::Retry { by: by(), from: RetryFrom::Start }),
        _ => world.wish(Input::Reconcile),
    };
}

fn steps_in(world: &World, status: StepStatus) -> Vec<StepIndex> {
    let wanted = world.execution.keyed_steps().filter(|(_, step)| step.status == status);
    wanted.map(|(key, _)| key.index).collect()
}

/// Does what is owed, and nothing else, until nothing is.
fn carry_out(world: &mut World) {
    world.wish(Input::Reconcile).unwrap();
    for _ in 0..1_000 {
        let effects = owed(&world.execution, &world.spec);
        match effects.first() {
            Some(Effect::Attempt { step, attempt, .. }) => {
                world.finish(step.index, *attempt, Ok(Payload::null())).unwrap();
            }
            Some(Effect::Timer { due }) => {
                world.now = world.now.max(*due);
                world.wish(Input::Reconcile).unwrap();
            }
            None => return,
        }
    }
    panic!("a thousand effects later there is still something owed");
}

fn drawn() -> impl Strategy<Value = Drawn> {
    (0..10_u8, any::<u8>(), 0..5_u8, 0..12_u8, 1..4_u32, 0..5_u8, any::<bool>(), any::<bool>()).prop_map(
        |(kind, needs, join, when, attempts, on_error, uncertain, timeout)| {
            // `when` is there for a quarter of the steps.
            Drawn { kind, needs, join, when, attempts, on_error, uncertain, timeout }
        },
    )
}

fn specs() -> impl Strategy<Value = Arc<Spec>> {
    (prop::collection::vec(drawn(), 1..8), any::<bool>(), prop::bool::weighted(0.3))
        .prop_map(|(drawn, catching, timeout)| Arc::new(spec(&drawn, catching, timeout)))
}

fn drives() -> impl Strategy<Value = Vec<Drive>> {
    prop::collection::vec((0..19_u8, any::<usize>(), any::<u32>()), 0..50)
}

/// Never persisted: what fails is printed whole, and becomes a script.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(2_000))]

    /// The world checks every invariant after each wish.
    #[test]
    fn what_is_always_true_stays_true(spec in specs(), drives in drives()) {
        let mut world = World::new(spec);
        world.create(Payload::null(), Default::default()).unwrap();
        for drive_ in drives {
            drive(&mut world, drive_);
            let reasons = explain(&world.execution, &world.spec, world.now);
            let at_rest = world.execution.status == Status::Pending;
            prop_assert!(at_rest || !reasons.is_empty(), "an execution without a reason to wait");
        }
    }

    /// After any trouble, doing what is owed leads to an end, or to a question for a person.
    #[test]
    fn the_end_is_reached(spec in specs(), drives in drives()) {
        let mut world = World::new(spec);
        world.create(Payload::null(), Default::default()).unwrap();
        drives.into_iter().for_each(|it| drive(&mut world, it));
        if world.execution.status == Status::Paused {
            world.wish(Input::Resume { by: "ada".into() }).unwrap();
        }
        carry_out(&mut world);
        if !world.execution.status.is_finished() {
            prop_assert!(!steps_in(&world, StepStatus::Uncertain).is_empty(), "{:?}", world.execution);
            world.wish(Input::Retry { by: "ada".into(), from: RetryFrom::Failed }).unwrap();
            carry_out(&mut world);
        }
        prop_assert!(world.execution.status.is_finished(), "{:?}", world.execution);
    }

    /// A state that was stored and read again in the middle of a history ends where all of it ends.
    #[test]
    fn a_history_adds_up_from_any_prefix(spec in specs(), drives in drives(), cut in any::<usize>()) {
        let mut world = World::new(spec);
        world.create(Payload::null(), Default::default()).unwrap();
        drives.into_iter().for_each(|it| drive(&mut world, it));
        let (head, tail) = world.history.split_at(cut % (world.history.len() + 1));
        let mut state = Execution::unborn(world.execution.id, world.execution.tenant.clone());
        head.iter().for_each(|recorded| evolve(&mut state, recorded));
        let stored = serde_json::to_string(&state).unwrap();
        let mut state: Execution = serde_json::from_str(&stored).unwrap();
        for recorded in tail {
            let stored = serde_json::to_string(recorded).unwrap();
            evolve(&mut state, &serde_json::from_str(&stored).unwrap());
        }
        prop_assert_eq!(&state, &world.execution);
    }

    /// Facts that no decision would have made change a state without breaking anything.
    #[test]
    fn folding_never_fails(spec in specs(), events in prop::collection::vec(event(), 0..40), born in any::<bool>()) {
        let mut world = World::new(spec);
        if born {
            world.create(Payload::null(), Default::default()).unwrap();
        }
        let before = world.execution.version;
        for event in &events {
            evolve(&mut world.execution, &Recorded { at: world.now, event: event.clone() });
            let _ = owed(&world.execution, &world.spec);
            let _ = explain(&world.execution, &world.spec, world.now);
            let _ = invariants::check(&world.execution, &world.spec);
        }
        prop_assert_eq!(world.execution.version, before + events.len() as u64);
    }
}

/// Any fact, of steps that may not exist.
fn event() -> impl Strategy<Value = Event> {
    let drawn = (0..16_u8, 0..12_u16, 0..2_u32, any::<u32>(), any::<u64>(), any::<bool>());
    drawn.prop_map(|(kind, index, lane, attempt, number, flag)| {
        let step = StepKey { index: StepIndex(index), lane };
        let time = Timestamp::from_micros(number);
        let fault = Fault::retryable(if flag { "node_lost" } else { "exit_1" }, "drawn");
        let (by, reason) = (String::new(), String::new());
        let payload = Payload::null();
        match kind {
            0 | 1 => Event::AttemptStarted {
                step,
                attempt,
                params: payload,
                deadline: flag.then_some(time),
                epoch: Epoch(number),
            },
            2 => Event::AttemptCompleted { step, attempt, output: payload },
            3 => Event::AttemptFailed { step, attempt, fault, next: AfterFailure::Backoff { until: time } },
            4 => Event::AttemptFailed { step, attempt, fault, next: AfterFailure::Exhausted },
            5 => Event::AttemptFailed { step, attempt, fault, next: AfterFailure::Uncertain },
            6 => Event::StepCompleted { step, params: payload.clone(), output: payload },
            7 => Event::StepFailed { step, fault, handling: Handling::Goto(StepIndex(attempt as u16)) },
            8 => Event::StepSkipped { step, reason: SkipReason::ByPerson },
            9 => Event::StepWaiting { step, params: payload, wait: Wait::Until(time) },
            10 => Event::StepCancelled { step },
            11 => Event::OutcomeIgnored { step, attempt, reason: IgnoredReason::Finished },
            12 if flag => Event::Paused { by, reason },
            12 => Event::Resumed { by },
            13 => Event::Retried { by, steps: vec![step, step], deadline: flag.then_some(time) },
            14 if flag => Event::Failed { step: Some(step), fault },
            14 => Event::Completed { output: None },
            _ => Event::Cancelled { by, reason },
        }
    })
}
