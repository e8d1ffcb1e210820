//! Writes the state behind, a slice at a time, and lets the log forget what no longer needs it.
//!
//! One task serves all groups of a node in turn, so that their slices do not meet on the disk.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::points::{self, Point};

use super::applied::Applied;
use super::fatal::Fatal;
use super::log_store::LogStore;
use super::state::CheckpointDone;
use super::state_machine::Raft;

/// Raft learns of a new checkpoint after so many entries, and purges then: often enough to keep the log
/// short, seldom enough to cost nothing.
const SNAPSHOT_ENTRIES: u64 = 1_024;

/// Entries are purged so many at a time or more: each purge costs a sync.
const PURGE_ENTRIES: u64 = 256;

/// Bytes of entries below the checkpoint that stay for followers that are behind. A follower that missed more
/// is served as fast by a snapshot.
const TAIL_BYTES: u64 = 64 << 20;

/// For so long after a snapshot was read the entries behind it stay, so that who got it can catch up from the log.
const CATCH_UP: Duration = Duration::from_secs(60);

/// Slices written in a row for a group that has fallen behind.
const SLICES_MAX: usize = 4;

/// One group, as far as checkpoints are concerned.
pub(super) struct Behind {
    pub(super) applied: Arc<Applied>,
    pub(super) raft: Raft,
    pub(super) log_store: LogStore,
    /// Entries below the checkpoint that stay in the log, if they are small.
    pub(super) tail_entries: u64,
    /// Everything before this entry may be gone from the log.
    pub(super) purged_before: u64,
    /// What lies before this entry exceeds the tail in bytes.
    pub(super) oversize_before: u64,
    /// The state is durable through this entry.
    pub(super) durable: u64,
    /// Raft knows the checkpoint of this entry.
    pub(super) named: u64,
    /// The entry that a snapshot ends with which is or was read, and until when those behind it stay.
    pub(super) copied: Option<(u64, Instant)>,
}

/// Checkpoints all groups.
pub(super) struct Checkpointer {
    pub(super) groups: Vec<Behind>,
    /// How often each group has its turn.
    pub(super) period: Duration,
    pub(super) inline_io: bool,
    pub(super) fatal: Fatal,
}

impl Checkpointer {
    /// Runs until the node stops.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let pause = self.period / u32::try_from(self.groups.len().max(1)).unwrap_or(u32::MAX);
        loop {
            for group in &mut self.groups {
                if tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok() {
                    return;
                }
                if let Err(error) = group.turn(self.inline_io).await {
                    self.fatal.raise_error(group.applied.partition, "write the state behind", &error);
                    return;
                }
            }
        }
    }
}

impl Behind {
    async fn turn(&mut self, inline_io: bool) -> io::Result<()> {
        for _ in 0..SLICES_MAX {
            if self.applied.index() == self.durable {
                break;
            }
            let done = self.slice(inline_io).await?;
            self.durable = done.index;
            if !done.more {
                break;
            }
        }
        // A log that is kept short is purged often.
        if self.durable >= self.named + SNAPSHOT_ENTRIES.min(self.tail_entries.max(1))
            && self.raft.trigger().snapshot().await.is_ok()
        {
            self.named = self.durable;
            points::cross(Point::CheckpointNamed).await;
        }
        self.purge().await;
        Ok(())
    }

    /// Lets the log forget what Raft knows to be in a checkpoint, except for the tail and for what whoever is sent a
    /// snapshot needs next.
    async fn purge(&mut self) {
        let metrics = self.raft.data_metrics();
        let Some(snapshot) = metrics.borrow_watched().snapshot.map(|id| id.index) else { return };
        let by_count = snapshot.saturating_sub(self.tail_entries);
        let by_bytes = self.log_store.first_within(TAIL_BYTES);
        self.oversize_before = self.oversize_before.max(by_bytes);
        let first = by_count.max(self.oversize_before.min(snapshot));
        let now = Instant::now();
        if let Some(index) = self.applied.machine.copied_from() {
            self.copied = Some((index, now + CATCH_UP));
        }
        self.copied = self.copied.filter(|(_, until)| now < *until);
        let first = self.copied.map_or(first, |(index, _)| first.min(index + 1));
        if first >= self.purged_before + PURGE_ENTRIES.min(self.tail_entries.max(1))
            && self.raft.trigger().purge_log(first - 1).await.is_ok()
        {
            self.purged_before = first;
            points::cross(Point::PurgeAsked).await;
        }
    }

    async fn slice(&self, inline_io: bool) -> io::Result<CheckpointDone> {
        if inline_io {
            return self.applied.checkpoint();
        }
        let applied = self.applied.clone();
        tokio::task::spawn_blocking(move || applied.checkpoint()).await.map_err(io::Error::other)?
    }
}
