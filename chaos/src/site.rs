//! Where a run takes place.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::time::sleep;

use crate::cluster::POLL;
use crate::door::{Door, Reply};

/// The directory of the run, and whether it is ours to remove.
pub(crate) fn directory(chosen: Option<&Path>) -> Result<(PathBuf, bool)> {
    let Some(dir) = chosen else {
        return Ok((tempfile::Builder::new().prefix("everstep-chaos-").tempdir()?.keep(), true));
    };
    std::fs::create_dir_all(dir)?;
    let dir = dir.canonicalize()?;
    if std::fs::read_dir(&dir)?.next().is_some() {
        bail!("{} is not empty", dir.display());
    }
    Ok((dir, false))
}

/// Saves a workflow before anything breaks; its id.
pub(crate) async fn create(door: &Door, definition: &Value) -> Result<String> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let began = Instant::now();
    loop {
        match door.post("/api/workflows", definition).await {
            Reply::Done(workflow) => {
                return Ok(workflow["id"].as_str().context("a workflow has an id")?.to_owned());
            }
            other if began.elapsed() > PATIENCE => bail!("a workflow is not taken: {other:?}"),
            Reply::Refused(status, text) => bail!("a workflow is refused with {status}: {text}"),
            Reply::NotNow(_) | Reply::Unavailable(_) | Reply::Unknown(_) => sleep(POLL).await,
        }
    }
}
