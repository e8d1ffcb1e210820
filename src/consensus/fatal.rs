//! The end of a node: a part of consensus has died and cannot be brought back within the process.

use std::sync::Arc;

use tokio::sync::watch;

use crate::engine::model::PartitionId;

/// Tells `node` that it has to exit. The first reason stays.
#[derive(Clone)]
pub(super) struct Fatal(Arc<watch::Sender<Option<Arc<str>>>>);

impl Fatal {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    pub(super) fn raise(&self, partition: PartitionId, reason: &str) {
        self.0.send_if_modified(|first| {
            let raised = first.is_none();
            if raised {
                tracing::error!(%partition, reason, "consensus cannot go on");
                *first = Some(format!("partition {partition}: {reason}").into());
            }
            raised
        });
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.0.subscribe()
    }
}
