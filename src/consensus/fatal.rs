//! The end of a node: a part of consensus has died and cannot be brought back within the process.

use std::sync::Arc;

use tokio::sync::watch;

use crate::engine::model::PartitionId;
use crate::storage::told;

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

    /// As `raise`, with an error and all that is behind it: the disk's own words are the last of them.
    pub(super) fn raise_error(&self, partition: PartitionId, doing: &str, error: &dyn std::error::Error) {
        let reason = format!("{doing}: {}", told(error));
        self.raise(partition, &reason);
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::{consensus::state, storage};

    #[test]
    fn what_the_disk_said_is_named() {
        let fatal = Fatal::new();
        let disk = io::Error::from_raw_os_error(5);
        let error = io::Error::other(state::Error::Storage(storage::Error::io("sync the state")(disk)));
        fatal.raise_error(PartitionId(3), "write the state behind", &error);
        let said = fatal.subscribe().borrow().as_deref().map(str::to_owned).unwrap();
        assert!(said.starts_with("partition 3: write the state behind: "), "{said}");
        assert!(said.ends_with("sync the state: Input/output error (os error 5)"), "{said}");
        assert_eq!(said.matches("sync the state").count(), 1, "{said}");
    }
}
