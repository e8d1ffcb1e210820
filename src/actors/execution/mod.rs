//! The actor of one execution: decide, propose, and on commit do what is owed.
//!
//! It exists while its execution can make progress and goes when only time or a person can move it on.
//! It holds no truth: what it remembers between two messages can be read again from the partition's state,
//! and the flights it owns are known to that state as started attempts. Kill it at any instant: the next
//! one finds the attempts it left behind and records them as lost.

mod flights;
mod propose;
mod start;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;

use crate::consensus::Record;
use crate::engine::definition::Spec;
use crate::engine::model::{AttemptNumber, ExecutionId, Input, StepKey, TenantId, Timestamp};
use crate::points::{self, Point};
use crate::runners::Outcome;

use super::directory::Tenure;
use super::flight::Flight;
use super::partition::Partition;
use super::request::Error;
use propose::Patience;
use start::First;
pub(crate) use start::{Birth, Born, Start, spawn};

/// The answer to a wish: the execution as it was recorded.
pub(crate) type Reply = oneshot::Sender<Result<Arc<Record>, Error>>;

/// What an execution's actor is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// Somebody wants something.
    Wish {
        /// What.
        input: Box<Input>,
        /// Who waits.
        reply: Reply,
        /// Set when it is begun: from then on it may be recorded, whatever becomes of the actor.
        taken: Arc<AtomicBool>,
    },
    /// An attempt landed.
    Landed {
        /// Which step.
        step: StepKey,
        /// Which attempt.
        attempt: AttemptNumber,
        /// How.
        outcome: Outcome,
    },
    /// Look at the state and the clock.
    Wake,
}

/// The actor.
struct ExecutionActor;

/// What it remembers; all of it can be read again.
struct State {
    partition: Arc<Partition>,
    tenure: Tenure,
    tenant: TenantId,
    id: ExecutionId,
    first: Option<First>,
    spec: Option<Arc<Spec>>,
    record: Option<Arc<Record>>,
    flights: BTreeMap<StepKey, Flight>,
    /// Outcomes that were there at once, in order.
    landed: VecDeque<(StepKey, AttemptNumber, Outcome)>,
    /// What the timers know, as far as this actor does: one before it may have told them something.
    timer_set: Option<Timestamp>,
    gone: bool,
}

impl Actor for ExecutionActor {
    type Msg = Message;
    type State = State;
    type Arguments = Start;

    async fn pre_start(&self, _myself: ActorRef<Message>, start: Start) -> Result<State, ActorProcessingErr> {
        Ok(State::new(start))
    }

    async fn post_start(
        &self,
        myself: ActorRef<Message>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match state.first.take() {
            Some(First::Birth(birth)) => state.be_born(birth).await,
            Some(First::Errand(errand)) => {
                state.adopt().await;
                state.take(errand).await;
            }
            None => unreachable!("an actor starts once"),
        }
        state.carry_on(&myself).await;
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if state.gone {
            return Ok(());
        }
        state.take(message).await;
        state.carry_on(&myself).await;
        Ok(())
    }

    /// Ends the attempts in flight now. The state goes into the supervisor's mailbox, and may lie there for a while.
    async fn post_stop(
        &self,
        _myself: ActorRef<Message>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.flights.clear();
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<Message>,
        _event: SupervisionEvent,
        _state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

impl State {
    fn new(start: Start) -> Self {
        let timer_set = match start.first {
            First::Birth(_) => None,
            First::Errand(_) => Some(Timestamp::from_micros(0)),
        };
        Self {
            partition: start.partition,
            tenure: start.tenure,
            tenant: start.tenant,
            id: start.id,
            first: Some(start.first),
            spec: None,
            record: None,
            flights: BTreeMap::new(),
            landed: VecDeque::new(),
            timer_set,
            gone: false,
        }
    }

    /// Whether this leadership goes on. If not, nothing may start any more: another one may have begun, here or
    /// elsewhere, with an actor of its own for the execution.
    fn leads(&self) -> bool {
        self.partition.directory.tenure() == Some(self.tenure)
    }

    /// Deals with one message.
    async fn take(&mut self, message: Message) {
        match message {
            Message::Wish { input, reply, taken } => {
                taken.store(true, Ordering::Relaxed);
                let answer = self.step(*input, Patience::Caller).await;
                let answer = answer.and_then(|()| self.load());
                let _caller_left = reply.send(answer);
            }
            Message::Landed { step, attempt, outcome } => {
                // A late landing must not take down the flight of the next attempt.
                if self.flights.get(&step).is_some_and(|flight| flight.attempt == attempt) {
                    self.flights.remove(&step);
                }
                self.record_outcome(step, attempt, outcome).await;
            }
            Message::Wake => {
                self.timer_set = None;
                points::cross(Point::WokenUp).await;
                self.insist(Input::Reconcile).await;
            }
        }
    }
}

/// Decides and proposes once without an actor, for an execution whose actor only crashes.
pub(crate) async fn decide_once(
    partition: &Arc<Partition>,
    tenure: Tenure,
    tenant: &TenantId,
    id: ExecutionId,
    input: Input,
) -> Result<(), Error> {
    let start = Start::existing(partition.clone(), tenure, tenant.clone(), id, Message::Wake);
    State::new(start).step(input, Patience::Owed).await
}
