//! Named instants at which it matters whether a node lives.
//!
//! Between a sync and its answer, between a start's commit and its effect, in the middle of a swap: whoever breaks
//! nodes at random hits such an instant by luck. So the code says where they are, one line each, and the simulation
//! hands in a [`Watch`] that is told of every one and may let the node die right there, or wait.
//!
//! There are two kinds. At [`cross`] the future that comes there may wait, or never go on. At [`reach`] the code goes
//! on in any case, and it is the watch that cuts the node off from its disk and from the others.
//!
//! A release has none of this: without debug assertions both are empty. With them and without a watch, each costs one
//! relaxed load. Reading the code, pass over `points::…`: nothing happens there.
//!
//! Caveat: a watch sees its own thread, so it sees a node whole only where one thread runs all of it.

use std::future::Future;
use std::time::Duration;

/// Who is told of the points that are come to.
pub trait Watch {
    /// A point is come to. `can_wait` says whether this is at [`cross`].
    fn at(&self, point: Point, can_wait: bool) -> Fate;
}

/// What becomes of whoever comes to a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    GoOn,
    /// It goes on after so long.
    Wait(Duration),
    /// It never goes on: its node has died here.
    Never,
}

#[cfg(debug_assertions)]
mod live {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::{Fate, Point, Watch};

    /// Some thread has a watch.
    static WATCHED: AtomicBool = AtomicBool::new(false);

    thread_local! {
        static WATCH: RefCell<Option<Rc<dyn Watch>>> = const { RefCell::new(None) };
    }

    /// From now on the points of this thread are told to `watch`.
    pub fn watch(watch: Rc<dyn Watch>) {
        WATCHED.store(true, Ordering::Relaxed);
        WATCH.set(Some(watch));
    }

    pub(super) fn fate(point: Point, can_wait: bool) -> Fate {
        if !WATCHED.load(Ordering::Relaxed) {
            return Fate::GoOn;
        }
        let watch = WATCH.with_borrow(Option::clone);
        watch.map_or(Fate::GoOn, |watch| watch.at(point, can_wait))
    }
}

#[cfg(debug_assertions)]
pub use live::watch;

/// A point in code that cannot wait.
#[cfg(debug_assertions)]
#[inline]
pub fn reach(point: Point) {
    // Whatever becomes of the node, this goes on: the watch has seen to the rest.
    let _goes_on = live::fate(point, false);
}

/// A point in code that can wait.
#[cfg(debug_assertions)]
#[inline]
pub fn cross(point: Point) -> impl Future<Output = ()> + Send {
    let fate = live::fate(point, true);
    async move {
        match fate {
            Fate::GoOn => {}
            Fate::Wait(duration) => tokio::time::sleep(duration).await,
            Fate::Never => std::future::pending().await,
        }
    }
}

/// A point in code that cannot wait: nothing, in a release.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn reach(_point: Point) {}

/// A point in code that can wait: nothing, in a release.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn cross(_point: Point) -> impl Future<Output = ()> + Send {
    std::future::ready(())
}

macro_rules! points {
    ($($(#[doc = $sentence:literal])+ $name:ident,)+) => {
        /// An instant, named by what has just happened or is about to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Point {
            $($(#[doc = $sentence])+ $name,)+
        }

        /// All points, from the disk upwards.
        pub const ALL: &[Point] = &[$(Point::$name),+];
    };
}

points! {
    // The log.
    /// The operations of a commit are gathered, and none is written.
    CommitBegins,
    /// A vote is about to reach the hard state, before the entries of the same commit.
    HardStateBefore,
    /// A vote is in the hard state, and the entries of the same commit are not in the store.
    HardStateSaved,
    /// The entries of a commit are with the store, and nothing is synced.
    EntriesWritten,
    /// A commit is durable, and nobody knows.
    LogSynced,
    /// The last durable indexes are noted, and nobody was told of the commit.
    HintWritten,
    /// Everybody was told of a commit.
    CommitTold,
    /// The hard state knows of a cut of the log, and all entries are there.
    CutNoted,
    /// Some of the entries that a cut removes are gone.
    CutHalf,
    /// A purge is about to be written with the next commit.
    PurgeStaged,
    /// A few purged entries are removed.
    SweptSome,

    // One group's part of the log.
    /// A vote is decided, and not written.
    VoteBefore,
    /// A vote is durable, and Raft has not heard.
    VoteSaved,
    /// Entries can be read, and are not durable.
    AppendQueued,
    /// Entries are durable, and Raft has not heard.
    AppendDurable,
    /// The log is cut, and Raft has not heard.
    LogCut,
    /// Raft lets go of the beginning of a log, and nothing is purged.
    PurgeBefore,
    /// The beginning of a log is purged.
    PurgeDone,

    // Proposals.
    /// Wishes are gathered for one entry, and nothing is proposed.
    BatchGathered,
    /// An entry is with Raft, and nobody else has it.
    EntryProposed,
    /// An entry is committed and applied, or known to be lost, and whoever waits for it has not heard.
    BatchCommitted,
    /// A change of the nodes is about to be proposed.
    NodeChangeBefore,
    /// A change of the nodes is recorded or refused, and whoever asked has not heard.
    NodeChangeRecorded,

    // The state.
    /// An entry is committed, and not applied here.
    ApplyBefore,
    /// An entry is applied here, and nobody has heard.
    ApplyDone,
    /// A slice of a checkpoint is chosen, and nothing of it is written.
    CheckpointPicked,
    /// A slice of a checkpoint is with the store, and not synced.
    CheckpointWritten,
    /// A slice of a checkpoint is durable, and memory does not know.
    CheckpointSynced,
    /// Raft has been told of a new checkpoint, and nothing is purged for it.
    CheckpointNamed,
    /// Raft was asked to purge what a checkpoint has.
    PurgeAsked,
    /// A node that stops has ended Raft, and its last checkpoint is not written.
    LastCheckpoint,

    // Snapshots.
    /// A snapshot is named, and nobody has asked for it.
    SnapshotBuilt,
    /// A snapshot is opened: what checkpoints replace is put aside for it from here on.
    SnapshotOpened,
    /// A chunk is read, and not sent.
    ChunkRead,
    /// What an earlier snapshot left is cleared, and nothing of a new one is there.
    StagingBegun,
    /// A snapshot was offered and can be taken, and the sender has not heard.
    SnapshotOffered,
    /// A chunk lies beside the state, unsynced.
    ChunkStaged,
    /// A chunk is taken, and the sender has not heard.
    ChunkTaken,
    /// All chunks have come, and Raft has not been told.
    SnapshotArrived,
    /// Raft has a snapshot put in the place of the state.
    InstallBefore,
    /// All rows of a snapshot are durable beside the state.
    SwapBefore,
    /// The swap is written, and not synced.
    SwapWritten,
    /// The swap is durable, and memory has the old state.
    SwapDone,
    /// Memory has the new state, and the rows of the old one are still there.
    StateReloaded,
    /// A snapshot is the state, and Raft has not heard.
    InstallDone,

    // Leadership.
    /// A vote is granted or refused, and the candidate has not heard.
    VoteAnswered,
    /// A follower has taken what its leader sent, and the leader has not heard.
    AppendAnswered,
    /// A node was asked to lead, and the one that asked has not heard.
    TransferTaken,
    /// A leader has confirmed that it leads, and the node that wants to read has not heard.
    ReadIndexConfirmed,
    /// A node is elected, and has not announced it.
    Elected,
    /// The announcement of a leadership is committed, and nobody acts under it.
    EpochCommitted,
    /// A leader is about to ask another node to lead.
    HandOverBefore,
    /// A leader has asked another node to lead, and it has not answered.
    HandOverAsked,
    /// A node that stops takes no leadership any more, and still has those it has.
    LeaveBegun,
    /// A node that stops has handed its leaderships over.
    LeaveDone,

    // Members.
    /// A steward has chosen a step, and not asked for it.
    StewardStep,
    /// A leader is about to change the members of its partition.
    MembersBefore,
    /// The members of a partition are changed, or not, and whoever asked has not heard.
    MembersChanged,
    /// A new node is about to ask for its place.
    JoinBefore,
    /// A new node has its place, and has not begun to live with it.
    JoinAnswered,

    // Requests.
    /// A submission is let in, and no partition has heard of it.
    SubmissionAdmitted,
    /// A submission is recorded, and the submitter has not heard.
    SubmissionAnswered,
    /// A change is let in, and the execution's actor has not heard of it.
    ChangeAdmitted,
    /// A request is about to go to the node that leads.
    PassOnBefore,
    /// The node that leads has answered, and the caller has not heard.
    PassOnAnswered,
    /// A request of another node is carried out, and that node has not heard.
    DeskAnswered,
    /// A read is confirmed by the leader, and the state has not been read.
    ReadConfirmed,

    // Executions.
    /// A birth is decided, and not proposed.
    BirthDecided,
    /// A birth is recorded or refused, and nobody has heard.
    BirthRecorded,
    /// A decision is taken, and not proposed.
    DecisionTaken,
    /// A decision is recorded or refused, and nothing of what follows has begun.
    DecisionRecorded,
    /// The start of an attempt is recorded, and its effect has not begun.
    EffectBefore,
    /// An effect is done, and its outcome is on the way to the actor.
    EffectDone,
    /// An outcome is known to the actor, and nothing is decided on it.
    OutcomeKnown,
    /// An outcome is recorded, and the actor has not gone on.
    OutcomeRecorded,
    /// An actor is about to go until something is due.
    ActorParks,
    /// A time has come, and the execution that waits for it has not heard.
    TimerDue,
    /// An execution is woken, and nothing is decided.
    WokenUp,
    /// An actor takes over an execution that is recorded, and has looked at nothing.
    TakenOver,
    /// The actors of a new leadership take work, and nobody has looked what there is to do.
    DirectoryOpen,
    /// A leadership has ended, and its actors are still there.
    DirectoryClosed,

    // Start and stop.
    /// The state is open, and consensus has not started.
    StateOpen,
    /// Consensus runs, and no actor does.
    ConsensusRuns,
    /// The actors have stopped, and consensus has not.
    ActorsStopped,
}

#[cfg(debug_assertions)]
#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// Remembers what it is told, and lets it wait for a minute where it can.
    #[derive(Default)]
    struct Patient(RefCell<Vec<(Point, bool)>>);

    impl Watch for Patient {
        fn at(&self, point: Point, can_wait: bool) -> Fate {
            self.0.borrow_mut().push((point, can_wait));
            Fate::Wait(Duration::from_secs(60))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_is_told_and_decides() {
        let patient = Rc::new(Patient::default());
        watch(patient.clone());
        let begun = tokio::time::Instant::now();
        reach(Point::LogSynced);
        assert!(begun.elapsed().is_zero(), "it cannot wait there");
        cross(Point::VoteSaved).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(60));
        let other = std::thread::spawn(|| live::fate(Point::Elected, true));
        assert_eq!(other.join().unwrap(), Fate::GoOn, "another thread has no watch");
        assert_eq!(*patient.0.borrow(), [(Point::LogSynced, false), (Point::VoteSaved, true)]);
    }
}
