//! Waking those who look at an execution, or at the nodes.
//!
//! A wake-up carries no data: whoever wakes reads the state. A watch counts from the moment it is made, so who
//! makes it first and reads then misses nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::engine::model::ExecutionId;

const NOT_POISONED: &str = "nobody panics while changing the watches";

/// Who watches what.
#[derive(Debug, Default)]
pub(super) struct Watches {
    bells: Mutex<BTreeMap<ExecutionId, watch::Sender<()>>>,
    /// How many bells there are, so that an apply nobody watches takes no lock.
    count: AtomicUsize,
    nodes: watch::Sender<()>,
}

/// Wakes when an execution has changed.
#[derive(Debug)]
pub struct Watch {
    id: ExecutionId,
    bell: Option<watch::Receiver<()>>,
    watches: Arc<Watches>,
}

impl Watch {
    /// Waits for the next change since the watch was made, or since the last call that returned. Several
    /// changes may wake once; a wake-up without a change is possible. Safe to cancel.
    pub async fn changed(&mut self) {
        let bell = self.bell.as_mut().expect("a watch has its bell until it is dropped");
        // The sender stays in the registry as long as this receiver exists.
        bell.changed().await.expect("a watched bell is kept");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut bells = self.watches.bells.lock().expect(NOT_POISONED);
        self.bell = None;
        if bells.get(&self.id).is_some_and(|bell| bell.receiver_count() == 0) {
            bells.remove(&self.id);
        }
        self.watches.count.store(bells.len(), Ordering::SeqCst);
    }
}

impl Watches {
    pub(super) fn watch(self: &Arc<Self>, id: ExecutionId) -> Watch {
        let mut bells = self.bells.lock().expect(NOT_POISONED);
        let bell = bells.entry(id).or_insert_with(|| watch::Sender::new(())).subscribe();
        self.count.store(bells.len(), Ordering::SeqCst);
        drop(bells);
        Watch { id, bell: Some(bell), watches: Arc::clone(self) }
    }

    /// Whether anybody watches anything.
    pub(super) fn any(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    /// These have changed.
    pub(super) fn ring(&self, ids: &[ExecutionId]) {
        if ids.is_empty() || !self.any() {
            return;
        }
        let bells = self.bells.lock().expect(NOT_POISONED);
        for bell in ids.iter().filter_map(|id| bells.get(id)) {
            bell.send_replace(());
        }
    }

    pub(super) fn watch_nodes(&self) -> watch::Receiver<()> {
        self.nodes.subscribe()
    }

    /// What is known of the nodes has changed.
    pub(super) fn ring_nodes(&self) {
        self.nodes.send_replace(());
    }

    /// Everything may have changed.
    pub(super) fn ring_all(&self) {
        self.ring_nodes();
        for bell in self.bells.lock().expect(NOT_POISONED).values() {
            bell.send_replace(());
        }
    }
}
