//! Lengths of time as people write them.

use crate::model::Millis;
use crate::model::limits::DURATION_MS_MAX;

/// Why a text is no length of time.
pub(super) const NONE: &str = "is no length of time: write 500ms, 10s, 5m, 2h, 3d or a number of seconds";

/// Reads `500ms`, `10s`, `1.5h`, `5m`, `2h`, `3d`, and a number of seconds in quotes. Errors: what is
/// wrong, to be put behind the text.
pub(super) fn parse(text: &str) -> Result<Millis, String> {
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
        None => Err(NONE.to_owned()),
    }
}

/// Reads a number of seconds.
pub(super) fn from_seconds(seconds: f64) -> Result<Millis, String> {
    from_ms(seconds * 1e3)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked against the limit")]
#[expect(clippy::cast_precision_loss, reason = "the limit is far below 53 bits")]
fn from_ms(ms: f64) -> Result<Millis, String> {
    if ms.is_nan() || ms < 0.0 {
        return Err("is negative".to_owned());
    }
    if ms > DURATION_MS_MAX as f64 {
        return Err(format!("is longer than {}", Millis(DURATION_MS_MAX)));
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
