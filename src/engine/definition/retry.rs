//! The `retry` of a step.

use crate::model::Millis;
use crate::model::limits::ATTEMPTS_MAX;

use super::check::{Cursor, Findings};
use super::node::Kind;
use super::{Backoff, Matcher, RetryPolicy};

impl RetryPolicy {
    /// A single attempt: what a step without `retry` has.
    #[must_use]
    pub fn once() -> Self {
        Self { attempts: 1, ..Self::DEFAULT }
    }

    /// What the fields of a `retry` are that are left out: three attempts, one second and then two
    /// apart, at most a minute, with a tenth of jitter, for the faults a runner calls retryable.
    pub const DEFAULT: Self = Self {
        attempts: 3,
        backoff: Backoff::Exponential,
        initial: Millis(1_000),
        factor: 2.0,
        max: Millis(60_000),
        jitter: 0.1,
        on: Vec::new(),
    };
}

/// Reads a number of attempts, or an object.
pub(super) fn read(at: &Cursor<'_>, findings: &mut Findings) -> RetryPolicy {
    let mut policy = RetryPolicy::DEFAULT;
    let attempts = |at: &Cursor<'_>, findings: &mut Findings| {
        at.integer(1, ATTEMPTS_MAX.into(), findings).and_then(|it| u32::try_from(it).ok())
    };
    if let Kind::Number(_) = at.node.kind {
        policy.attempts = attempts(at, findings).unwrap_or(policy.attempts);
        return policy;
    }
    let known = ["attempts", "backoff", "initial", "factor", "max", "jitter", "on"];
    if !at.is_object("`retry`", &known, findings) {
        return policy;
    }
    if let Some(at) = at.field("attempts") {
        policy.attempts = attempts(&at, findings).unwrap_or(policy.attempts);
    }
    if let Some(at) = at.field("backoff") {
        let words =
            [("fixed", Backoff::Fixed), ("linear", Backoff::Linear), ("exponential", Backoff::Exponential)];
        policy.backoff = at.word(&words, findings).unwrap_or(policy.backoff);
    }
    if let Some(at) = at.field("initial") {
        policy.initial = at.duration(findings).unwrap_or(policy.initial);
    }
    if let Some(at) = at.field("factor") {
        policy.factor = at.double(1.0, 100.0, findings).unwrap_or(policy.factor);
    }
    match at.field("max") {
        Some(at) => {
            policy.max = at.duration(findings).unwrap_or(policy.max);
            if policy.max < policy.initial {
                findings.add(&at, "value", "the longest wait is shorter than the first one");
            }
        }
        None => policy.max = policy.max.max(policy.initial),
    }
    if let Some(at) = at.field("jitter") {
        policy.jitter = at.double(0.0, 1.0, findings).unwrap_or(policy.jitter);
    }
    if let Some(at) = at.field("on") {
        policy.on = matchers(&at, findings);
    }
    policy
}

fn matchers(at: &Cursor<'_>, findings: &mut Findings) -> Vec<Matcher> {
    /// More than there are kinds of faults.
    const MATCHERS_MAX: usize = 64;
    let items = match at.node.kind {
        Kind::Text(_) | Kind::Number(_) => vec![at.clone()],
        Kind::Null | Kind::Bool(_) | Kind::List(_) | Kind::Map(_) => at.items(findings),
    };
    if items.len() > MATCHERS_MAX {
        findings.add(at, "limit", format!("at most {MATCHERS_MAX} faults can be named"));
        return Vec::new();
    }
    items.iter().filter_map(|item| matcher(item, findings)).collect()
}

fn matcher(at: &Cursor<'_>, findings: &mut Findings) -> Option<Matcher> {
    let text = match &at.node.kind {
        Kind::Text(text) => text.trim().to_lowercase(),
        Kind::Number(number) => number.to_string(),
        Kind::Null | Kind::Bool(_) | Kind::List(_) | Kind::Map(_) => {
            at.wrong_type("a fault's code, such as timeout, 429 or 5xx", findings);
            return None;
        }
    };
    let status: Option<u16> = text.parse().ok();
    match (text.as_str(), status) {
        ("*" | "all" | "any", _) => Some(Matcher::Any),
        (_, Some(status)) if (100..=599).contains(&status) => Some(Matcher::Code(format!("http_{status}"))),
        (_, Some(_)) => {
            findings.add(at, "value", format!("{text} is no HTTP status"));
            None
        }
        (word, None) => match word.strip_suffix("xx").map(str::parse) {
            Some(Ok(hundred @ 1..=5_u16)) => Some(Matcher::Hundred(hundred)),
            _ if is_code(word) => Some(Matcher::Code(word.to_owned())),
            _ => {
                let hint = "codes are such as timeout, node_lost, http_503, exit_1, 429, 5xx or *";
                findings.hinted(at, "value", format!("`{word}` is no fault's code"), hint);
                None
            }
        },
    }
}

fn is_code(word: &str) -> bool {
    let lawful = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.');
    !word.is_empty() && word.len() <= 64 && word.bytes().all(lawful)
}
