//! How a person or a supervisor asks this process to stop.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for Ctrl-C and SIGTERM from its making on.
#[derive(Debug)]
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    /// Closed by the kernel when the process that started this one is gone. None once that was told.
    lifeline: Option<tokio::io::Stdin>,
    orphan: bool,
}

impl Stop {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            lifeline: None,
            orphan: false,
        })
    }

    /// Also stops when stdin is closed.
    pub(super) fn or_stdin_closed(self) -> Self {
        Self { lifeline: Some(tokio::io::stdin()), ..self }
    }

    /// Waits for the next request to stop. May be dropped while it waits.
    pub(super) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = closed(&mut self.lifeline) => {
                self.lifeline = None;
                self.orphan = true;
            }
        }
    }

    /// Stdin was closed: nobody waits for this process any more.
    pub(super) const fn is_orphan(&self) -> bool {
        self.orphan
    }
}

/// Waits until the lifeline is closed; what comes through it means nothing.
async fn closed(lifeline: &mut Option<tokio::io::Stdin>) {
    let Some(stdin) = lifeline else { return std::future::pending().await };
    let mut ignored = [0; 64];
    while matches!(stdin.read(&mut ignored).await, Ok(1..)) {}
}
