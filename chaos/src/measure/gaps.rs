//! How long executions stood still, as their histories tell.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::door::{Door, Reply};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Milliseconds since midnight, UTC: enough to compare instants that are minutes apart.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(0) % DAY_MS
}

/// From one instant of a day to a later one, over midnight if need be.
fn since(from: i64, to: i64) -> i64 {
    (to - from + DAY_MS + DAY_MS / 2) % DAY_MS - DAY_MS / 2
}

/// The instant of an event: `2026-01-01T12:34:56.789Z`.
fn at(event: &Value) -> Option<i64> {
    let (_, time) = event["at"].as_str()?.trim_end_matches('Z').split_once('T')?;
    let mut parts = time.splitn(3, ':');
    let (hours, minutes): (i64, i64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let seconds: f64 = parts.next()?.parse().ok()?;
    Some((hours * 60 + minutes) * 60_000 + (seconds * 1000.0).round() as i64)
}

/// How long each affected execution stood still after each instant at which a node died, in milliseconds.
pub(super) async fn read(door: &Door, ids: &[String], instants: &[i64]) -> Result<Vec<Vec<u64>>> {
    let mut gaps = vec![Vec::new(); instants.len()];
    for id in ids {
        let events = match door.history(id).await {
            Reply::Done(Value::Array(events)) => events,
            other => anyhow::bail!("the history of {id}: {other:?}"),
        };
        let timed: Vec<_> = events
            .iter()
            .map(|event| Some((at(event)?, event)))
            .collect::<Option<_>>()
            .with_context(|| format!("the times of {id}"))?;
        for (place, (lost_at, event)) in timed.iter().enumerate() {
            if event["type"] != "attempt_failed" || event["error"]["code"] != "node_lost" {
                continue;
            }
            // The last death before the loss was recorded is the one that caused it.
            let Some(death) = instants.iter().rposition(|death| since(*death, *lost_at) >= 0) else {
                continue;
            };
            let started = timed[..place].iter().rev().find(|(_, event)| event["type"] == "attempt_started");
            let next = timed[place..].iter().find(|(_, event)| event["type"] == "attempt_started");
            let (Some((started, _)), Some((next, _))) = (started, next) else { continue };
            // It may have been started a moment after the stop began, and stood still from then on only.
            let from = if since(instants[death], *started) > 0 { *started } else { instants[death] };
            gaps[death].push(u64::try_from(since(from, *next)).unwrap_or(0));
        }
    }
    Ok(gaps)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn instants_are_read_and_compared_over_midnight() {
        let late = at(&json!({"at": "2026-01-01T23:59:59.900Z"})).expect("a time");
        let early = at(&json!({"at": "2026-01-02T00:00:00.150Z"})).expect("a time");
        assert_eq!(since(late, early), 250);
        assert_eq!(since(early, late), -250);
        assert_eq!(at(&json!({"at": "2026-01-02T01:02:03Z"})), Some(3_723_000));
    }
}
