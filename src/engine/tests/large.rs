//! Definitions of the largest size. What grows with the square of it would be felt here.

use std::sync::Arc;

use super::build;
use super::world::World;
use crate::definition::{Pure, StepKind, StepSpec};
use crate::model::limits::{NEEDS_MAX, STEPS_MAX};
use crate::model::{Epoch, Input, Moment, Payload, Status, StepIndex};
use crate::{decide, owed};

fn pure(at: usize, needs: impl Iterator<Item = usize>) -> StepSpec {
    let mut step = build::step(at, needs.map(|need| StepIndex(need as u16)).collect());
    step.kind = StepKind::Pure(Pure::Set);
    step
}

fn run(steps: Vec<StepSpec>) -> World {
    let mut world = World::new(Arc::new(build::spec(steps)));
    world.create(Payload::null(), Default::default()).unwrap();
    world
}

#[test]
fn a_long_chain_of_pure_steps_is_one_decision() {
    let world = run((0..STEPS_MAX).map(|at| pure(at, at.checked_sub(1).into_iter())).collect());
    assert_eq!(world.execution.status, Status::Completed);
    assert_eq!(world.history.len(), STEPS_MAX + 2);
}

#[test]
fn a_chain_may_be_written_backwards() {
    let next = |at: usize| (at + 1 < STEPS_MAX).then_some(at + 1).into_iter();
    let world = run((0..STEPS_MAX).map(|at| pure(at, next(at))).collect());
    assert_eq!(world.execution.status, Status::Completed);
}

#[test]
fn every_step_may_have_as_many_needs_as_there_may_be() {
    let world = run((0..STEPS_MAX).map(|at| pure(at, at.saturating_sub(NEEDS_MAX)..at)).collect());
    assert_eq!(world.execution.status, Status::Completed);
}

#[test]
fn five_thousand_attempts_at_once() {
    let mut world = run((0..STEPS_MAX).map(|at| build::step(at, Vec::new())).collect());
    assert_eq!(owed(&world.execution, &world.spec).len(), STEPS_MAX);
    world.wish(Input::Cancel { by: "ada".into(), reason: String::new() }).unwrap();
    assert_eq!(world.execution.status, Status::Cancelled);
}

#[test]
fn a_decision_is_the_same_whenever_it_is_taken() {
    let world = run((0..20).map(|at| build::step(at, Vec::new())).collect());
    let moment = Moment { at: world.now, epoch: Epoch(9) };
    let again = || decide(&world.execution, &world.spec, Input::Reconcile, moment).unwrap();
    let first = again();
    assert_eq!(first.len(), 40, "twenty lost, twenty started");
    assert_eq!(first, again());
}
