//! Lengths of time as people write them.

use std::fmt;

use serde_json::{Number, Value};

use crate::model::Millis;
use crate::model::limits::DURATION_MS_MAX;

/// Why something is no length of time. Displayed, it belongs behind what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoDuration {
    /// It cannot be read as one.
    Unreadable,
    /// It is less than nothing.
    Negative,
    /// It is longer than [`DURATION_MS_MAX`].
    TooLong,
}

impl fmt::Display for NoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => {
                f.write_str("is no length of time: write 500ms, 10s, 5m, 2h, 3d or a number of seconds")
            }
            Self::Negative => f.write_str("is negative"),
            Self::TooLong => write!(f, "is longer than {}", Millis(DURATION_MS_MAX)),
        }
    }
}

/// Reads a length of time that an expression gave: a text as in a definition, or a number of seconds.
pub fn duration_of(value: &Value) -> Result<Millis, NoDuration> {
    match value {
        Value::String(text) => parse(text),
        Value::Number(number) => from_seconds(number),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(NoDuration::Unreadable),
    }
}

/// Reads `500ms`, `10s`, `1.5h`, `5m`, `2h`, `3d`, and a number of seconds in quotes.
pub(super) fn parse(text: &str) -> Result<Millis, NoDuration> {
    let text = text.trim();
    let units = [("ms", 1.0), ("s", 1e3), ("m", 6e4), ("h", 3.6e6), ("d", 86.4e6)];
    let (amount, ms) = units
        .into_iter()
        .find_map(|(unit, ms)| text.strip_suffix(unit).map(|amount| (amount.trim_end(), ms)))
        .unwrap_or((text, 1e3));
    let digits = amount.starts_with(|c: char| c.is_ascii_digit())
        && amount.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: Option<f64> = amount.parse().ok().filter(|_| digits);
    match number {
        Some(number) => from_ms(number * ms),
        None => Err(NoDuration::Unreadable),
    }
}

/// Reads a number of seconds.
pub(super) fn from_seconds(seconds: &Number) -> Result<Millis, NoDuration> {
    from_ms(seconds.as_f64().unwrap_or(f64::NAN) * 1e3)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked against the limit")]
#[expect(clippy::cast_precision_loss, reason = "the limit is far below 53 bits")]
fn from_ms(ms: f64) -> Result<Millis, NoDuration> {
    if ms.is_nan() {
        return Err(NoDuration::Unreadable);
    }
    if ms < 0.0 {
        return Err(NoDuration::Negative);
    }
    if ms > DURATION_MS_MAX as f64 {
        return Err(NoDuration::TooLong);
    }
    Ok(Millis(ms.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit_and_plain_seconds() {
        let cases = [
            ("500ms", 500),
            ("10s", 10_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("3d", 259_200_000),
            ("1.5h", 5_400_000),
            ("0.25s", 250),
            ("30", 30_000),
            (" 2 s ", 2_000),
            ("0s", 0),
        ];
        for (text, ms) in cases {
            assert_eq!(parse(text), Ok(Millis(ms)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_length_of_time() {
        for text in ["", "s", "ten s", "-5s", "5 weeks", "1e3s", "1.2.3s", "367d", "inf", "NaN", "+5s"] {
            assert!(parse(text).is_err(), "{text:?} is no duration");
        }
    }
}
