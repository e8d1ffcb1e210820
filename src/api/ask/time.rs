//! Durations and instants as callers write them.

use std::time::Duration;

use crate::api::settings::WAIT_MAX;
use crate::engine::model::Timestamp;

/// How long a caller waits for an outcome. `None` if it is no duration or longer than 5 minutes.
pub(in crate::api) fn wait(text: &str) -> Option<Duration> {
    duration(text).filter(|wait| *wait <= WAIT_MAX)
}

/// `500ms`, `10s`, `5m`, `2h`, `3d`, or a number of seconds. `None` if it is none of these.
fn duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let count: u64 = digits.parse().ok()?;
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    count.checked_mul(unit_ms).map(Duration::from_millis)
}

/// An RFC 3339 instant to filter by. `None` if it is not one. Nothing here is older than 1970, so all times
/// before are one.
pub(in crate::api) fn instant(text: &str) -> Option<Timestamp> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_micros(u64::try_from(instant.as_microsecond()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("30s"), Some(Duration::from_secs(30)));
        assert_eq!(duration("30"), Some(Duration::from_secs(30)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("5m"), Some(Duration::from_secs(300)));
        for bad in ["", "s", "-1s", "1.5s", "10 s", "10x", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(duration(bad), None, "{bad:?} is no duration");
        }
    }

    #[test]
    fn waits_have_an_end() {
        assert_eq!(wait("5m"), Some(Duration::from_secs(300)));
        assert_eq!(wait("0"), Some(Duration::ZERO));
        assert_eq!(wait("301s"), None);
    }

    #[test]
    fn instants() {
        let at = instant("2026-01-31T09:00:00Z").unwrap();
        assert_eq!(at.to_string(), "2026-01-31T09:00:00.000000Z");
        assert_eq!(instant("2026-01-31T10:00:00+01:00"), Some(at));
        assert_eq!(instant("0022-07-10T20:41:33+02:25"), Some(Timestamp::from_micros(0)));
        for bad in ["", "yesterday", "2026-01-31"] {
            assert_eq!(instant(bad), None, "{bad:?} is no instant");
        }
    }
}
