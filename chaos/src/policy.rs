//! W10: a step fails no more often than its definition allows, waits as long as that says before it is tried again, and
//! what was lost with its node is tried again by itself only where the step does not mind.
//!
//! What is allowed is read from the definition that was submitted, not from what the nodes made of it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// What a step's definition says of its failures.
#[derive(Debug, Clone, Copy)]
struct Policy {
    attempts: u64,
    /// The wait before each further attempt; the definitions here have no longer ones.
    wait: SignedDuration,
    /// What is lost is left to a person.
    careful: bool,
}

/// What a definition says, by step.
#[derive(Debug)]
pub(crate) struct Policies(BTreeMap<String, Policy>);

impl Policies {
    pub(crate) fn of(definition: &Value) -> Self {
        let steps = definition["steps"].as_array().into_iter().flatten();
        let policy = |step: &Value| {
            let retry = &step["retry"];
            let wait = retry["initial"].as_str().and_then(|text| text.strip_suffix("ms")?.parse().ok());
            Policy {
                attempts: retry["attempts"].as_u64().unwrap_or(1),
                wait: SignedDuration::from_millis(wait.unwrap_or(0)),
                careful: step["on_lost"] == "uncertain",
            }
        };
        Self(steps.map(|step| (step["id"].as_str().unwrap_or_default().to_owned(), policy(step))).collect())
    }

    /// What a history has against it.
    pub(crate) fn check(&self, events: &[Value]) -> Vec<String> {
        let (mut wrong, mut failures) = (Vec::new(), BTreeMap::<&str, u64>::new());
        for (place, event) in events.iter().enumerate() {
            match event["type"].as_str() {
                Some("retried") => {
                    let named = event["steps"].as_array().into_iter().flatten().filter_map(Value::as_str);
                    named.for_each(|step| *failures.entry(step).or_default() = 0);
                }
                Some("attempt_failed") => {
                    let step = event["step_id"].as_str().unwrap_or_default();
                    let failures = failures.entry(step).or_default();
                    let before = &events[place.saturating_sub(1)]["at"];
                    wrong.extend(self.failed(step, event, failures, before).err());
                }
                _ => {}
            }
        }
        wrong
    }

    /// `before` is when something was recorded last: the failure was decided no earlier.
    fn failed(&self, step: &str, event: &Value, failures: &mut u64, before: &Value) -> Result<(), String> {
        let policy = self.0.get(step).ok_or_else(|| format!("W10: there is no step {step}"))?;
        let next = event["next"].as_str().unwrap_or_default();
        if event["error"]["code"] == "node_lost" {
            // That is not the step's fault, and does not count.
            return if policy.careful == (next == "uncertain") {
                Ok(())
            } else {
                Err(format!("W10: {step} was lost, and then comes {next}"))
            };
        }
        *failures += 1;
        let allowed = policy.attempts;
        if *failures > allowed {
            return Err(format!("W10: {step} failed {failures} times, and {allowed} are allowed"));
        }
        if next == "exhausted" && event["error"]["retryable"] == true && *failures < allowed {
            return Err(format!("W10: {step} is given up after {failures} failures of {allowed}"));
        }
        let waits = span(before, &event["until"]);
        if next == "backoff" && waits.is_none_or(|waits| waits < policy.wait) {
            return Err(format!("W10: {step} waits {waits:?} and not {:?}", policy.wait));
        }
        Ok(())
    }
}

/// The time between two times of a history.
fn span(from: &Value, to: &Value) -> Option<SignedDuration> {
    let at = |time: &Value| time.as_str()?.parse::<Timestamp>().ok();
    Some(at(to)?.duration_since(at(from)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(events: &[Value]) -> Vec<String> {
        let retry = json!({"attempts": 2, "backoff": "fixed", "initial": "150ms", "jitter": 0});
        let plain = json!({"id": "a", "retry": retry});
        let careful = json!({"id": "b", "on_lost": "uncertain"});
        Policies::of(&json!({"steps": [plain, careful]})).check(events)
    }

    fn failed(step: &str, code: &str, next: &str, until_ms: u64) -> Value {
        let until = format!("2026-01-01T00:00:01.{until_ms:03}Z");
        let error = json!({"code": code, "retryable": true});
        json!({"type": "attempt_failed", "step_id": step, "at": "2026-01-01T00:00:01.020Z", "error": error,
               "next": next, "until": until})
    }

    fn started() -> Value {
        json!({"type": "attempt_started", "step_id": "a", "at": "2026-01-01T00:00:01.010Z"})
    }

    #[test]
    fn what_is_allowed_is_no_breach() {
        let once = failed("a", "http_503", "backoff", 170);
        let last = failed("a", "http_503", "exhausted", 0);
        let lost = failed("a", "node_lost", "backoff", 20);
        assert_eq!(of(&[started(), lost.clone(), once.clone(), lost, last.clone()]), [""; 0]);
        assert_eq!(of(&[failed("b", "node_lost", "uncertain", 0)]), [""; 0]);
        let again = json!({"type": "retried", "steps": ["a"], "at": "2026-01-01T00:00:01.020Z"});
        assert_eq!(of(&[once.clone(), last.clone(), again, once, last]), [""; 0], "a person begins anew");
    }

    #[test]
    fn every_breach_is_found() {
        let once = failed("a", "http_503", "backoff", 170);
        let breaches = [
            (vec![once.clone(), once.clone(), once], "failed 3 times"),
            (vec![failed("a", "http_503", "exhausted", 0)], "given up"),
            (vec![started(), failed("a", "http_503", "backoff", 150)], "waits"),
            (vec![failed("a", "node_lost", "uncertain", 0)], "lost"),
            (vec![failed("b", "node_lost", "backoff", 20)], "lost"),
            (vec![failed("c", "exit_1", "exhausted", 0)], "no step"),
        ];
        for (events, why) in breaches {
            let found = of(&events);
            assert!(found.len() == 1 && found[0].contains(why), "{events:?}: {found:?}");
        }
    }
}
