//! One direction between two nodes, and what happens to bytes on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

/// What happens to bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    /// They pass.
    #[default]
    Pass,
    /// They are held, and pass later.
    Cut,
    /// They pass after this time.
    Delay(Duration),
    /// So many pass in a second.
    Slow(u64),
    /// Of a hundred packets, so many are lost. Only a real wire has packets.
    Loss(u8),
    /// Each packet breaks its connection. Only a real wire has packets.
    Refuse,
}

/// One direction between two nodes.
#[derive(Debug)]
pub(super) struct Link {
    mode: watch::Sender<Mode>,
    resets: watch::Sender<u64>,
    hindered: AtomicU64,
}

impl Default for Link {
    fn default() -> Self {
        Self { mode: watch::Sender::default(), resets: watch::Sender::default(), hindered: AtomicU64::new(0) }
    }
}

impl Link {
    pub(super) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    pub(super) fn reset(&self) {
        self.resets.send_modify(|resets| *resets += 1);
    }

    pub(super) fn hindered(&self) -> u64 {
        self.hindered.load(Ordering::Relaxed)
    }
}

/// A connection's passage over a link. Made with the connection: it breaks at the resets that come after.
#[derive(Debug, Clone)]
pub(super) struct Passing {
    link: Arc<Link>,
    mode: watch::Receiver<Mode>,
    resets: watch::Receiver<u64>,
}

impl Passing {
    pub(super) fn over(link: &Arc<Link>) -> Self {
        Self { link: link.clone(), mode: link.mode.subscribe(), resets: link.resets.subscribe() }
    }

    /// Waits until so many bytes may go on.
    pub(super) async fn wait(&mut self, bytes: usize) {
        let mut counted = false;
        loop {
            let mode = *self.mode.borrow_and_update();
            if mode == Mode::Pass {
                return;
            }
            if !counted {
                self.link.hindered.fetch_add(1, Ordering::Relaxed);
                counted = true;
            }
            let wait = match mode {
                Mode::Pass | Mode::Loss(_) | Mode::Refuse => return,
                Mode::Cut => None,
                Mode::Delay(time) => Some(time),
                Mode::Slow(rate) => Some(Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64)),
            };
            let Some(wait) = wait else {
                if self.mode.changed().await.is_err() {
                    return;
                }
                continue;
            };
            tokio::select! {
                () = sleep(wait) => return,
                changed = self.mode.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Waits until the connection is to break.
    pub(super) async fn broken(&mut self) {
        if self.resets.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.link.hindered.fetch_add(1, Ordering::Relaxed);
    }
}
