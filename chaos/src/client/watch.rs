//! Watches the outside record while it grows: what happened outside has to be in the history already.

use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::Ledger;
use crate::cluster::Doors;
use crate::door::Reply;
use crate::effects;
use crate::seed::Random;

/// Between two looks at the record.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Of the lines that came since the last look, so many are held against their histories.
const SAMPLES: usize = 4;

/// Runs until it is dropped; counts the effects it has checked.
pub(crate) async fn watch_effects(
    record: PathBuf,
    doors: Doors,
    ledger: Ledger,
    mut random: Random,
    checked: Arc<AtomicU64>,
) {
    let mut position = 0;
    loop {
        sleep(LOOK_EVERY).await;
        let Ok(text) = read_from(&record, position) else { continue };
        let Some(end) = text.rfind('\n') else { continue };
        position += end as u64 + 1;
        let lines: Vec<&str> = text[..end].lines().collect();
        for _ in 0..SAMPLES.min(lines.len()) {
            let line = *random.choice(&lines);
            let Some(attempt) = effects::attempt(line) else { continue };
            let door = {
                let doors = doors.read().expect("nothing panics with the lock");
                if doors.is_empty() { continue } else { random.choice(&doors).clone() }
            };
            let Reply::Done(Value::Array(events)) = door.history(&attempt.execution).await else { continue };
            let started = events.iter().any(|event| {
                event["type"] == "attempt_started"
                    && event["step_id"] == attempt.step.as_str()
                    && event["attempt"] == attempt.attempt
            });
            if !started {
                ledger.violation(&format!("W6: {line} has happened, and its start is not recorded"));
            }
            checked.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn read_from(record: &PathBuf, position: u64) -> std::io::Result<String> {
    let mut file = std::fs::File::open(record)?;
    file.seek(SeekFrom::Start(position))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}
