//! The clockwork of a partition: wakes parked executions when something of theirs is due.
//!
//! It keeps one row per execution that waits for a time, in order of time. It never fires early: the
//! sleep is only a hint, the clock decides. A storm of timers is spread: so many per turn, the rest right
//! after, so that nothing else starves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::task::AbortHandle;

use crate::engine::model::{ExecutionId, Millis, TenantId, Timestamp};
use crate::points::{self, Point};

use super::execution;
use super::partition::{Admission, Partition};

/// Timers fired in one turn.
const FIRE_MAX: usize = 512;
/// The wait before another look when all places for actors are taken.
const ROOM_AGAIN: Millis = Millis(20);
/// The longest sleep before the clock is looked at again: it may have been set forward meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// What the clockwork is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// Wake this execution then, and not at any other time set before.
    Set {
        /// Whose.
        tenant: TenantId,
        /// Which.
        id: ExecutionId,
        /// When.
        due: Timestamp,
    },
    /// As `Set`, unless a time is known: found in the state at the beginning of a leadership.
    Found {
        /// Whose.
        tenant: TenantId,
        /// Which.
        id: ExecutionId,
        /// When.
        due: Timestamp,
    },
    /// It waits for nothing any more.
    Clear {
        /// Which.
        id: ExecutionId,
    },
    /// Look at the clock.
    Tick,
}

/// The actor.
pub(crate) struct Timers;

/// Its rows.
pub(crate) struct State {
    partition: Arc<Partition>,
    order: BTreeSet<(Timestamp, ExecutionId)>,
    rows: BTreeMap<ExecutionId, (Timestamp, TenantId)>,
    sleeper: Option<(Timestamp, AbortHandle)>,
}

impl Actor for Timers {
    type Msg = Message;
    type State = State;
    type Arguments = Arc<Partition>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Message>,
        partition: Arc<Partition>,
    ) -> Result<State, ActorProcessingErr> {
        Ok(State { partition, order: BTreeSet::new(), rows: BTreeMap::new(), sleeper: None })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Set { tenant, id, due } => state.set(tenant, id, due),
            Message::Found { tenant, id, due } if !state.rows.contains_key(&id) => state.set(tenant, id, due),
            Message::Found { .. } => {}
            Message::Clear { id } => state.clear(id),
            Message::Tick => state.sleeper = None,
        }
        state.turn(&myself);
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
    fn set(&mut self, tenant: TenantId, id: ExecutionId, due: Timestamp) {
        self.clear(id);
        self.order.insert((due, id));
        self.rows.insert(id, (due, tenant));
    }

    fn clear(&mut self, id: ExecutionId) {
        if let Some((due, _)) = self.rows.remove(&id) {
            self.order.remove(&(due, id));
        }
    }

    /// Fires what is due, then sees to it that there is another turn in time.
    fn turn(&mut self, myself: &ActorRef<Message>) {
        let now = self.partition.world.clock.now();
        let room = self.partition.room();
        for _ in 0..FIRE_MAX.min(room) {
            let Some(&(due, id)) = self.order.first().filter(|(due, _)| *due <= now) else { break };
            self.order.pop_first();
            let Some((_, tenant)) = self.rows.remove(&id) else { continue };
            assert!(due <= now, "a timer never fires early");
            self.fire(&tenant, id);
        }
        let Some(&(due, _)) = self.order.first() else { return };
        let full = self.partition.room() == 0;
        self.sleep_until(if full { due.max(now + ROOM_AGAIN) } else { due }, now, myself);
    }

    /// Wakes the execution. One that cannot be reached has lost its leader here, and the next leadership
    /// starts from the state.
    fn fire(&self, tenant: &TenantId, id: ExecutionId) {
        points::reach(Point::TimerDue);
        let _no_leader = self.partition.tell(tenant, id, execution::Message::Wake, Admission::Owed);
    }

    fn sleep_until(&mut self, due: Timestamp, now: Timestamp, myself: &ActorRef<Message>) {
        match &self.sleeper {
            Some((until, _)) if *until <= due => return,
            Some((_, sleeper)) => sleeper.abort(),
            None => {}
        }
        let sleep = Duration::from_micros(due.micros().saturating_sub(now.micros())).min(SLEEP_MAX);
        let myself = myself.clone();
        let task = tokio::spawn(async move {
            tokio::time::sleep(sleep).await;
            let _gone = myself.send_message(Message::Tick);
        });
        self.sleeper = Some((due, task.abort_handle()));
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some((_, sleeper)) = &self.sleeper {
            sleeper.abort();
        }
    }
}
