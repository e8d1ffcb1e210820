//! Until when a `delay` sleeps.

use serde_json::{Value, json};

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
    let unreadable = || {
        schema(&format!(
            "params/for is {value}, and has to be a duration such as 500ms, 10s, 5m, 2h, 3d or a number of seconds"
        ))
    };
    let ms = match value {
        Value::Number(seconds) => seconds.as_f64().map(|seconds| seconds * 1_000.0),
        Value::String(text) => text_ms(text.trim()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let ms = ms.filter(|ms| *ms >= 0.0).ok_or_else(unreadable)?;
    // Casting saturates; what is too long is refused by the caller.
    Ok(Millis(ms.round() as u64))
}

fn text_ms(text: &str) -> Option<f64> {
    let units = [("ms", 1.0), ("s", 1e3), ("m", 6e4), ("h", 3.6e6), ("d", 86.4e6)];
    let with_unit = |(unit, ms): (&str, f64)| Some((text.strip_suffix(unit)?.trim_end(), ms));
    let (amount, ms) = units.into_iter().find_map(with_unit).unwrap_or((text, 1e3));
    let plain = amount.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    amount.parse::<f64>().ok().filter(|_| plain).map(|amount| amount * ms)
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
