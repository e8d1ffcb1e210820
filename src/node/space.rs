//! Looks at the room on the disk and tells the actors, which decide what is still done.

use std::sync::Arc;
use std::time::Duration;

use crate::actors;
use crate::storage::{self, Space};

/// Tells how much room there is.
pub type ReadSpace = Arc<dyn Fn() -> storage::Result<Space> + Send + Sync>;

/// How often the disk is looked at. Between two looks a node under full load writes some ten megabytes; asking
/// costs microseconds.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Looks for as long as it is let. A disk that does not answer is taken for what it was.
pub(super) async fn watch(read: ReadSpace, actors: actors::Handle) {
    let mut failing = false;
    loop {
        match read() {
            Ok(space) => {
                actors.note_space(space);
                failing = false;
            }
            Err(error) if !failing => {
                tracing::warn!(%error, "the room on the disk is not known");
                failing = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
