//! The tree: one supervisor for the node, one for each partition it holds a replica of.
//!
//! A partition's supervisor lives on every replica and follows leadership: when this node leads, it opens
//! the directory, starts the clockwork and an actor for every execution that can move; when it does not, it
//! stops them all. A child that crashes takes nobody with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::consensus::Leadership;
use crate::engine::model::{Epoch, ExecutionId, Input, Millis, TenantId, limits};

use crate::engine::planted::{self, Bug};
use crate::points::{self, Point};

use super::directory::Tenure;
use super::execution;
use super::partition::{Admission, Partition};
use super::timers::{self, Timers};

/// Crashes of one execution's actor within [`CRASH_WINDOW`] after which it is paused: enough for a passing
/// fault, few enough that a poisonous one does not eat the node.
const CRASHES_MAX: usize = 5;
/// See [`CRASHES_MAX`].
const CRASH_WINDOW: Duration = Duration::from_secs(60);
/// The wait before the first restart of a crashed actor; doubled for each further one.
const RESTART_FIRST: Duration = Duration::from_millis(50);
/// How often executions that nobody moves are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(2);
/// How late a timer may be before its execution counts as one of them.
const SWEEP_GRACE: Millis = Millis(5_000);
/// The wait before more executions are started when all places for actors are taken.
const START_AGAIN: Duration = Duration::from_millis(20);
/// Executions started in one turn when a leadership begins, so that requests are served in between.
const START_MAX: usize = 256;

/// How long the actors of a leadership get to end.
const STOP_MAX: Duration = Duration::from_secs(5);

/// What a partition's supervisor is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// Leadership of the partition has changed.
    Leadership(Leadership),
    /// Start some more of the executions found at the beginning of a leadership.
    StartMore,
    /// Look for executions that nobody moves.
    Sweep,
    /// A crashed actor's pause is over.
    Restart {
        /// Of this leadership.
        tenure: Tenure,
        /// Which execution.
        id: ExecutionId,
    },
}

/// The supervisor of a partition.
pub(crate) struct PartitionSupervisor;

/// What it remembers.
pub(crate) struct State {
    partition: Arc<Partition>,
    follower: AbortHandle,
    leading: Option<Tenure>,
    to_start: Vec<(TenantId, ExecutionId)>,
    crashes: BTreeMap<ExecutionId, Vec<Instant>>,
    timers: Option<ActorId>,
    /// Seen without an actor by the last sweep.
    suspects: BTreeSet<ExecutionId>,
}

impl Drop for State {
    fn drop(&mut self) {
        self.follower.abort();
        self.partition.directory.close();
    }
}

impl Actor for PartitionSupervisor {
    type Msg = Message;
    type State = State;
    type Arguments = Arc<Partition>;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        partition: Arc<Partition>,
    ) -> Result<State, ActorProcessingErr> {
        myself.send_after(SWEEP_EVERY, || Message::Sweep);
        let mut leadership = partition.consensus.leadership(partition.id);
        let follower = tokio::spawn(async move {
            loop {
                let now = *leadership.borrow_and_update();
                if myself.send_message(Message::Leadership(now)).is_err()
                    || leadership.changed().await.is_err()
                {
                    break;
                }
            }
        });
        Ok(State {
            partition,
            follower: follower.abort_handle(),
            leading: None,
            to_start: Vec::new(),
            crashes: BTreeMap::new(),
            timers: None,
            suspects: BTreeSet::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Leadership(Leadership::Leading { epoch }) => {
                if state.leading.map(|it| it.epoch) != Some(epoch) {
                    state.stop_leading(&myself).await;
                    state.lead(epoch, &myself).await?;
                }
            }
            Message::Leadership(Leadership::Following { .. }) => state.stop_leading(&myself).await,
            Message::StartMore => state.start_more(&myself),
            Message::Sweep => state.sweep(&myself),
            Message::Restart { tenure, id } => state.restart(tenure, id),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Message>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(child, error) => state.child_failed(&child, &error, &myself).await,
            SupervisionEvent::ActorTerminated(child, _, reason) => {
                let led = state.leading.is_some() && state.partition.directory.tenure().is_some();
                if led && state.timers == Some(child.get_id()) {
                    let error = reason.unwrap_or_default().into();
                    state.child_failed(&child, &error, &myself).await
                } else {
                    Ok(())
                }
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => Ok(()),
        }
    }
}

impl State {
    async fn lead(&mut self, epoch: Epoch, myself: &ActorRef<Message>) -> Result<(), ActorProcessingErr> {
        tracing::info!(partition = %self.partition.id, epoch = epoch.0, "leading");
        let timers = self.start_timers(myself.get_cell()).await?;
        let supervisor = myself.get_cell();
        self.leading = Some(self.partition.directory.open(epoch, supervisor, timers));
        points::cross(Point::DirectoryOpen).await;
        self.look_around();
        if planted::is(Bug::WakeLost) {
            self.to_start.clear();
        }
        myself.send_message(Message::StartMore)?;
        Ok(())
    }

    async fn stop_leading(&mut self, myself: &ActorRef<Message>) {
        if self.leading.take().is_none() {
            return;
        }
        tracing::info!(partition = %self.partition.id, "no longer leading");
        self.partition.directory.close();
        points::cross(Point::DirectoryClosed).await;
        self.to_start.clear();
        self.crashes.clear();
        self.timers = None;
        stop_children(&myself.get_cell(), STOP_MAX).await;
    }

    async fn start_timers(&mut self, me: ActorCell) -> Result<ActorRef<timers::Message>, ActorProcessingErr> {
        let (timers, _) = Actor::spawn_linked(None, Timers, self.partition.clone(), me).await?;
        self.timers = Some(timers.get_id());
        Ok(timers)
    }

    /// Reads from the state what is to be done: the one path of a normal start, a restart and a failover.
    fn look_around(&mut self) {
        let rows = self.partition.machine().live();
        let mut timed = 0;
        for row in rows {
            if row.runnable {
                self.to_start.push((row.tenant, row.id));
            } else if let Some(due) = row.due {
                timed += 1;
                self.partition.directory.leading(|leading| {
                    let message = timers::Message::Found { tenant: row.tenant, id: row.id, due };
                    let _restarting = leading.timers.send_message(message);
                });
            }
        }
        let partition = self.partition.id;
        tracing::info!(%partition, runnable = self.to_start.len(), timed, "executions taken over");
    }

    fn start_more(&mut self, myself: &ActorRef<Message>) {
        for _ in 0..START_MAX.min(self.partition.room()) {
            let Some((tenant, id)) = self.to_start.pop() else { return };
            if let Err(error) = self.partition.tell(&tenant, id, execution::Message::Wake, Admission::Owed) {
                tracing::debug!(execution = %id, %error, "not started");
            }
        }
        if self.partition.room() == 0 {
            myself.send_after(START_AGAIN, || Message::StartMore);
        } else {
            let _stopping = myself.send_message(Message::StartMore);
        }
    }

    /// Finds executions that could move and have nobody who moves them: the outcome of a proposal was
    /// unknown and it was recorded after all, or a wake-up was lost. Two sightings in a row, because an actor
    /// may be just on its way.
    fn sweep(&mut self, myself: &ActorRef<Message>) {
        myself.send_after(SWEEP_EVERY, || Message::Sweep);
        if self.leading.is_none() || !self.to_start.is_empty() || self.partition.room() == 0 {
            return;
        }
        let before = self.partition.world.clock.now() - SWEEP_GRACE;
        let mut seen = BTreeSet::new();
        let moves = |id| self.partition.directory.has(id);
        for row in self.partition.machine().stranded(before, START_MAX, moves) {
            if self.suspects.contains(&row.id) && !planted::is(Bug::WakeLost) {
                tracing::info!(execution = %row.id, "found without an actor; it goes on");
                let wake = execution::Message::Wake;
                let _no_leader = self.partition.tell(&row.tenant, row.id, wake, Admission::Owed);
            } else {
                seen.insert(row.id);
            }
        }
        self.suspects = seen;
    }

    async fn child_failed(
        &mut self,
        child: &ActorCell,
        error: &ActorProcessingErr,
        myself: &ActorRef<Message>,
    ) -> Result<(), ActorProcessingErr> {
        if self.timers == Some(child.get_id()) {
            tracing::error!(partition = %self.partition.id, %error, "the clockwork crashed; starting another");
            let timers = self.start_timers(myself.get_cell()).await?;
            self.partition.directory.leading(|leading| leading.timers = timers);
            self.look_around();
            let _stopping = myself.send_message(Message::StartMore);
            return Ok(());
        }
        let Some(id) = self.partition.directory.execution_of(child.get_id()) else { return Ok(()) };
        self.partition.directory.remove(id, child.get_id());
        self.execution_crashed(id, error, myself);
        Ok(())
    }

    fn execution_crashed(&mut self, id: ExecutionId, error: &ActorProcessingErr, myself: &ActorRef<Message>) {
        let Some(tenure) = self.leading else { return };
        let now = Instant::now();
        let crashes = self.crashes.entry(id).or_default();
        crashes.retain(|crash| now.duration_since(*crash) < CRASH_WINDOW);
        crashes.push(now);
        let count = crashes.len();
        tracing::error!(execution = %id, count, %error, "an execution's actor crashed");
        metrics::counter!("everstep_actor_crashes_total").increment(1);
        if count >= CRASHES_MAX {
            let reason = format!("its actor crashed {count} times within a minute: {error}");
            tokio::spawn(pause(self.partition.clone(), tenure, id, reason));
            return;
        }
        let wait = RESTART_FIRST * 2_u32.pow(u32::try_from(count).unwrap_or(1));
        let myself = myself.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let _stopping = myself.send_message(Message::Restart { tenure, id });
        });
    }

    fn restart(&self, tenure: Tenure, id: ExecutionId) {
        if self.leading != Some(tenure) {
            return;
        }
        let Some(tenant) = tenant_of(&self.partition, id) else { return };
        if let Err(error) = self.partition.tell(&tenant, id, execution::Message::Wake, Admission::Owed) {
            tracing::warn!(execution = %id, %error, "not restarted");
        }
    }
}

/// Stops the children of an actor and waits until they have ended, for so long each. The oldest first: an actor's
/// own list of its children has no order, and what happens should not depend on chance.
pub(super) async fn stop_children(parent: &ActorCell, limit: Duration) {
    let mut children = parent.get_children();
    children.sort_unstable_by_key(ActorCell::get_id);
    // One that has ended by itself says so as an error.
    let _ended = join_all(children.iter().map(|child| child.stop_and_wait(None, Some(limit)))).await;
}

/// Whose an unfinished execution is; a walk, for the rare crash.
fn tenant_of(partition: &Partition, id: ExecutionId) -> Option<TenantId> {
    partition.machine().live().into_iter().find(|row| row.id == id).map(|row| row.tenant)
}

/// Pauses an execution without its actor, which would only crash again.
async fn pause(partition: Arc<Partition>, tenure: Tenure, id: ExecutionId, reason: String) {
    let Some(tenant) = tenant_of(&partition, id) else { return };
    let mut reason = reason;
    reason.truncate(reason.floor_char_boundary(limits::NAME_BYTES_MAX));
    let input = Input::Pause { by: "everstep".to_owned(), reason };
    if let Err(error) = execution::decide_once(&partition, tenure, &tenant, id, input).await {
        tracing::error!(execution = %id, %error, "could not pause an execution that keeps crashing");
    }
}

/// The root of the tree.
pub(crate) struct NodeSupervisor;

impl Actor for NodeSupervisor {
    type Msg = ();
    type State = BTreeMap<ActorId, Arc<Partition>>;
    type Arguments = Vec<Arc<Partition>>;

    async fn pre_start(
        &self,
        myself: ActorRef<()>,
        partitions: Vec<Arc<Partition>>,
    ) -> Result<Self::State, ActorProcessingErr> {
        let mut children = BTreeMap::new();
        for partition in partitions {
            let (child, _) =
                Actor::spawn_linked(None, PartitionSupervisor, partition.clone(), myself.get_cell()).await?;
            children.insert(child.get_id(), partition);
        }
        Ok(children)
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        children: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let SupervisionEvent::ActorFailed(child, error) = event else { return Ok(()) };
        let Some(partition) = children.remove(&child.get_id()) else { return Ok(()) };
        tracing::error!(partition = %partition.id, %error, "a partition's supervisor crashed; starting another");
        let (child, _) =
            Actor::spawn_linked(None, PartitionSupervisor, partition.clone(), myself.get_cell()).await?;
        children.insert(child.get_id(), partition);
        Ok(())
    }
}
