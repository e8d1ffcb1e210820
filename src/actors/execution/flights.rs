//! Do what is owed: put attempts in flight, set the timer, park or leave.

use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;

use crate::consensus::Record;
use crate::engine;
use crate::engine::definition::{OnLost, Spec};
use crate::engine::model::{Effect, Event, Input, Millis, StepKey, Timestamp};
use crate::points::{self, Point};
use crate::runners::Attempt;

use super::super::flight::{self, Launch};
use super::super::request::Error;
use super::super::timers;
use super::{Message, State};

/// The wait before state that could not be read is read again.
const READ_AGAIN: Millis = Millis(1_000);

impl State {
    /// Does what is owed until nothing more happens at once, then stays, parks or ends.
    pub(super) async fn carry_on(&mut self, myself: &ActorRef<Message>) {
        while !self.gone {
            if !self.leads() {
                break;
            }
            let record = match self.load() {
                Ok(record) => record,
                Err(Error::Rejected(_)) => break,
                Err(_) => return self.park(Some(self.later()), myself),
            };
            let due = self.do_owed(&record, myself).await;
            let finished = record.execution.status.is_finished();
            drop(record);
            if let Some((step, attempt, outcome)) = self.landed.pop_front() {
                self.record_outcome(step, attempt, outcome).await;
                continue;
            }
            if due.is_some_and(|due| due <= self.partition.world.clock.now()) && self.look_again().await {
                continue;
            }
            if finished || self.flights.is_empty() {
                return self.park(due, myself);
            }
            return self.set_timer(due);
        }
        self.leave(myself);
    }

    /// Decides on what is due already, as when the last decision was too large for all that is ready. Answers
    /// whether anything came of it.
    async fn look_again(&mut self) -> bool {
        let before = self.load().map(|record| record.execution.version).ok();
        self.insist(Input::Reconcile).await;
        self.load().map(|record| record.execution.version).ok() != before
    }

    /// Puts the attempts that are owed in flight, cancels those that are not, and tells when something
    /// is due.
    async fn do_owed(&mut self, record: &Arc<Record>, myself: &ActorRef<Message>) -> Option<Timestamp> {
        let Ok(spec) = self.spec(record) else { return Some(self.later()) };
        let effects = engine::owed(&record.execution, &spec);
        let owed_attempt = |step: &StepKey| {
            effects.iter().find_map(|effect| match effect {
                Effect::Attempt { step: it, attempt, .. } if it == step => Some(*attempt),
                Effect::Attempt { .. } | Effect::Timer { .. } => None,
            })
        };
        self.flights.retain(|step, flight| owed_attempt(step) == Some(flight.attempt));
        let mut due = None;
        for effect in effects {
            match effect {
                Effect::Timer { due: at } => due = Some(at),
                Effect::Attempt { step, attempt, runner, action, params, deadline } => {
                    let landing = self.landed.iter().any(|(it, number, _)| *it == step && *number == attempt);
                    if landing || self.flights.contains_key(&step) {
                        continue;
                    }
                    points::cross(Point::EffectBefore).await;
                    // A node that was paused or cut off may have been replaced: then the next leader acts.
                    if !self.leads() || !self.partition.consensus.holds_lease(self.partition.id) {
                        return Some(self.later());
                    }
                    let ready = Attempt {
                        tenant: self.tenant.clone(),
                        execution: self.id,
                        step: spec.steps[step.index.usize()].id.as_str().to_owned(),
                        attempt,
                        action,
                        params,
                        deadline,
                    };
                    let once = spec.steps[step.index.usize()].on_lost == OnLost::Uncertain;
                    self.take_off(step, runner, ready, once, myself).await;
                }
            }
        }
        due
    }

    async fn take_off(
        &mut self,
        step: StepKey,
        runner: String,
        attempt: Attempt,
        once: bool,
        myself: &ActorRef<Message>,
    ) {
        let number = attempt.attempt;
        let now = self.partition.world.clock.now();
        let left = attempt
            .deadline
            .map(|deadline| Duration::from_micros(deadline.micros().saturating_sub(now.micros())));
        let (runners, mark) = (self.partition.runners.clone(), || self.partition.aloft.take_off(once));
        let myself = myself.clone();
        let landed = move |outcome| {
            let _gone = myself.send_message(Message::Landed { step, attempt: number, outcome });
        };
        match flight::launch(runners, runner, attempt, left, mark, landed).await {
            Launch::Landed(outcome) => self.landed.push_back((step, number, outcome)),
            Launch::Flying(flight) => {
                self.flights.insert(step, flight);
            }
        }
    }

    /// Only for [`engine::planted::Bug::EffectBeforeCommit`].
    pub(super) fn begin_early(&self, spec: &Spec, events: &[Event]) {
        for event in events {
            let Event::AttemptStarted { step, attempt, params, deadline, .. } = event else { continue };
            let of = &spec.steps[step.index.usize()];
            let ready = Attempt {
                tenant: self.tenant.clone(),
                execution: self.id,
                step: of.id.as_str().to_owned(),
                attempt: *attempt,
                action: of.action.clone(),
                params: params.clone(),
                deadline: *deadline,
            };
            let (runners, runner) = (self.partition.runners.clone(), of.runner.clone());
            tokio::spawn(async move { runners.run(&ready, &runner).await });
        }
    }

    fn set_timer(&mut self, due: Option<Timestamp>) {
        if self.timer_set == due {
            return;
        }
        self.timer_set = due;
        let (tenant, id) = (self.tenant.clone(), self.id);
        let message = match due {
            Some(due) => timers::Message::Set { tenant, id, due },
            None => timers::Message::Clear { id },
        };
        self.partition.directory.leading(|leading| {
            let _restarting = leading.timers.send_message(message);
        });
    }

    /// Goes until something is due. It leaves the directory and sets the timer in one go: a later actor's
    /// timer is not overwritten, and a wake-up that this one did not see is not lost.
    fn park(&mut self, due: Option<Timestamp>, myself: &ActorRef<Message>) {
        let (tenant, id) = (self.tenant.clone(), self.id);
        let timer = match due {
            Some(due) => Some(timers::Message::Set { tenant, id, due }),
            None => self.timer_set.map(|_| timers::Message::Clear { id }),
        };
        points::reach(Point::ActorParks);
        self.partition.directory.part(id, myself.get_id(), timer);
        self.end(myself);
    }

    /// Goes without a word: the execution is not there, or not this leadership's.
    fn leave(&mut self, myself: &ActorRef<Message>) {
        self.partition.directory.part(self.id, myself.get_id(), None);
        self.end(myself);
    }

    /// What is still in the mailbox is dropped, and who waits for it tries again.
    fn end(&mut self, myself: &ActorRef<Message>) {
        self.gone = true;
        self.flights.clear();
        myself.stop(None);
    }

    /// When to try again what could not be read.
    fn later(&self) -> Timestamp {
        self.partition.world.clock.now() + READ_AGAIN
    }
}
