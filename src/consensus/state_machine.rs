//! The replicated state, as Raft sees it.
//!
//! State is written behind: applying an entry changes memory alone, and after a restart Raft applies again
//! what the last checkpoint lacks. A snapshot is a checkpoint: building one names it and copies nothing, and
//! sending one reads the state database as it was then, while checkpoints go on.
//!
//! Caveat: while a snapshot takes the place of the state, readers wait. It is complete on this disk by then.

use std::io;
use std::sync::Arc;

use futures_util::stream::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};

use crate::points::{self, Point};

use super::applied::Applied;
use super::fatal::Fatal;
use super::state::{Machine, SnapshotReader, Staging};
use super::stored::{self, Meta};
use super::types::{Answer, LogId, StoredMembership, Types};

pub(super) type Raft = openraft::Raft<Types, StateMachine>;
pub(super) type SnapshotMeta = openraft::SnapshotMeta<super::types::LeaderId, u64, openraft::BasicNode>;
pub(super) type Snapshot = openraft::Snapshot<super::types::LeaderId, u64, openraft::BasicNode, Transfer>;

/// Applies the entries of one group.
pub(super) struct StateMachine {
    applied: Arc<Applied>,
    fatal: Fatal,
    inline_io: bool,
}

impl StateMachine {
    pub(super) fn new(applied: Arc<Applied>, fatal: Fatal, inline_io: bool) -> Self {
        Self { applied, fatal, inline_io }
    }

    /// Does what blocks on the disk.
    pub(super) async fn blocking<T: Send + 'static>(
        inline_io: bool,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        if inline_io {
            return work();
        }
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
    }
}

impl Drop for StateMachine {
    /// Raft does not notice when the task that applies its entries panics: it would go on and answer nobody.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fatal.raise(self.applied.partition, "applying an entry has panicked");
        }
    }
}

/// The chunks of a snapshot.
pub(super) enum Transfer {
    /// Read from this node's state as they are needed.
    Reader(SnapshotReader),
    /// Received whole from another node, and written beside the state.
    Staged(Staging),
}

impl std::fmt::Debug for Transfer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transfer")
    }
}

/// Takes in what was read from a state that is at hand, as if it had come from another node.
fn stage(machine: &Arc<Machine>, mut reader: SnapshotReader) -> io::Result<Staging> {
    let mut staging = machine.stage().map_err(io::Error::other)?;
    while let Some(chunk) = reader.next_chunk().map_err(io::Error::other)? {
        staging.take(&chunk).map_err(io::Error::other)?;
    }
    Ok(staging)
}

/// The last checkpoint as a snapshot, if there is one.
fn snapshot(applied: &Applied) -> io::Result<Option<Snapshot>> {
    let reader = applied.machine.snapshot().map_err(io::Error::other)?;
    let Some(meta) = reader.meta() else { return Ok(None) };
    let meta = stored::decode_meta(meta)?;
    Ok(Some(named(meta, reader)))
}

/// The whole state as a snapshot.
fn whole_snapshot(applied: &Applied) -> io::Result<Snapshot> {
    applied.checkpoint_all()?;
    if let Some(snapshot) = snapshot(applied)? {
        return Ok(snapshot);
    }
    // The first entry of a log is its membership. The state keeps no mark for it alone.
    let meta = applied.meta();
    if meta.applied.is_some_and(|id| id.index > 0) {
        return Err(io::Error::other("there is no checkpoint yet"));
    }
    Ok(named(meta, applied.machine.snapshot().map_err(io::Error::other)?))
}

fn named(meta: Meta, reader: SnapshotReader) -> Snapshot {
    let meta = SnapshotMeta { last_log_id: meta.applied, last_membership: meta.membership };
    Snapshot { meta, snapshot: Transfer::Reader(reader) }
}

/// Names the last checkpoint.
pub(super) struct Builder {
    applied: Arc<Applied>,
    /// Everything that is applied has to be in it.
    whole: bool,
    inline_io: bool,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Transfer;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let (applied, whole) = (self.applied.clone(), self.whole);
        let build = move || {
            if whole {
                return whole_snapshot(&applied);
            }
            snapshot(&applied)?.ok_or_else(|| io::Error::other("there is no checkpoint yet"))
        };
        let built = StateMachine::blocking(self.inline_io, build).await;
        points::cross(Point::SnapshotBuilt).await;
        built
    }
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotData = Transfer;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let meta = self.applied.meta();
        Ok((meta.applied, meta.membership))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        while let Some(entry) = entries.next().await {
            let (entry, responder) = entry?;
            points::cross(Point::ApplyBefore).await;
            let reply = self.applied.apply(entry);
            points::cross(Point::ApplyDone).await;
            match responder {
                Some(responder) => responder.send(Answer(reply)),
                // A replay can be long; others want the thread too.
                None => tokio::task::coop::consume_budget().await,
            }
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<Builder> {
        let has_checkpoint = || matches!(snapshot(&self.applied), Ok(Some(_)));
        if !force && !has_checkpoint() {
            return None;
        }
        Some(Builder { applied: self.applied.clone(), whole: force, inline_io: self.inline_io })
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder { applied: self.applied.clone(), whole: true, inline_io: self.inline_io }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, transfer: Transfer) -> io::Result<()> {
        let meta = Meta { applied: meta.last_log_id, membership: meta.last_membership.clone() };
        let applied = self.applied.clone();
        points::cross(Point::InstallBefore).await;
        Self::blocking(self.inline_io, move || {
            let staging = match transfer {
                Transfer::Staged(staging) => staging,
                Transfer::Reader(reader) => stage(&applied.machine, reader)?,
            };
            applied.install(meta, staging)
        })
        .await?;
        points::cross(Point::InstallDone).await;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        snapshot(&self.applied)
    }
}
