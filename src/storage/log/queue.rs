//! What waits for the writer of the log.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::writer::{Change, Operation};
use super::{COMMIT_BYTES_MAX, COMMIT_LEN_MAX, QUEUE_BYTES_MAX, QUEUE_LEN_MAX};

#[derive(Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    /// For the writer on a thread.
    filled: Condvar,
    /// For the writer in a task.
    notify: Notify,
}

#[derive(Default)]
struct Inner {
    operations: VecDeque<Operation>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    /// Puts `operation` behind the others; `prepare` runs first and under the same lock, so that what it
    /// changes has the order of the queue.
    ///
    /// Errors, with the operation back: `BrokenPipe` if the queue is closed, `WouldBlock` if it is full, and what
    /// `prepare` answers.
    pub(super) fn push(
        &self,
        mut operation: Operation,
        prepare: impl FnOnce(&mut Change) -> io::Result<()>,
    ) -> Result<(), (Operation, io::Error)> {
        let mut inner = self.lock();
        if inner.closed {
            return Err((operation, io::Error::new(io::ErrorKind::BrokenPipe, "the log is closed")));
        }
        if inner.operations.len() >= QUEUE_LEN_MAX || inner.bytes >= QUEUE_BYTES_MAX {
            let error = io::Error::new(io::ErrorKind::WouldBlock, "too much waits for the log");
            return Err((operation, error));
        }
        if let Err(error) = prepare(&mut operation.change) {
            return Err((operation, error));
        }
        inner.bytes += operation.change.bytes();
        inner.operations.push_back(operation);
        drop(inner);
        self.filled.notify_one();
        self.notify.notify_one();
        Ok(())
    }

    /// What one commit takes; empty if nothing waits.
    pub(super) fn take(&self) -> Vec<Operation> {
        take(&mut self.lock())
    }

    /// Waits until there is something, or the queue is closed and empty: then `None`.
    pub(super) fn wait(&self) -> Option<Vec<Operation>> {
        let mut inner = self.lock();
        loop {
            let taken = take(&mut inner);
            if !taken.is_empty() {
                return Some(taken);
            }
            if inner.closed {
                return None;
            }
            inner = self.filled.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// As `wait`, for a task.
    pub(super) async fn wait_async(&self) -> Option<Vec<Operation>> {
        loop {
            let notified = self.notify.notified();
            {
                let mut inner = self.lock();
                let taken = take(&mut inner);
                if !taken.is_empty() {
                    return Some(taken);
                }
                if inner.closed {
                    return None;
                }
            }
            notified.await;
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
        self.notify.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take(inner: &mut Inner) -> Vec<Operation> {
    let mut bytes = 0;
    let mut count = 0;
    for operation in &inner.operations {
        if count == COMMIT_LEN_MAX || (count > 0 && bytes >= COMMIT_BYTES_MAX) {
            break;
        }
        bytes += operation.change.bytes();
        count += 1;
    }
    inner.bytes -= bytes;
    inner.operations.drain(..count).collect()
}

impl Change {
    fn bytes(&self) -> usize {
        match self {
            Self::Append { entries, .. } => entries.iter().map(|entry| entry.bytes.len()).sum(),
            Self::Vote(bytes) | Self::Meta(_, bytes) | Self::Purge { marker: bytes, .. } => bytes.len(),
            Self::Truncate { .. } | Self::Sync => 0,
        }
    }
}
