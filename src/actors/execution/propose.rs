//! Decide, propose, and hear whether it is recorded.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::consensus::{self, Append, Conflict, Record};
use crate::engine;
use crate::engine::definition::Spec;
use crate::engine::model::{AttemptNumber, Execution, Input, Moment, StepKey, StepStatus, Timestamp};
use crate::engine::planted::{self, Bug};
use crate::points::{self, Point};
use crate::runners::Outcome;

use super::super::request::{Error, too_large};
use super::super::{disk, read};
use super::State;
use super::start::{Birth, Born};

/// Decisions tried again because the execution had moved on meanwhile. More means two actors fight.
const RELOADS_MAX: usize = 8;
/// The first wait before a proposal that nobody could take is tried again.
const PATIENCE_FIRST: Duration = Duration::from_millis(20);
/// The longest such wait.
const PATIENCE_MAX: Duration = Duration::from_secs(2);

/// Who waits for a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// A caller, who can be told to try again.
    Caller,
    /// Nobody: an outcome has to be recorded as long as this leadership lasts.
    Owed,
}

/// What became of a proposal.
enum Proposed {
    Recorded,
    /// The execution has moved on: decide again.
    Moved,
    /// Another leadership has begun.
    Deposed,
    /// It is more than one log entry takes.
    TooLarge {
        bytes: usize,
        bytes_max: usize,
    },
    /// Nobody could take it, or nobody knows.
    Failed(Error),
}

impl State {
    /// Creates the execution and answers who waits for it.
    pub(super) async fn be_born(&mut self, birth: Birth) {
        self.spec = Some(birth.spec.clone());
        let unborn = Execution::unborn(self.id, self.tenant.clone());
        let moment = Moment { at: self.partition.world.clock.now(), epoch: self.tenure.epoch };
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
        points::cross(Point::BirthDecided).await;
        let proposed = self.partition.consensus.append(self.partition.id, moment, append, birth.pin).await;
        points::cross(Point::BirthRecorded).await;
        match proposed {
            Ok(Ok(record)) => {
                self.record = Some(record.clone());
                let _caller_left = birth.reply.send(Ok(Born::New(record)));
            }
            Ok(Err(Conflict::Claimed { execution, same_request })) => {
                self.stillborn(birth.reply, Ok(Born::Claimed { execution, same_request }));
            }
            // An earlier try with this id was recorded after all.
            Ok(Err(Conflict::Version { .. })) if self.load().is_ok() => {
                let record = self.load();
                let _caller_left = birth.reply.send(record.map(Born::New));
            }
            Ok(Err(conflict)) => {
                let reason = format!("the leadership ended while the execution was created ({conflict:?})");
                self.stillborn(birth.reply, Err(Error::Unavailable { reason }));
            }
            Err(error) => self.maybe_born(birth.reply, error.into()),
        }
    }

    pub(super) fn stillborn(
        &mut self,
        reply: oneshot::Sender<Result<Born, Error>>,
        answer: Result<Born, Error>,
    ) {
        self.gone = true;
        let _caller_left = reply.send(answer);
    }

    /// The outcome of the creation is unknown: the caller hears so, and if it did happen the partition's
    /// supervisor finds the execution without an actor.
    pub(super) fn maybe_born(&mut self, reply: oneshot::Sender<Result<Born, Error>>, error: Error) {
        let _caller_left = reply.send(Err(error));
        self.gone = self.load().is_err();
    }

    /// Takes over a recorded execution. Attempts of this leadership that are in flight were started by an
    /// actor before this one, which crashed: nobody will hear of them again.
    pub(super) async fn adopt(&mut self) {
        points::cross(Point::TakenOver).await;
        let Ok(record) = self.load() else {
            self.gone = true;
            return;
        };
        let orphans: Vec<_> = record
            .execution
            .keyed_steps()
            .filter(|(_, step)| step.status == StepStatus::Running && step.epoch == self.tenure.epoch)
            .map(|(key, step)| (key, step.attempt))
            .collect();
        drop(record);
        for (step, attempt) in orphans {
            self.insist(Input::AttemptLost { step, attempt }).await;
        }
        self.insist(Input::Reconcile).await;
    }

    /// Decides and proposes until it is recorded or refused.
    pub(super) async fn step(&mut self, input: Input, patience: Patience) -> Result<(), Error> {
        let mut wait = PATIENCE_FIRST;
        let (mut reloads, mut held) = (0, false);
        loop {
            // An actor may begin to run when its leadership is over already, and hold another one's attempts for lost.
            if !self.leads() {
                self.gone = true;
                return Err(self.partition.no_leader());
            }
            let error = match self.propose(input.clone()).await? {
                Proposed::TooLarge { bytes, .. } if patience == Patience::Owed && !held => {
                    // While it is paused nothing starts, so that the outcome alone fits.
                    held = true;
                    self.hold(bytes).await;
                    continue;
                }
                Proposed::TooLarge { bytes, bytes_max } => return Err(too_large(bytes, bytes_max)),
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
        }
    }

    /// Pauses the execution, for a person to see why.
    async fn hold(&mut self, bytes: usize) {
        let reason = format!("its next decision has {bytes} bytes, more than one log entry takes");
        let pause = Input::Pause { by: "everstep".to_owned(), reason };
        if let Err(error) = Box::pin(self.step(pause, Patience::Caller)).await {
            tracing::warn!(execution = %self.id, %error, "not paused");
        }
    }

    /// One try. Errors: the lawful refusals, and only those.
    async fn propose(&mut self, input: Input) -> Result<Proposed, Error> {
        let record = match self.load() {
            Ok(record) => record,
            Err(Error::Rejected(rejection)) => return Err(rejection.into()),
            Err(error) => return Ok(Proposed::Failed(error)),
        };
        let spec = match self.spec(&record) {
            Ok(spec) => spec,
            Err(error) => return Ok(Proposed::Failed(error)),
        };
        let at = self.partition.world.clock.now().max(record_time(&record));
        let moment = Moment { at, epoch: self.tenure.epoch };
        let events = engine::decide(&record.execution, &spec, input, moment)?;
        if events.is_empty() {
            return Ok(Proposed::Recorded);
        }
        if self.partition.disk.is_full() {
            // The outcome stays here until there is room, and what would follow from it does not start.
            return Ok(Proposed::Failed(disk::full()));
        }
        if planted::is(Bug::EffectBeforeCommit) {
            self.begin_early(&spec, &events);
        }
        let expected = record.execution.version;
        // Nobody else holds the record now, so applying changes it in place.
        self.record = None;
        drop(record);
        let append =
            Append { tenant: self.tenant.clone(), execution: self.id, expected, events, claim: None };
        points::cross(Point::DecisionTaken).await;
        let proposed = self.partition.consensus.append(self.partition.id, moment, append, None).await;
        points::cross(Point::DecisionRecorded).await;
        Ok(match proposed {
            Ok(Ok(record)) => {
                self.record = Some(record);
                Proposed::Recorded
            }
            Ok(Err(Conflict::StaleEpoch { .. })) => Proposed::Deposed,
            Ok(Err(Conflict::Version { .. } | Conflict::Claimed { .. })) => Proposed::Moved,
            Err(consensus::Error::TooLarge { bytes, bytes_max }) => Proposed::TooLarge { bytes, bytes_max },
            Err(error) => Proposed::Failed(error.into()),
        })
    }

    /// A step that nobody waits for. A refusal by the engine is lawful (the execution moved on) and needs
    /// no answer.
    pub(super) async fn insist(&mut self, input: Input) {
        if let Err(error) = self.step(input, Patience::Owed).await {
            tracing::debug!(execution = %self.id, %error, "a wish of the actor itself was refused");
        }
    }

    pub(super) async fn record_outcome(&mut self, step: StepKey, attempt: AttemptNumber, outcome: Outcome) {
        points::cross(Point::OutcomeKnown).await;
        self.insist(Input::AttemptFinished { step, attempt, outcome }).await;
        points::cross(Point::OutcomeRecorded).await;
    }

    /// The execution as recorded. Errors: `ExecutionNotFound`, or a store that cannot be read.
    pub(super) fn load(&mut self) -> Result<Arc<Record>, Error> {
        if let Some(record) = &self.record {
            return Ok(record.clone());
        }
        let record = read::record(&self.partition, &self.tenant, self.id)?;
        self.record = Some(record.clone());
        Ok(record)
    }

    pub(super) fn spec(&mut self, record: &Record) -> Result<Arc<Spec>, Error> {
        if let Some(spec) = &self.spec {
            return Ok(spec.clone());
        }
        let spec = read::spec(&self.partition, record.execution.spec)?;
        self.spec = Some(spec.clone());
        Ok(spec)
    }
}

/// When the execution's last event was recorded.
fn record_time(record: &Record) -> Timestamp {
    record.tail.last().map_or(record.execution.created_at, |last| last.at)
}
