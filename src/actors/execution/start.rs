//! How an execution's actor starts: with a birth, or with an errand.

use std::sync::Arc;

use ractor::{ActorCell, ActorRef};
use tokio::sync::oneshot;

use crate::consensus::{Claim, Record};
use crate::engine::definition::Spec;
use crate::engine::model::{ExecutionId, Input, SpecHash, TenantId};

use super::super::directory::Tenure;
use super::super::partition::Partition;
use super::super::request::Error;
use super::{ExecutionActor, Message};

/// How an actor starts.
pub(crate) struct Start {
    pub(super) partition: Arc<Partition>,
    pub(super) tenure: Tenure,
    pub(super) tenant: TenantId,
    pub(super) id: ExecutionId,
    pub(super) first: First,
}

/// What an actor does before it takes messages.
pub(super) enum First {
    /// Creates the execution.
    Birth(Birth),
    /// Takes the execution over, then does what it was started for. It travels with the start, because an
    /// actor that finds nothing to do parks without looking into its mailbox.
    Errand(Message),
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
        tenure: Tenure,
        tenant: TenantId,
        id: ExecutionId,
        errand: Message,
    ) -> Self {
        Self { partition, tenure, tenant, id, first: First::Errand(errand) }
    }

    /// For one that is not yet.
    pub(crate) fn new(
        partition: Arc<Partition>,
        tenure: Tenure,
        tenant: TenantId,
        id: ExecutionId,
        birth: Birth,
    ) -> Self {
        Self { partition, tenure, tenant, id, first: First::Birth(birth) }
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
