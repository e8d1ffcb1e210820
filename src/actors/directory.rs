//! Which executions of a partition have an actor right now.
//!
//! The directory holds addresses, no truth: it is empty on a replica that does not lead, and a lost
//! address costs one look-up of the state.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ractor::{ActorCell, ActorId, ActorRef};

use crate::engine::model::{Epoch, ExecutionId};

use super::execution;
use super::timers;

/// The addresses of one partition's actors, for one leadership at a time.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    inner: Mutex<Option<Leading>>,
    opened: AtomicU64,
}

/// One time that this node leads. A leadership that falls silent for a lease and then goes on has the same epoch and
/// is another one: what an actor of the first was about to do is not done beside an actor of the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tenure {
    /// The fence in the log.
    pub(crate) epoch: Epoch,
    number: u64,
}

/// What exists only while this node leads.
#[derive(Debug)]
pub(crate) struct Leading {
    /// Which.
    pub(crate) tenure: Tenure,
    /// The parent of every actor of the partition.
    pub(crate) supervisor: ActorCell,
    /// The partition's clockwork.
    pub(crate) timers: ActorRef<timers::Message>,
    /// By execution, so that a walk is in order.
    pub(crate) actors: BTreeMap<ExecutionId, ActorRef<execution::Message>>,
}

impl Directory {
    /// Opens for a new leadership; what an older one left is forgotten.
    pub(crate) fn open(
        &self,
        epoch: Epoch,
        supervisor: ActorCell,
        timers: ActorRef<timers::Message>,
    ) -> Tenure {
        let tenure = Tenure { epoch, number: self.opened.fetch_add(1, Ordering::Relaxed) };
        *self.lock() = Some(Leading { tenure, supervisor, timers, actors: BTreeMap::new() });
        tenure
    }

    /// Closes: this node no longer leads.
    pub(crate) fn close(&self) {
        *self.lock() = None;
    }

    /// Runs `with` on the leadership, if there is one. Short: it holds the lock.
    pub(crate) fn leading<T>(&self, with: impl FnOnce(&mut Leading) -> T) -> Option<T> {
        self.lock().as_mut().map(with)
    }

    /// The current leadership.
    pub(crate) fn tenure(&self) -> Option<Tenure> {
        self.leading(|leading| leading.tenure)
    }

    /// How many executions have an actor.
    pub(crate) fn active(&self) -> usize {
        self.leading(|leading| leading.actors.len()).unwrap_or(0)
    }

    /// Forgets an actor, if it is still the one of its execution.
    pub(crate) fn remove(&self, id: ExecutionId, actor: ActorId) {
        self.leading(|leading| {
            if leading.actors.get(&id).is_some_and(|known| known.get_id() == actor) {
                leading.actors.remove(&id);
            }
        });
    }

    /// An actor goes: it is forgotten, and its last word to the clockwork is said, in one go. Nothing
    /// happens if another actor has taken its place.
    pub(crate) fn part(&self, id: ExecutionId, actor: ActorId, timer: Option<timers::Message>) {
        self.leading(|leading| {
            if leading.actors.get(&id).is_none_or(|known| known.get_id() != actor) {
                return;
            }
            leading.actors.remove(&id);
            if let Some(timer) = timer {
                let _restarting = leading.timers.send_message(timer);
            }
        });
    }

    /// Whether an execution has an actor.
    pub(crate) fn has(&self, id: ExecutionId) -> bool {
        self.leading(|leading| leading.actors.contains_key(&id)).unwrap_or(false)
    }

    /// The execution an actor serves; a walk, for the rare crash.
    pub(crate) fn execution_of(&self, actor: ActorId) -> Option<ExecutionId> {
        self.leading(|leading| {
            leading.actors.iter().find(|(_, known)| known.get_id() == actor).map(|(id, _)| *id)
        })?
    }

    fn lock(&self) -> MutexGuard<'_, Option<Leading>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
