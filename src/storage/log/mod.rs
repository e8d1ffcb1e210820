//! The write-ahead log of a node: one for all its groups.
//!
//! Consensus appends to many groups at once, and a disk can do only so many syncs. So there is one writer. It
//! takes everything that waits, puts it into the store, syncs once and calls back in order: the busier the node,
//! the more entries share a sync. [`Log::append`] returns at once; an entry can be read from then on, and is
//! durable when its callback is called.
//!
//! Each entry is a record with checksums of itself and of the record before it (`record`). What consensus must
//! not forget even if the database does lies in the hard state. At a start the two are held against each other
//! (`recovery`): a torn end that nobody was told about is cut, anything else that is missing is `storage_lost`,
//! and then the log refuses to be written: a node must not vote with a memory that has gaps.
//!
//! A failed write or sync leaves the disk in an unknown state, and asking again may be answered with a lie. The
//! process ends ([`LogOptions::on_fatal`]).
//!
//! Caveats: callbacks run on the writer, so they must be short and must not wait for the log. Purged entries are
//! removed a few at a time after each commit, so the database shrinks with a delay.

mod keys;
mod pulse;
mod queue;
mod record;
mod recovery;
mod view;
mod writer;

use std::collections::BTreeMap;
use std::io;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::hard_state::{HardRecord, HardState, Loaded};
use super::{Direction, Error, Result, Store, WriteBatch};
use pulse::Pulse;
use queue::Queue;
use view::View;
use writer::{Change, Group, Operation, Writer};

pub use record::{HEADER_BYTES, LogEntry, encode as encode_record};
pub(in crate::storage) use recovery::{Found, read_groups};
pub use recovery::{GroupBounds, Loss};

/// Operations that may wait. Consensus has a few in flight for each of some dozens of groups; more than this
/// means the disk has stopped.
pub const QUEUE_LEN_MAX: usize = 16 * 1024;
/// Bytes that may wait: what a stopped disk may cost in memory.
pub const QUEUE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Operations in one commit: enough to share a sync, few enough that the first does not wait long.
const COMMIT_LEN_MAX: usize = 1024;
/// Bytes in one commit, reached or passed by its last operation: half a segment of the store, which must not write
/// more without a sync.
const COMMIT_BYTES_MAX: usize = 1024 * 1024;
/// Purged entries removed after a commit: more of them stall the commits behind.
pub const PURGES_PER_COMMIT: u64 = 16;
/// Entries removed by one write when the log is cut: bounds the memory of a cut, as each is read, up to 10 MiB.
const TRUNCATES_PER_WRITE: usize = 16;
/// Commits between two saves of the last durable indexes. After a power cut, this many commits at the end of the
/// log are protected by their checksums alone; saving after each would double the syncs.
pub const COMMITS_PER_SAVE: u64 = 256;

/// Called once, when the operation is durable or will never be. Runs on the writer: it must be short.
pub type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// What runs the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// A thread of its own: for a store that waits for a disk.
    Thread,
    /// A task of the current tokio runtime: for the simulation, where nothing may depend on threads.
    Task,
}

/// How long a commit takes, drawn before each one.
pub type Pace = Arc<dyn Fn() -> Duration + Send + Sync>;

/// How to open a log.
#[derive(Clone)]
pub struct LogOptions {
    /// Where the entries are. Nothing else may be in it.
    pub store: Arc<dyn Store>,
    /// Where the hard state is.
    pub hard_state: Arc<dyn HardState>,
    /// Whose log it is.
    pub node: u64,
    /// What runs the writer.
    pub driver: Driver,
    /// How long the simulated disk takes for a commit; what waits meanwhile is not durable. Only
    /// [`Driver::Task`] waits: a real disk takes its own time.
    pub pace: Option<Pace>,
    /// Called with the reason when a write or sync has failed. It is expected not to return; if it does, every
    /// operation from then on fails.
    pub on_fatal: Arc<dyn Fn(&str) + Send + Sync>,
}

impl LogOptions {
    /// With a writer on a thread, and an end of the process if the disk fails.
    pub fn new(store: Arc<dyn Store>, hard_state: Arc<dyn HardState>, node: u64) -> Self {
        let on_fatal = Arc::new(|why: &str| {
            tracing::error!(why, "storage failed, the process ends");
            std::process::abort();
        });
        Self { store, hard_state, node, driver: Driver::Thread, pace: None, on_fatal }
    }
}

/// What was found at the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The number of this boot, from 1.
    pub boot: u64,
    /// Acknowledged data is gone. The node must not vote; the log cannot be written.
    pub storage_lost: bool,
    /// What is gone and where.
    pub losses: Vec<Loss>,
    /// Every group that has ever had something.
    pub groups: BTreeMap<u16, GroupBounds>,
    /// Some group had an end that was never acknowledged; it was removed.
    pub cut_torn_tail: bool,
}

/// The log. Clones are the same log.
#[derive(Clone)]
pub struct Log {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    queue: Queue,
    view: Arc<View>,
    store: Arc<dyn Store>,
    writer: Mutex<Writer>,
    pulse: Pulse,
    /// What a writer in a task has taken and not begun to commit, so that a stop commits it first.
    in_hand: Mutex<Vec<Operation>>,
    /// Nothing may be written, because something is missing.
    lost: bool,
}

impl Log {
    /// Opens the log and starts its writer.
    ///
    /// With [`Driver::Task`] it must be called within a tokio runtime.
    ///
    /// Errors: `OtherNode` if another node wrote it, `Newer`, `Io`. Damage is no error but `storage_lost`.
    pub fn open(options: LogOptions) -> Result<(Self, Recovered)> {
        let LogOptions { store, hard_state, node, driver, pace, on_fatal } = options;
        let (mut hard, mut losses) = load(hard_state.as_ref(), store.as_ref(), node)?;
        let found = read_groups(store.as_ref(), &hard)?;
        losses.extend(found.values().flat_map(|it| it.losses.iter().cloned()));
        let lost = !losses.is_empty();
        let mut cut_torn_tail = false;
        hard.boot += 1;
        if !lost {
            for (group, it) in &found {
                cut_torn_tail |= it.torn.is_some() && cut(store.as_ref(), *group, it)?;
                let last = it.bounds.last.max(it.bounds.purged_index);
                hard.groups.entry(*group).or_default().last = last;
            }
            // The store first: what the hard state calls durable has to be.
            store.sync()?;
            hard_state.save(&hard)?;
        }
        let view = Arc::new(View::default());
        let boot = hard.boot;
        let mut writer = Writer::new(store.clone(), hard_state, hard, view.clone(), on_fatal);
        for (group, it) in &found {
            let bounds = &it.bounds;
            let last = bounds.last.max(bounds.purged_index);
            writer.groups.insert(*group, Group { last, crc: it.crc, purged: bounds.purged_index });
            view.open(*group, bounds);
            if let (Some(from), Some(to)) = (it.leftover, bounds.purged_index) {
                writer.leftovers.push_back((*group, from, to));
            }
        }
        let shared = Arc::new(Shared {
            queue: Queue::default(),
            view,
            store,
            writer: Mutex::new(writer),
            pulse: Pulse::default(),
            in_hand: Mutex::default(),
            lost,
        });
        let thread = start(driver, pace, &shared)?;
        let groups = found.into_iter().map(|(group, it)| (group, it.bounds)).collect();
        let recovered = Recovered { boot, storage_lost: lost, losses, groups, cut_torn_tail };
        Ok((Self { handle: Arc::new(Handle { shared, thread: Mutex::new(thread) }) }, recovered))
    }

    /// Appends entries, which follow the last one without a gap. They can be read when this returns; `done` is
    /// called once they are durable, after the `done` of everything asked for before.
    ///
    /// `done` gets `InvalidInput` if the entries do not follow the last one, `WouldBlock` if too much waits, another
    /// error if the log is lost, closed or broken.
    pub fn append(&self, group: u16, entries: Vec<LogEntry>, done: Done) {
        let view = &self.handle.shared.view;
        self.push(group, Change::Append { entries, sequence: 0 }, done, |change| {
            if let Change::Append { entries, sequence } = change {
                *sequence = view.append(group, entries)?;
            }
            Ok(())
        });
    }

    /// Replaces the vote of a group; ordered with appends, durable before `done`.
    pub fn save_vote(&self, group: u16, vote: Vec<u8>, done: Done) {
        self.push(group, Change::Vote(vote), done, |_| Ok(()));
    }

    /// Replaces a small value of a group; ordered with appends, durable before `done`.
    pub fn save_meta(&self, group: u16, key: u8, bytes: Vec<u8>, done: Done) {
        self.push(group, Change::Meta(key, bytes), done, |_| Ok(()));
    }

    /// Removes the entries above `keep`, or all of them. They cannot be read any more when this returns.
    pub fn truncate_after(&self, group: u16, keep: Option<u64>, done: Done) {
        let view = &self.handle.shared.view;
        self.push(group, Change::Truncate { keep }, done, |_| {
            view.truncate_after(group, keep);
            Ok(())
        });
    }

    /// Forgets the entries up to `index`, which may lie beyond the last one: the next append then follows it.
    /// `marker` comes back in [`GroupBounds::purged`].
    pub fn purge_through(&self, group: u16, index: u64, marker: Vec<u8>, done: Done) {
        let view = &self.handle.shared.view;
        self.push(group, Change::Purge { index, marker }, done, |_| {
            view.purge_through(group, index);
            Ok(())
        });
    }

    /// Calls `done` once everything asked for before is durable.
    pub fn sync(&self, done: Done) {
        self.push(0, Change::Sync, done, |_| Ok(()));
    }

    /// The first and the last index of a group.
    pub fn bounds(&self, group: u16) -> (Option<u64>, Option<u64>) {
        self.handle.shared.view.bounds(group)
    }

    /// The entries of `range` that exist, in order and without gaps; also those that are not durable yet.
    ///
    /// Every record is checked again. All of them are in memory at once: the caller bounds the range. Errors: `Corrupt` if one is not what was appended, `Io`.
    pub fn read(&self, group: u16, range: Range<u64>) -> Result<Vec<LogEntry>> {
        let shared = &self.handle.shared;
        let Some(window) = shared.view.window(group, range.start, range.end) else { return Ok(Vec::new()) };
        let mut pending = window.pending;
        let wanted = usize::try_from(window.until - window.from).unwrap_or(usize::MAX);
        let mut entries = Vec::with_capacity(wanted.min(COMMIT_LEN_MAX));
        let mut stored = BTreeMap::new();
        if pending.len() < wanted {
            let (from, to) = (keys::entry(group, window.from), keys::entry(group, window.until));
            let (from, to) = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
            for (key, value) in shared.store.scan(from, to, Direction::Forward, wanted)? {
                stored.extend(keys::parse_entry(&key).map(|(_, index)| (index, value)));
            }
        }
        for index in window.from..window.until {
            if let Some(entry) = pending.remove(&index) {
                entries.push(entry);
                continue;
            }
            let at = || format!("group {group}, index {index}");
            let value =
                stored.remove(&index).ok_or_else(|| Error::corrupt("the log (missing entry)", at()))?;
            let record = record::decode(value).map_err(|what| Error::corrupt(what, at()))?;
            if record.group != group || record.entry.index != index {
                return Err(Error::corrupt("the log (record in the wrong place)", at()));
            }
            entries.push(record.entry);
        }
        Ok(entries)
    }

    /// How long a commit takes just now: what the last ones took, or what the one at hand has taken if that is more.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.handle.shared.pulse.delay()
    }

    /// Writes what waits, syncs, and stops. What comes later is refused.
    pub fn shutdown(&self) {
        let shared = &self.handle.shared;
        shared.queue.close();
        self.handle.join();
        shared.drain();
    }

    fn push(
        &self,
        group: u16,
        change: Change,
        done: Done,
        prepare: impl FnOnce(&mut Change) -> io::Result<()>,
    ) {
        let shared = &self.handle.shared;
        if shared.lost {
            return done(Err(io::Error::other("the log has lost acknowledged entries")));
        }
        if let Err((operation, error)) = shared.queue.push(Operation { group, change, done }, prepare) {
            (operation.done)(Err(error));
        }
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("store", &self.handle.shared.store).finish_non_exhaustive()
    }
}

impl Shared {
    fn commit(&self, operations: Vec<Operation>) {
        self.pulse.begin();
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).commit(operations);
        self.pulse.end();
    }

    /// Returns whether more is left to remove, and time to do so: what a stop leaves is removed by the next start.
    fn sweep(&self) -> bool {
        !self.queue.is_closed() && self.writer.lock().unwrap_or_else(PoisonError::into_inner).sweep()
    }

    fn drain(&self) {
        self.commit_in_hand();
        loop {
            let operations = self.queue.take();
            if operations.is_empty() {
                return;
            }
            self.commit(operations);
        }
    }

    fn run(&self) {
        while let Some(mut operations) = self.queue.wait() {
            loop {
                if !operations.is_empty() {
                    self.commit(operations);
                }
                let more = self.sweep();
                operations = self.queue.take();
                if operations.is_empty() && !more {
                    break;
                }
            }
        }
    }

    async fn run_async(self: Arc<Self>, pace: Option<Pace>) {
        while let Some(operations) = self.queue.wait_async().await {
            self.commit_at(pace.as_ref(), operations).await;
            while self.sweep() {
                tokio::task::yield_now().await;
                let operations = self.queue.take();
                if !operations.is_empty() {
                    self.commit_at(pace.as_ref(), operations).await;
                }
            }
        }
    }

    async fn commit_at(&self, pace: Option<&Pace>, operations: Vec<Operation>) {
        *self.in_hand.lock().unwrap_or_else(PoisonError::into_inner) = operations;
        if let Some(pace) = pace {
            self.pulse.begin();
            tokio::time::sleep(pace()).await;
        }
        self.commit_in_hand();
    }

    fn commit_in_hand(&self) {
        let operations = std::mem::take(&mut *self.in_hand.lock().unwrap_or_else(PoisonError::into_inner));
        if !operations.is_empty() {
            self.commit(operations);
        }
    }
}

impl Handle {
    fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The last handle may be dropped by a callback, on the writer itself.
        if let Some(thread) = thread.filter(|it| it.thread().id() != thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!("the writer of the log panicked");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.queue.close();
        self.join();
    }
}

fn start(driver: Driver, pace: Option<Pace>, shared: &Arc<Shared>) -> Result<Option<JoinHandle<()>>> {
    let shared = shared.clone();
    match driver {
        Driver::Thread => thread::Builder::new()
            .name("log-writer".into())
            .spawn(move || shared.run())
            .map(Some)
            .map_err(Error::io("start the writer of the log")),
        Driver::Task => {
            tokio::spawn(shared.run_async(pace));
            Ok(None)
        }
    }
}

fn load(hard_state: &dyn HardState, store: &dyn Store, node: u64) -> Result<(HardRecord, Vec<Loss>)> {
    let loss = |what: &str| vec![Loss { group: None, index: None, what: what.into() }];
    let fresh = HardRecord { node, ..HardRecord::default() };
    match hard_state.load()? {
        Loaded::Found { record, .. } if record.node != node => {
            Err(Error::OtherNode { found: record.node, expected: node })
        }
        Loaded::Found { record, .. } => Ok((record, Vec::new())),
        Loaded::Damaged => Ok((fresh, loss("both copies of the hard state are damaged"))),
        Loaded::Missing => {
            let any = store.scan(Bound::Unbounded, Bound::Unbounded, Direction::Forward, 1);
            let is_new = matches!(&any, Ok(pairs) if pairs.is_empty());
            let losses =
                if is_new { Vec::new() } else { loss("the hard state is missing, and there is a log") };
            Ok((fresh, losses))
        }
    }
}

/// Removes what follows the whole part of a group. Returns whether there was something.
fn cut(store: &dyn Store, group: u16, found: &Found) -> Result<bool> {
    let Some((from, _)) = found.torn else { return Ok(false) };
    let (from, to) = (keys::entry(group, from), keys::entry(group, u64::MAX));
    loop {
        let mut batch = WriteBatch::new();
        let page = store.scan(
            Bound::Included(&from),
            Bound::Included(&to),
            Direction::Backward,
            TRUNCATES_PER_WRITE,
        );
        for (key, _) in page? {
            batch.delete(key);
        }
        if batch.is_empty() {
            return Ok(true);
        }
        store.write(batch)?;
    }
}
