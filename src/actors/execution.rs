//! The actor of one execution: decide, propose, and on commit do what is owed.
//!
//! It exists while its execution can make progress and goes when only time or a person can move it on.
//! It holds no truth: what it remembers between two messages can be read again from the partition's state,
//! and the flights it owns are known to that state as started attempts. Kill it at any instant: the next
//! one finds the attempts it left behind and records them as lost.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;

use crate::consensus::{Append, Claim, Conflict, Record};
use crate::engine;
use crate::engine::definition::Spec;
use crate::engine::model::{
    AttemptNumber, Effect, Epoch, Execution, ExecutionId, Input, Moment, SpecHash, StepKey, StepStatus,
    TenantId, Timestamp,
};
use crate::runners::{Attempt, Outcome};

use super::flight::{self, Flight, Launch};
use super::partition::Partition;
use super::request::Error;
use super::timers;

/// Decisions tried again because the execution had moved on meanwhile. More means two actors fight.
const RELOADS_MAX: usize = 8;
/// The first wait before a proposal that nobody could take is tried again.
const PATIENCE_FIRST: Duration = Duration::from_millis(20);
/// The longest such wait.
const PATIENCE_MAX: Duration = Duration::from_secs(2);

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

/// How an actor starts.
pub(crate) struct Start {
    partition: Arc<Partition>,
    epoch: Epoch,
    tenant: TenantId,
    id: ExecutionId,
    birth: Option<Birth>,
}

/// An execution that is about to be created.
pub(crate) struct Birth {
    /// How it begins.
    pub(crate) input: Input,
    /// Its definition and the text to pin.
    pub(crate) spec: Arc<Spec>,
    /// The canonical text, unless the partition has it.
    pub(crate) pin: Option<(SpecHash, Arc<str>)>,
    /// The idempotency key, if one was given.
    pub(crate) claim: Option<Claim>,
    /// Who waits for it to be durable. The conflict tells who has the key.
    pub(crate) reply: oneshot::Sender<Result<Born, Error>>,
}

/// What became of a birth.
#[derive(Debug)]
pub(crate) enum Born {
    /// It is durable.
    New(Arc<Record>),
    /// The key belongs to another execution.
    Claimed {
        /// Which.
        execution: ExecutionId,
        /// For the same request.
        same_request: bool,
    },
}

impl Start {
    /// For an execution that is recorded.
    pub(crate) fn existing(
        partition: Arc<Partition>,
        epoch: Epoch,
        tenant: TenantId,
        id: ExecutionId,
    ) -> Self {
        Self { partition, epoch, tenant, id, birth: None }
    }

    /// For one that is not yet.
    pub(crate) fn new(
        partition: Arc<Partition>,
        epoch: Epoch,
        tenant: TenantId,
        id: ExecutionId,
        birth: Birth,
    ) -> Self {
        Self { partition, epoch, tenant, id, birth: Some(birth) }
    }
}

/// Starts an actor below a supervisor. It takes messages at once.
pub(crate) fn spawn(start: Start, supervisor: ActorCell) -> Result<ActorRef<Message>, Error> {
    let spawned = ractor::ActorRuntime::spawn_linked_instant(None, ExecutionActor, start, supervisor);
    match spawned {
        Ok((actor, _)) => Ok(actor),
        Err(error) => Err(Error::Unavailable { reason: format!("start an actor: {error}") }),
    }
}

/// The actor.
struct ExecutionActor;

/// What it remembers; all of it can be read again.
struct State {
    partition: Arc<Partition>,
    epoch: Epoch,
    tenant: TenantId,
    id: ExecutionId,
    birth: Option<Birth>,
    spec: Option<Arc<Spec>>,
    record: Option<Arc<Record>>,
    flights: BTreeMap<StepKey, Flight>,
    /// Outcomes that were there at once, in order.
    landed: VecDeque<(StepKey, AttemptNumber, Outcome)>,
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
        match state.birth.take() {
            Some(birth) => state.be_born(birth).await,
            None => state.adopt().await,
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
        match message {
            Message::Wish { input, reply } => {
                let answer = state.step(*input, Patience::Caller).await;
                let answer = answer.and_then(|()| state.load());
                let _caller_left = reply.send(answer);
            }
            Message::Landed { step, attempt, outcome } => {
                state.flights.remove(&step);
                state.record_outcome(step, attempt, outcome).await;
            }
            Message::Wake => {
                state.timer_set = None;
                state.insist(Input::Reconcile).await;
            }
        }
        state.carry_on(&myself).await;
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

/// Who waits for a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// A caller, who can be told to try again.
    Caller,
    /// Nobody: an outcome has to be recorded as long as this leadership lasts.
    Owed,
}

impl State {
    fn new(start: Start) -> Self {
        Self {
            partition: start.partition,
            epoch: start.epoch,
            tenant: start.tenant,
            id: start.id,
            birth: start.birth,
            spec: None,
            record: None,
            flights: BTreeMap::new(),
            landed: VecDeque::new(),
            timer_set: None,
            gone: false,
        }
    }

    /// Creates the execution and answers who waits for it.
    async fn be_born(&mut self, birth: Birth) {
        self.spec = Some(birth.spec.clone());
        let unborn = Execution::unborn(self.id, self.tenant.clone());
        let moment = Moment { at: self.partition.world.clock.now(), epoch: self.epoch };
        let events = match engine::decide(&unborn, &birth.spec, birth.input, moment) {
            Ok(events) => events,
            Err(rejection) => return self.stillborn(birth.reply, Err(rejection.into())),
        };
        let append = Append {
            tenant: self.tenant.clone(),
            execution: self.id,
            expected: 0,
            events,
            claim: birth.claim,
        };
        let proposed =
            self.partition.consensus.append(self.partition.id, self.epoch, append, birth.pin).await;
        match proposed {
            Ok(Ok(record)) => {
                self.record = Some(record.clone());
                let _caller_left = birth.reply.send(Ok(Born::New(record)));
            }
            Ok(Err(Conflict::Claimed { execution, same_request })) => {
                self.stillborn(birth.reply, Ok(Born::Claimed { execution, same_request }));
            }
            Ok(Err(conflict)) => {
                let reason = format!("the leadership ended while the execution was created ({conflict:?})");
                self.stillborn(birth.reply, Err(Error::Unavailable { reason }));
            }
            Err(error) => self.maybe_born(birth.reply, error.into()),
        }
    }

    fn stillborn(&mut self, reply: oneshot::Sender<Result<Born, Error>>, answer: Result<Born, Error>) {
        self.gone = true;
        let _caller_left = reply.send(answer);
    }

    /// The outcome of the creation is unknown: the caller hears so, and if it did happen the execution
    /// goes on when this leadership or the next one looks at the state.
    fn maybe_born(&mut self, reply: oneshot::Sender<Result<Born, Error>>, error: Error) {
        let _caller_left = reply.send(Err(error));
        self.gone = self.load().is_err();
    }

    /// Takes over a recorded execution. Attempts of this leadership that are in flight were started by an
    /// actor before this one, which crashed: nobody will hear of them again.
    async fn adopt(&mut self) {
        let Ok(record) = self.load() else {
            self.gone = true;
            return;
        };
        let orphans: Vec<_> = record
            .execution
            .keyed_steps()
            .filter(|(_, step)| step.status == StepStatus::Running && step.epoch == self.epoch)
            .map(|(key, step)| (key, step.attempt))
            .collect();
        drop(record);
        for (step, attempt) in orphans {
            self.insist(Input::AttemptLost { step, attempt }).await;
        }
        self.insist(Input::Reconcile).await;
    }

    /// Decides and proposes until it is recorded or refused.
    async fn step(&mut self, input: Input, patience: Patience) -> Result<(), Error> {
        let mut wait = PATIENCE_FIRST;
        let mut reloads = 0;
        loop {
            let error = match self.propose(input.clone()).await? {
                Proposed::Recorded => return Ok(()),
                Proposed::Moved if reloads < RELOADS_MAX => {
                    reloads += 1;
                    continue;
                }
                Proposed::Moved => Error::Unavailable { reason: "the execution moves too fast".to_owned() },
                Proposed::Deposed => {
                    self.gone = true;
                    return Err(self.partition.no_leader());
                }
                Proposed::Failed(error) => error,
            };
            if patience == Patience::Caller {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(PATIENCE_MAX);
            if self.partition.directory.epoch() != Some(self.epoch) {
                self.gone = true;
                return Err(self.partition.no_leader());
            }
        }
    }

    /// One try. Errors: the lawful refusals of the engine.
    async fn propose(&mut self, input: Input) -> Result<Proposed, Error> {
        let record = self.load()?;
        let spec = self.spec(&record)?;
        let at = self.partition.world.clock.now().max(record_time(&record));
        let events = engine::decide(&record.execution, &spec, input, Moment { at, epoch: self.epoch })?;
        if events.is_empty() {
            return Ok(Proposed::Recorded);
        }
        let expected = record.execution.version;
        // Nobody else holds the record now, so applying changes it in place.
        self.record = None;
        drop(record);
        let append =
            Append { tenant: self.tenant.clone(), execution: self.id, expected, events, claim: None };
        let proposed = self.partition.consensus.append(self.partition.id, self.epoch, append, None).await;
        Ok(match proposed {
            Ok(Ok(record)) => {
                self.record = Some(record);
                Proposed::Recorded
            }
            Ok(Err(Conflict::StaleEpoch { .. })) => Proposed::Deposed,
            Ok(Err(Conflict::Version { .. } | Conflict::Claimed { .. })) => Proposed::Moved,
            Err(error) => Proposed::Failed(error.into()),
        })
    }

    /// A step that nobody waits for. A refusal by the engine is lawful (the execution moved on) and needs
    /// no answer.
    async fn insist(&mut self, input: Input) {
        if let Err(error) = self.step(input, Patience::Owed).await {
            tracing::debug!(execution = %self.id, %error, "a wish of the actor itself was refused");
        }
    }

    async fn record_outcome(&mut self, step: StepKey, attempt: AttemptNumber, outcome: Outcome) {
        self.insist(Input::AttemptFinished { step, attempt, outcome }).await;
    }

    /// Does what is owed until nothing more happens at once, then stays, parks or ends.
    async fn carry_on(&mut self, myself: &ActorRef<Message>) {
        while !self.gone {
            let Ok(record) = self.load() else {
                self.gone = true;
                break;
            };
            let due = self.do_owed(&record, myself).await;
            let finished = record.execution.status.is_finished();
            drop(record);
            if let Some((step, attempt, outcome)) = self.landed.pop_front() {
                self.record_outcome(step, attempt, outcome).await;
                continue;
            }
            if finished || self.flights.is_empty() {
                return self.park(due, myself);
            }
            return self.set_timer(due);
        }
        self.leave(myself);
    }

    /// Puts the attempts that are owed in flight, cancels those that are not, and tells when something
    /// is due.
    async fn do_owed(&mut self, record: &Arc<Record>, myself: &ActorRef<Message>) -> Option<Timestamp> {
        let Ok(spec) = self.spec(record) else { return None };
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
                    let ready = Attempt {
                        tenant: self.tenant.clone(),
                        execution: self.id,
                        step: spec.steps[step.index.usize()].id.as_str().to_owned(),
                        attempt,
                        action,
                        params,
                        deadline,
                    };
                    self.take_off(step, runner, ready, myself).await;
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
        myself: &ActorRef<Message>,
    ) {
        let number = attempt.attempt;
        let now = self.partition.world.clock.now();
        let left = attempt
            .deadline
            .map(|deadline| Duration::from_micros(deadline.micros().saturating_sub(now.micros())));
        let myself = myself.clone();
        let landed = move |outcome| {
            let _gone = myself.send_message(Message::Landed { step, attempt: number, outcome });
        };
        match flight::launch(self.partition.runners.clone(), runner, attempt, left, landed).await {
            Launch::Landed(outcome) => self.landed.push_back((step, number, outcome)),
            Launch::Flying(flight) => {
                self.flights.insert(step, flight);
            }
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

    /// Goes until something is due. Out of the directory first, so that later messages find a new actor;
    /// the timer is set last, so that a wake-up this actor did not see is not lost.
    fn park(&mut self, due: Option<Timestamp>, myself: &ActorRef<Message>) {
        self.leave(myself);
        if due.is_some() {
            self.timer_set = None;
        }
        self.set_timer(due);
    }

    /// What is still in the mailbox is dropped, and who waits for it tries again.
    fn leave(&mut self, myself: &ActorRef<Message>) {
        self.gone = true;
        self.flights.clear();
        self.partition.directory.remove(self.id, myself.get_id());
        myself.stop(None);
    }

    /// The execution as recorded. Errors: `ExecutionNotFound`, or a store that cannot be read.
    fn load(&mut self) -> Result<Arc<Record>, Error> {
        if let Some(record) = &self.record {
            return Ok(record.clone());
        }
        let record = super::read::record(&self.partition, &self.tenant, self.id)?;
        self.record = Some(record.clone());
        Ok(record)
    }

    fn spec(&mut self, record: &Record) -> Result<Arc<Spec>, Error> {
        if let Some(spec) = &self.spec {
            return Ok(spec.clone());
        }
        let spec = super::read::spec(&self.partition, record.execution.spec)?;
        self.spec = Some(spec.clone());
        Ok(spec)
    }
}

/// What became of a proposal.
enum Proposed {
    Recorded,
    /// The execution has moved on: decide again.
    Moved,
    /// Another leadership has begun.
    Deposed,
    /// Nobody could take it, or nobody knows.
    Failed(Error),
}

/// When the execution's last event was recorded.
fn record_time(record: &Record) -> Timestamp {
    record.tail.last().map_or(record.execution.created_at, |last| last.at)
}

/// Decides and proposes once without an actor, for an execution whose actor only crashes.
pub(crate) async fn decide_once(
    partition: &Arc<Partition>,
    epoch: Epoch,
    tenant: &TenantId,
    id: ExecutionId,
    input: Input,
) -> Result<(), Error> {
    let start = Start::existing(partition.clone(), epoch, tenant.clone(), id);
    State::new(start).step(input, Patience::Owed).await
}
