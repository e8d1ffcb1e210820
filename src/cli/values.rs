//! Values that people write as arguments.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::failure::Failure;
use crate::engine::model::OversizedInteger;

/// A definition or an input may be 4 MiB; a file beyond this is a mistake.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// A file's text, or stdin's for `-`, with the name to call it by.
pub(super) fn read_text(path: &str) -> Result<(String, String), Failure> {
    let name = if path == "-" { "stdin" } else { path };
    let wrong = |error: &dyn std::fmt::Display| Failure::usage("file", format!("read {name}: {error}"));
    let mut bytes = Vec::new();
    if path == "-" {
        std::io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|e| wrong(&e))?;
    } else {
        let file = std::fs::File::open(Path::new(path)).map_err(|error| wrong(&error))?;
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| wrong(&error))?;
    }
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(wrong(&format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|error| wrong(&format!("it is not UTF-8: {error}")))?;
    Ok((text, name.to_owned()))
}

/// `--input`: JSON, or `@FILE` with JSON or YAML in it.
pub(super) fn read_input(argument: Option<&str>) -> Result<Option<Value>, Failure> {
    let Some(argument) = argument else { return Ok(None) };
    let Some(path) = argument.strip_prefix('@') else {
        return match serde_json::from_str(argument) {
            Ok(value) => whole(argument, "--input").map(|()| Some(value)),
            Err(error) => Err(Failure::usage("input", format!("--input is not JSON: {error}"))
                .with_hint("write it as '{\"name\": \"value\"}', or @FILE")),
        };
    };
    let (text, name) = read_text(path)?;
    // JSON is read as JSON, so that a mistake in it has its line and its column.
    if text.trim_start().starts_with(['{', '[']) && path.ends_with(".json") {
        let value = serde_json::from_str(&text)
            .map_err(|error| Failure::usage("input", format!("{name} is not JSON: {error}")))?;
        return whole(&text, &name).map(|()| Some(value));
    }
    match serde_saphyr::from_str(&text) {
        // Digits in the text may be part of a string; only a number can have lost some.
        Ok(value) if is_rounded(&value) => whole(&text, &name).map(|()| Some(value)),
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(Failure::usage("input", format!("{name} is neither JSON nor YAML: {error}"))),
    }
}

/// Refuses an integer that would lose digits on its way.
fn whole(text: &str, name: &str) -> Result<(), Failure> {
    let Some(OversizedInteger { digits, line, column }) = OversizedInteger::find(text) else { return Ok(()) };
    let message = format!("{name}:{line}:{column}: the integer {digits:.40} does not fit 64 bits");
    Err(Failure::usage("input", message).with_hint("write it as a string"))
}

/// Whether there is a number in it that may have been an integer beyond 64 bits.
fn is_rounded(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64() && number.as_f64().is_some_and(|it| it.abs() >= 9e18),
        Value::Array(items) => items.iter().any(is_rounded),
        Value::Object(fields) => fields.values().any(is_rounded),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// `name=value`.
pub(super) fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a label is written name=value".to_owned()),
    }
}

/// `500ms`, `10s`, `5m`, `2h`, or a number of seconds.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string());
    }
    let parsed: jiff::SignedDuration =
        text.parse().map_err(|_| "a duration is written like 500ms, 10s, 5m or 2h".to_owned())?;
    Duration::try_from(parsed).map_err(|_| "a duration is not negative".to_owned())
}

/// How long, for a person.
pub(super) fn show_duration(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1_000.0;
    match millis {
        ..10.0 => format!("{millis:.1} ms"),
        ..1_000.0 => format!("{millis:.0} ms"),
        ..60_000.0 => format!("{:.1} s", millis / 1_000.0),
        _ => {
            let seconds = duration.as_secs();
            let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
            if hours > 0 { format!("{hours} h {minutes} min") } else { format!("{minutes} min {seconds} s") }
        }
    }
}

/// The time between two RFC 3339 times, if both are.
pub(super) fn between(from: &str, to: &str) -> Option<Duration> {
    let (from, to): (jiff::Timestamp, jiff::Timestamp) = (from.parse().ok()?, to.parse().ok()?);
    Duration::try_from(to.duration_since(from)).ok()
}

/// An RFC 3339 time to the second, as tables show it.
pub(super) fn show_time(time: &str) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in
            [("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("2h", 7_200_000), ("1.5", 1_500)]
        {
            assert_eq!(parse_duration(text).unwrap().as_millis(), millis, "{text}");
        }
        for text in ["", "soon", "-1", "-5s", "nan"] {
            assert!(parse_duration(text).is_err(), "{text:?} is refused");
        }
    }

    #[test]
    fn durations_are_shown_as_people_read_them() {
        let shown = [1_234u64, 56_000, 999_000, 12_345_000, 75_000_000, 7_300_000_000]
            .map(|micros| show_duration(Duration::from_micros(micros)));
        assert_eq!(shown, ["1.2 ms", "56 ms", "999 ms", "12.3 s", "1 min 15 s", "2 h 1 min"]);
    }

    #[test]
    fn labels_have_a_name_and_a_value() {
        assert_eq!(parse_label("team=a=b").unwrap(), ("team".to_owned(), "a=b".to_owned()));
        assert!(parse_label("team").is_err());
        assert!(parse_label("=x").is_err());
    }

    #[test]
    fn inputs_come_from_the_line_or_a_file() {
        assert_eq!(read_input(None).unwrap(), None);
        assert_eq!(read_input(Some("{\"a\":1}")).unwrap(), Some(serde_json::json!({"a": 1})));
        assert!(read_input(Some("{a")).is_err());
        assert!(read_input(Some("[18446744073709551615]")).is_ok());
        assert!(read_input(Some("[18446744073709551617]")).is_err());
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("input.yaml");
        let argument = format!("@{}", file.display());
        std::fs::write(&file, "a: 18446744073709551617\n").unwrap();
        assert!(read_input(Some(&argument)).is_err());
        std::fs::write(&file, "a: call 18446744073709551617 now\n").unwrap();
        assert!(read_input(Some(&argument)).is_ok());
        std::fs::write(&file, "a: [1, two]\n").unwrap();
        assert_eq!(read_input(Some(&argument)).unwrap(), Some(serde_json::json!({"a": [1, "two"]})));
    }
}
