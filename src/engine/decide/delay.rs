//! Until when a `delay` sleeps.

use serde_json::{Value, json};

use crate::definition::{NoDuration, duration_of};
use crate::model::{Fault, Millis, Payload, Timestamp, codes, limits};

/// The end of a wait that begins now, from `for` (a duration) or `until` (an instant). May lie in the
/// past.
///
/// Errors: a fault with the code `schema` if neither is there or it cannot be read, `limit` if the
/// wait is longer than a year.
pub(super) fn until(params: &Payload, now: Timestamp) -> Result<Timestamp, Fault> {
    let params = params.value();
    let end = match (params.get("for"), params.get("until")) {
        (Some(length), None) => now + duration(length)?,
        (None, Some(end)) => instant(end)?,
        (Some(_), Some(_)) => return Err(schema("a delay has `for` or `until`, not both")),
        (None, None) => return Err(schema("a delay needs `for` or `until`")),
    };
    if end > now + Millis(limits::DURATION_MS_MAX) {
        return Err(Fault::fatal(codes::LIMIT, format!("a delay until {end} is longer than a year")));
    }
    Ok(end)
}

/// What a delay gives: when it was over.
pub(super) fn output(until: Timestamp) -> Payload {
    Payload::from_value(&json!({ "until": until.to_string() }))
}

fn duration(value: &Value) -> Result<Millis, Fault> {
    duration_of(value).map_err(|why| {
        let code = match why {
            NoDuration::TooLong => codes::LIMIT,
            NoDuration::Unreadable | NoDuration::Negative => codes::SCHEMA,
        };
        Fault::fatal(code, format!("params/for is {value}, which {why}"))
    })
}

fn instant(value: &Value) -> Result<Timestamp, Fault> {
    let unreadable =
        || schema(&format!("params/until is {value}, and has to be an instant such as 2026-01-31T09:00:00Z"));
    let text = value.as_str().ok_or_else(unreadable)?;
    let instant: jiff::Timestamp = text.parse().map_err(|_| unreadable())?;
    // What lies before 1970 is as over as what lies at 1970.
    Ok(Timestamp::from_micros(u64::try_from(instant.as_microsecond()).unwrap_or(0)))
}

fn schema(message: &str) -> Fault {
    Fault::fatal(codes::SCHEMA, message)
}
