//! The functions an expression may call.

use std::ops::Deref;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::LIST_ITEMS_MAX;
use super::arithmetic::{Why, rounded};
use super::tree::Function;
use super::value::Val;

/// Calls a function. The parser has counted the arguments. Errors: arguments it does not take.
pub(super) fn call<'a>(function: Function, arguments: Vec<Val<'a>>) -> Result<Val<'a>, Why> {
    let mut rest = arguments.into_iter();
    let first = rest.next().unwrap_or(Val::Null);
    let second = rest.next();
    let third = rest.next();
    match function {
        Function::Size => size(&first),
        Function::Contains => texts(function, &first, second.as_ref(), |text, part| text.contains(part)),
        Function::StartsWith => texts(function, &first, second.as_ref(), |text, part| text.starts_with(part)),
        Function::EndsWith => texts(function, &first, second.as_ref(), |text, part| text.ends_with(part)),
        // With two strings, the evaluator has answered it: patterns are compiled there.
        Function::Matches => texts(function, &first, second.as_ref(), |_, _| false),
        Function::Int => int(&first),
        Function::Double => double(&first),
        Function::Text => Ok(Val::built(&shown(&first)?)),
        Function::Bool => bool(&first),
        Function::Type => Ok(Val::text(first.type_name())),
        Function::Dyn => Ok(first),
        Function::Timestamp => timestamp(&first),
        Function::Duration => duration(&first),
        Function::LowerAscii => Ok(Val::built(&text(function, &first)?.to_ascii_lowercase())),
        Function::UpperAscii => Ok(Val::built(&text(function, &first)?.to_ascii_uppercase())),
        Function::Trim => Ok(Val::built(text(function, &first)?.trim())),
        Function::Split => split(&first, second.as_ref()),
        Function::Join => join(&first, second.as_ref()),
        Function::Replace => replace(&first, second.as_ref(), third.as_ref()),
        Function::Substring => substring(&first, second.as_ref(), third.as_ref()),
        Function::IndexOf => {
            let (text, part) =
                (text(function, &first)?, text(function, &second.unwrap_or(Val::Null))?.to_owned());
            let position = text.find(&part).map_or(-1, |at| count(text[..at].chars().count()));
            Ok(Val::Int(position))
        }
        Function::FullYear
        | Function::Month
        | Function::DayOfMonth
        | Function::Date
        | Function::DayOfWeek
        | Function::DayOfYear
        | Function::Hours
        | Function::Minutes
        | Function::Seconds
        | Function::Milliseconds => part_of_time(function, &first),
    }
}

fn count(length: usize) -> i128 {
    i128::try_from(length).unwrap_or(i128::MAX)
}

fn wrong(function: Function, value: &Val<'_>) -> Why {
    format!("fails: `{}` does not take {}", function.as_str(), value.what())
}

fn text<'v>(function: Function, value: &'v Val<'_>) -> Result<&'v str, Why> {
    match value {
        Val::Text(text) => Ok(text),
        other => Err(wrong(function, other)),
    }
}

fn size<'a>(value: &Val<'a>) -> Result<Val<'a>, Why> {
    Ok(Val::Int(count(match value {
        Val::Text(text) => text.chars().count(),
        Val::List(list) => list.len(),
        Val::Map(map) => map.len(),
        other => return Err(wrong(Function::Size, other)),
    })))
}

fn texts<'a>(
    function: Function,
    value: &Val<'_>,
    part: Option<&Val<'_>>,
    holds: impl FnOnce(&str, &str) -> bool,
) -> Result<Val<'a>, Why> {
    Ok(Val::Bool(holds(text(function, value)?, text(function, part.unwrap_or(&Val::Null))?)))
}

#[expect(clippy::cast_possible_truncation, reason = "the double is known to fit")]
fn int<'a>(value: &Val<'a>) -> Result<Val<'a>, Why> {
    let lawful = i128::from(i64::MIN)..=i128::from(u64::MAX);
    let int = match value {
        Val::Int(int) => Some(*int),
        Val::Double(double) if double.abs() < 1e30 => Some(double.trunc() as i128),
        Val::Text(text) => text.parse().ok(),
        Val::Time(micros) => Some(i128::from(micros.div_euclid(1_000_000))),
        Val::Double(_) => None,
        other => return Err(wrong(Function::Int, other)),
    };
    let int = int.filter(|it| lawful.contains(it));
    int.map(Val::Int).ok_or_else(|| format!("fails: {} is no integer of 64 bits", shown_or_type(value)))
}

fn double<'a>(value: &Val<'a>) -> Result<Val<'a>, Why> {
    match value {
        Val::Int(int) => Ok(Val::Double(rounded(*int))),
        Val::Double(double) => Ok(Val::Double(*double)),
        Val::Text(text) => {
            text.parse().map(Val::Double).map_err(|_| format!("fails: \"{}\" is no number", excerpt(text)))
        }
        other => Err(wrong(Function::Double, other)),
    }
}

fn bool<'a>(value: &Val<'a>) -> Result<Val<'a>, Why> {
    match value {
        Val::Bool(bool) => Ok(Val::Bool(*bool)),
        Val::Text(text) => match &**text {
            "true" | "True" | "TRUE" | "t" | "1" => Ok(Val::Bool(true)),
            "false" | "False" | "FALSE" | "f" | "0" => Ok(Val::Bool(false)),
            _ => Err(format!("fails: \"{}\" is neither true nor false", excerpt(text))),
        },
        other => Err(wrong(Function::Bool, other)),
    }
}

/// The text of a scalar, as `string(x)` has it.
pub(super) fn shown(value: &Val<'_>) -> Result<String, Why> {
    match value {
        Val::Bool(bool) => Ok(bool.to_string()),
        Val::Int(int) => Ok(int.to_string()),
        Val::Double(double) => Ok(double.to_string()),
        Val::Text(text) => Ok(text.deref().to_owned()),
        Val::Time(micros) => Ok(time_text(*micros)),
        Val::Span(micros) => Ok(span_text(*micros)),
        Val::Null | Val::List(_) | Val::Map(_) => Err(wrong(Function::Text, value)),
    }
}

/// The beginning of a text, for a message.
fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    text.chars().take(CHARS_MAX).collect()
}

fn shown_or_type(value: &Val<'_>) -> String {
    if let Val::Text(text) = value {
        return excerpt(text);
    }
    shown(value).unwrap_or_else(|_| value.what().to_owned())
}

/// RFC 3339 in UTC, with as many digits as are needed.
pub(super) fn time_text(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |it| it.to_string())
}

/// Seconds with an `s`, as in `90s` and `1.5s`.
pub(super) fn span_text(micros: i64) -> String {
    let (sign, size) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    let fraction = format!("{:06}", size % 1_000_000);
    match fraction.trim_end_matches('0') {
        "" => format!("{sign}{}s", size / 1_000_000),
        digits => format!("{sign}{}.{digits}s", size / 1_000_000),
    }
}

fn timestamp<'a>(value: &Val<'a>) -> Result<Val<'a>, Why> {
    match value {
        Val::Time(micros) => Ok(Val::Time(*micros)),
        Val::Text(text) => {
            let parsed: Result<jiff::Timestamp, _> = text.parse();
            let micros = parsed.map(jiff::Timestamp::as_microsecond);
            micros.map(Val::Time).map_err(|_| format!("fails: \"{}\" is no RFC 3339 time", excerpt(text)))
        }
        Val::Int(seconds) => {
            let micros = seconds.checked_mul(1_000_000).and_then(|it| i64::try_from(it).ok());
            let micros = micros.filter(|it| super::arithmetic::is_in_calendar(*it));
            micros.map(Val::Time).ok_or_else(|| format!("fails: {seconds} is beyond the calendar"))
        }
        other => Err(wrong(Function::Timestamp, other)),
    }
}

/// `90s`, `1h30m`, `1.5h`, and, as elsewhere in the language, `3d`.
fn duration<'a>(value: &Val<'a>) -> Result<Val<'a>, Why> {
    match value {
        Val::Span(micros) => Ok(Val::Span(*micros)),
        Val::Text(text) => {
            let micros = parse_span(text).map(Val::Span);
            micros.ok_or_else(|| format!("fails: \"{}\" is no duration such as 90s or 1h30m", excerpt(text)))
        }
        other => Err(wrong(Function::Duration, other)),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the product is known to fit")]
fn parse_span(text: &str) -> Option<i64> {
    /// Microseconds of three hundred thousand years, which an `i64` can hold.
    const BEYOND: f64 = 9e18;
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let units = [("ms", 1e3), ("us", 1.0), ("d", 86.4e9), ("h", 3.6e9), ("m", 6e7), ("s", 1e6)];
    let mut total = 0_i64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let amount: f64 = rest[..length].parse().ok()?;
        rest = &rest[length..];
        let (unit, micros) = units.into_iter().find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        let product = (amount * micros).round();
        total = total.checked_add(if product < BEYOND { product as i64 } else { return None })?;
    }
    Some(if negative { -total } else { total })
}

fn split<'a>(value: &Val<'a>, by: Option<&Val<'a>>) -> Result<Val<'a>, Why> {
    let by = text(Function::Split, by.unwrap_or(&Val::Null))?;
    let value = text(Function::Split, value)?;
    let mut parts: Vec<Val<'a>> = Vec::new();
    let pieces: Box<dyn Iterator<Item = &str>> = if by.is_empty() {
        Box::new(value.split("").filter(|it| !it.is_empty()))
    } else {
        Box::new(value.split(by))
    };
    for part in pieces.take(LIST_ITEMS_MAX + 1) {
        parts.push(Val::built(part));
    }
    Ok(Val::list(parts))
}

fn join<'a>(value: &Val<'a>, by: Option<&Val<'a>>) -> Result<Val<'a>, Why> {
    let Val::List(list) = value else { return Err(wrong(Function::Join, value)) };
    let by = by.map_or(Ok(""), |by| text(Function::Join, by))?;
    let mut joined = String::new();
    for (position, item) in list.iter().enumerate() {
        if position > 0 {
            joined.push_str(by);
        }
        joined.push_str(text(Function::Join, &item)?);
        within(joined.len())?;
    }
    Ok(Val::built(&joined))
}

fn within(bytes: usize) -> Result<(), Why> {
    let lawful = bytes <= crate::model::limits::PAYLOAD_BYTES_MAX;
    if lawful { Ok(()) } else { Err("fails: the string becomes too long".to_owned()) }
}

fn replace<'a>(value: &Val<'a>, from: Option<&Val<'a>>, to: Option<&Val<'a>>) -> Result<Val<'a>, Why> {
    let value = text(Function::Replace, value)?;
    let from = text(Function::Replace, from.unwrap_or(&Val::Null))?;
    let to = text(Function::Replace, to.unwrap_or(&Val::Null))?;
    within(value.len().saturating_add(value.matches(from).count().saturating_mul(to.len())))?;
    Ok(Val::built(&value.replace(from, to)))
}

fn substring<'a>(value: &Val<'a>, from: Option<&Val<'a>>, to: Option<&Val<'a>>) -> Result<Val<'a>, Why> {
    let value = text(Function::Substring, value)?;
    let length = value.chars().count();
    let position = |at: Option<&Val<'_>>, default| match at {
        None => Ok(default),
        Some(Val::Int(int)) => {
            let position = usize::try_from(*int).ok().filter(|it| *it <= length);
            position.ok_or_else(|| format!("fails: {int} is outside of the string's {length} characters"))
        }
        Some(other) => Err(wrong(Function::Substring, other)),
    };
    let (from, to) = (position(from, 0)?, position(to, length)?);
    if from > to {
        return Err(format!("fails: {from} is behind {to}"));
    }
    Ok(Val::built(&value.chars().skip(from).take(to - from).collect::<String>()))
}

fn part_of_time<'a>(function: Function, value: &Val<'a>) -> Result<Val<'a>, Why> {
    if let Val::Span(micros) = value {
        return part_of_span(function, *micros).ok_or_else(|| wrong(function, value));
    }
    let Val::Time(micros) = value else { return Err(wrong(function, value)) };
    let instant =
        jiff::Timestamp::from_microsecond(*micros).map_err(|_| "is beyond the calendar".to_owned())?;
    let time = instant.to_zoned(TimeZone::UTC).datetime();
    let part = match function {
        Function::FullYear => i128::from(time.year()),
        Function::Month => i128::from(time.month()) - 1,
        Function::DayOfMonth => i128::from(time.day()) - 1,
        Function::Date => i128::from(time.day()),
        Function::DayOfWeek => i128::from(time.weekday().since(Weekday::Sunday)),
        Function::DayOfYear => i128::from(time.day_of_year()) - 1,
        Function::Hours => i128::from(time.hour()),
        Function::Minutes => i128::from(time.minute()),
        Function::Seconds => i128::from(time.second()),
        _ => i128::from(time.millisecond()),
    };
    Ok(Val::Int(part))
}

fn part_of_span<'a>(function: Function, micros: i64) -> Option<Val<'a>> {
    let unit = match function {
        Function::Hours => 3_600_000_000,
        Function::Minutes => 60_000_000,
        Function::Seconds => 1_000_000,
        Function::Milliseconds => 1_000,
        _ => return None,
    };
    Some(Val::Int((micros / unit).into()))
}
