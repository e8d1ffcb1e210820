//! One group's part of the node's log, as Raft sees it.
//!
//! Appends return as soon as they can be read and report later, from the log's writer, that they are durable.
//! A vote is on disk before `save_vote` returns, and goes through the same writer as the entries, so that
//! neither overtakes the other. Reads of the vote come from memory.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::{self, Stream, StreamExt};
use openraft::entry::RaftEntry;
use openraft::raft::AppendEntriesRequest;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use tokio::sync::oneshot;

use crate::engine::planted::{self, Bug};
use crate::points::{self, Point};
use crate::storage::{Log, LogEntry};

use super::applied::Applied;
use super::recent::Recent;
use super::stored;
use super::tail::Tail;
use super::types::{Entry, LogId, Types, Vote};

/// So many bytes of entries are sent to a follower or applied at a time.
const READ_BYTES: usize = 1 << 20;

/// So many entries are read from the database at a time: they are not counted by their bytes there.
const READ_ENTRIES: u64 = 32;

/// What a group finds in the log at start.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) vote: Option<Vote>,
    pub(super) purged: Option<LogId>,
    pub(super) last: Option<LogId>,
}

/// The log of one group.
#[derive(Clone)]
pub(super) struct LogStore(Arc<Shared>);

struct Shared {
    log: Log,
    group: u16,
    applied: Arc<Applied>,
    state: Mutex<State>,
}

struct State {
    found: Found,
    recent: Recent,
    tail: Tail,
}

impl LogStore {
    pub(super) fn new(log: Log, group: u16, found: Found, applied: Arc<Applied>) -> Self {
        Self(Arc::new(Shared {
            log,
            group,
            applied,
            state: Mutex::new(State { found, recent: Recent::default(), tail: Tail::default() }),
        }))
    }

    /// Whether a leader's entries go with what is applied here. What is applied is committed, and no leader has anything
    /// else in its place, unless a disk that acknowledged it went back. Raft takes what is committed here for equal
    /// without a look, and would go on from there.
    ///
    /// # Errors
    /// `InvalidData` says which entry is contradicted; else the log cannot be read.
    pub(super) fn check(&self, append: &AppendEntriesRequest<Types>) -> io::Result<()> {
        let (last, purged) = {
            let state = self.0.state();
            // An old leader may have what was never committed.
            if state.found.vote.is_some_and(|vote| append.vote < vote) {
                return Ok(());
            }
            (state.found.last, state.found.purged)
        };
        let before = append.prev_log_id.filter(|id| Some(*id) != last);
        let theirs = before.into_iter().chain(append.entries.iter().map(RaftEntry::log_id));
        let mut theirs = theirs.peekable();
        if theirs.peek().is_none_or(|first| last.is_some_and(|last| first.index > last.index)) {
            return Ok(());
        }
        let applied = self.0.applied.index();
        // After a snapshot the log may still have what that has replaced.
        if last.is_none_or(|last| last.index < applied) {
            return Ok(());
        }
        // The first entry names the founders, and each of them has written it for itself.
        for id in theirs.take_while(|id| id.index <= applied).filter(|id| id.index > 0) {
            let here = match purged {
                Some(purged) if id.index < purged.index => continue,
                Some(purged) if id.index == purged.index => Some(purged),
                _ => self.0.read(&(id.index..id.index + 1), 1)?.first().map(RaftEntry::log_id),
            };
            if here.is_some_and(|here| here != id) {
                return Err(contradicted(id.index, applied));
            }
        }
        Ok(())
    }

    /// The first entry of the last `bytes_max` bytes or so; 0 if the log is not as large.
    pub(super) fn first_within(&self, bytes_max: u64) -> u64 {
        self.0.state().tail.first_within(bytes_max)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Entries from the start of `range`, up to about `bytes_max`; at least one if there is one.
    fn read(&self, range: &Range<u64>, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let mut start = range.start;
        loop {
            let cold_end = {
                let state = self.state();
                start = state.found.purged.map_or(0, |purged| purged.index + 1).max(start);
                let end = state.found.last.map_or(0, |last| last.index + 1).min(range.end);
                let entries = state.recent.read(&(start..end), bytes_max);
                if start >= end || !entries.is_empty() {
                    return Ok(entries);
                }
                let warm = state.recent.first().filter(|first| *first > start);
                warm.unwrap_or(end).min(end).min(start + READ_ENTRIES)
            };
            let records = self.log.read(self.group, start..cold_end)?;
            if !records.is_empty() {
                return records.into_iter().map(stored::entry).collect();
            }
            // Nothing there: the log begins later.
            start = cold_end;
        }
    }

    /// All entries of `range`.
    fn read_all(&self, range: Range<u64>) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let more = self.read(&(start..range.end), usize::MAX)?;
            let Some(last) = more.last() else { break };
            start = last.log_id.index + 1;
            entries.extend(more);
        }
        Ok(entries)
    }
}

fn contradicted(index: u64, applied: u64) -> io::Error {
    let text = format!(
        "the leader has something else as entry {index}, and entries up to {applied} are committed and applied here: the disk of another node went back, and this one has what the others have lost; keep its data directory aside before anything else"
    );
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn bounded(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(index) => *index,
        Bound::Excluded(index) => index + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(index) => index + 1,
        Bound::Excluded(index) => *index,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        self.0.read_all(bounded(&range))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.0.read(&(start..end), READ_BYTES)
    }

    async fn entries_stream<RB>(&mut self, range: RB) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let shared = self.0.clone();
        // After a restart the range may be the whole log, so it is read piece by piece.
        stream::unfold(bounded(&range), move |mut rest| {
            let piece = shared.read(&rest, READ_BYTES);
            async move {
                match piece {
                    Ok(entries) => {
                        rest.start = entries.last()?.log_id.index + 1;
                        Some((stream::iter(entries.into_iter().map(Ok).collect::<Vec<_>>()), rest))
                    }
                    Err(error) => {
                        rest.start = rest.end;
                        Some((stream::iter(vec![Err(error)]), rest))
                    }
                }
            }
        })
        .flatten()
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.0.state().found.vote)
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let state = self.0.state();
        Ok(LogState { last_purged_log_id: state.found.purged, last_log_id: state.found.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        points::cross(Point::VoteBefore).await;
        let (done, saved) = signal();
        self.0.log.save_vote(self.0.group, stored::encode_vote(vote), done);
        saved.await.map_err(io::Error::other)??;
        points::cross(Point::VoteSaved).await;
        self.0.state().found.vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let Some(last) = entries.last().map(RaftEntry::log_id) else {
            callback.io_completed(Ok(()));
            return Ok(());
        };
        let records: Vec<LogEntry> = entries.iter().map(stored::record).collect();
        {
            let mut state = self.0.state();
            records.iter().for_each(|record| state.tail.note(record.index, record.bytes.len()));
            entries.into_iter().for_each(|entry| state.recent.push(entry));
            state.found.last = Some(last);
        }
        let shared = self.0.clone();
        let early = planted::is(Bug::AcknowledgedEarly);
        let (early, callback) = if early { (Some(callback), None) } else { (None, Some(callback)) };
        if let Some(callback) = early {
            callback.io_completed(Ok(()));
        }
        let done = Box::new(move |result: io::Result<()>| {
            if result.is_ok() {
                points::reach(Point::AppendDurable);
                shared.state().recent.durable(last.index);
            }
            if let Some(callback) = callback {
                callback.io_completed(result);
            }
        });
        self.0.log.append(self.0.group, records, done);
        points::cross(Point::AppendQueued).await;
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let (done, truncated) = signal();
        self.0.log.truncate_after(self.0.group, last.map(|last| last.index), done);
        // By the time this is answered, so are all appends before it: none of them can raise the durable
        // index again.
        truncated.await.map_err(io::Error::other)??;
        points::cross(Point::LogCut).await;
        let mut state = self.0.state();
        state.recent.truncate_from(last.map_or(0, |last| last.index + 1));
        state.found.last = state.found.last.min(last).or(state.found.purged);
        Ok(())
    }

    async fn purge(&mut self, through: LogId) -> io::Result<()> {
        points::cross(Point::PurgeBefore).await;
        {
            let mut state = self.0.state();
            state.recent.purge_through(through.index);
            state.found.purged = Some(through);
            state.found.last = state.found.last.max(Some(through));
        }
        let (done, purged) = signal();
        self.0.log.purge_through(self.0.group, through.index, stored::encode_log_id(through), done);
        purged.await.map_err(io::Error::other)??;
        points::cross(Point::PurgeDone).await;
        Ok(())
    }
}

type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// A callback for the log's writer, and what waits for it.
fn signal() -> (Done, oneshot::Receiver<io::Result<()>>) {
    let (sender, receiver) = oneshot::channel();
    let done = Box::new(move |result| {
        // Nobody waits any more when Raft is stopping.
        let _ = sender.send(result);
    });
    (done, receiver)
}
