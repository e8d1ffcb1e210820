//! What both front ends do with the door to the actors, beyond passing on a call.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::actors::{Caller, Error, Handle, Watch};
use crate::consensus::{Record, Workflow, WorkflowVersion};
use crate::engine::definition::Spec;
use crate::engine::model::{ExecutionId, Recorded, Rejection, Version};

use super::ask::Cursor;
use super::problem::Problem;
use super::shape::{Log, payload_bytes};

/// Events read at once. A history may have large payloads; so few of them fit in memory.
const CHUNK: usize = 200;
/// Payload text on one page of a history: the page ends early beyond it.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// Waits until an execution has finished or the time is up, and answers it as it stands then.
pub(super) async fn finished(
    handle: &Handle,
    caller: &Caller,
    record: Arc<Record>,
    wait: Duration,
) -> Result<Arc<Record>, Error> {
    if record.execution.status.is_finished() {
        return Ok(record);
    }
    let id = record.execution.id;
    let deadline = Instant::now() + wait;
    // Watch first, then read: what happens in between wakes the watch.
    let mut watch = handle.watch(id);
    loop {
        // The state of this node is enough to see the end by. If another one recorded the submission, this one
        // hears of it in a moment; an end before that was undone by a retry.
        match handle.glance(caller, id).await {
            Ok(seen)
                if seen.execution.status.is_finished()
                    && seen.execution.version >= record.execution.version =>
            {
                return Ok(seen);
            }
            Ok(_) | Err(Error::Rejected(Rejection::ExecutionNotFound { .. })) => {}
            Err(error) => return Err(error),
        }
        if timeout_at(deadline, handle.changed(&mut watch, id)).await.is_err() {
            return handle.execution(caller, id).await;
        }
    }
}

/// An execution with its definition.
pub(super) async fn with_spec(
    handle: &Handle,
    caller: &Caller,
    id: ExecutionId,
) -> Result<(Arc<Record>, Arc<Spec>), Error> {
    let record = handle.execution(caller, id).await?;
    let spec = handle.spec_of(&record).await?;
    Ok((record, spec))
}

/// Up to `limit` events after `after`, fewer if their payloads are large, and whether more follow.
pub(super) async fn history_page(
    handle: &Handle,
    caller: &Caller,
    id: ExecutionId,
    after: Version,
    limit: usize,
) -> Result<(Vec<Recorded>, bool), Error> {
    let mut page: Vec<Recorded> = Vec::new();
    let mut bytes = 0;
    loop {
        // One more than fits, to know whether there is a next page.
        let want = CHUNK.min(limit + 1 - page.len());
        let chunk = handle.history(caller, id, after + page.len() as u64, want).await?;
        let ended = chunk.len() < want;
        for recorded in chunk {
            let full = page.len() >= limit || (bytes > PAGE_BYTES_MAX && !page.is_empty());
            if full {
                return Ok((page, true));
            }
            bytes += payload_bytes(&recorded.event);
            page.push(recorded);
        }
        if ended {
            return Ok((page, false));
        }
    }
}

/// The log of an execution, derived from its whole history.
pub(super) async fn log(handle: &Handle, caller: &Caller, id: ExecutionId) -> Result<Log, Error> {
    let mut log = Log::default();
    let mut after = 0;
    loop {
        let chunk = handle.history(caller, id, after, CHUNK).await?;
        chunk.iter().for_each(|recorded| log.read(recorded));
        after += chunk.len() as u64;
        if chunk.len() < CHUNK {
            return Ok(log);
        }
    }
}

/// A version of a workflow, the latest unless one is wanted.
pub(super) fn version_of(workflow: &Workflow, wanted: Option<u32>) -> Result<&WorkflowVersion, Error> {
    let Some(version) = wanted else { return Ok(workflow.latest()) };
    let found = workflow.versions.iter().find(|it| it.version == version);
    found.ok_or(Error::VersionNotFound { id: workflow.id, version, latest: workflow.latest().version })
}

/// Up to `limit` versions below `before`, newest first, and where to go on.
pub(super) fn versions_page(
    workflow: &Workflow,
    before: Option<u32>,
    limit: usize,
) -> (Vec<&WorkflowVersion>, Option<Cursor>) {
    let older = |version: &&WorkflowVersion| before.is_none_or(|before| version.version < before);
    let items: Vec<&WorkflowVersion> = workflow.versions.iter().rev().filter(older).take(limit).collect();
    let next = items.last().filter(|last| last.version > 1).map(|last| Cursor::Version(last.version));
    (items, next)
}

/// Whether a reader can have read as far as it says. Errors: a problem that names the parameter.
pub(super) fn check_after(name: &str, record: &Record, after: Version) -> Result<(), Problem> {
    let version = record.execution.version;
    if after > version {
        let detail = format!("this execution has {version} events, and none of the id {after}");
        return Err(Problem::parameter(name, detail));
    }
    Ok(())
}

/// Follows the history of an execution to its end.
pub(super) struct Follow {
    handle: Handle,
    caller: Caller,
    id: ExecutionId,
    watch: Watch,
    /// The version of the last event given out.
    after: Version,
    /// Look before waiting.
    look: bool,
}

impl Follow {
    /// From the event after version `after` on.
    pub(super) fn new(handle: Handle, caller: Caller, id: ExecutionId, after: Version) -> Self {
        let watch = handle.watch(id);
        Self { handle, caller, id, watch, after, look: true }
    }

    /// The next events with their versions, at least one; none after the last event of a finished
    /// execution. May be dropped while it waits: nothing is lost.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<(Version, Recorded)>>, Error> {
        loop {
            if !self.look {
                self.handle.changed(&mut self.watch, self.id).await;
            }
            let events = self.handle.history(&self.caller, self.id, self.after, CHUNK).await?;
            if !events.is_empty() {
                let first = self.after + 1;
                self.after += events.len() as u64;
                self.look = true;
                return Ok(Some((first..).zip(events).collect()));
            }
            let record = self.handle.execution(&self.caller, self.id).await?;
            if record.execution.version <= self.after {
                if record.execution.status.is_finished() {
                    return Ok(None);
                }
                self.look = false;
            }
        }
    }
}
