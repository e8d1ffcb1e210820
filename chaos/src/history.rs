//! What a history may say, checked by rules of its own: small, and written without a look at the engine.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::effects::{Attempt, Effects};

/// How an attempt ended, as the history says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// Nothing is recorded: it was cut off, and the history must say so later.
    Open,
    Completed,
    Failed,
    /// Its node died.
    Lost,
}

/// What a history tells of its attempts, for the comparison with the outside record.
#[derive(Debug, Default)]
pub(crate) struct Told {
    attempts: BTreeMap<(String, u64), Ended>,
    /// Attempts that were lost with their node.
    pub(crate) lost: usize,
    /// Attempts that were started.
    pub(crate) started: usize,
    /// It was ended by a person.
    cancelled: bool,
}

/// How an execution has to have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Completed,
    Cancelled,
    /// Nobody knows whether it was cancelled.
    Either,
}

/// Checks the history of an execution that must have completed `steps`; every violation found.
pub(crate) fn check(id: &str, events: &[Value], steps: &[String]) -> (Told, Vec<String>) {
    check_until(id, events, steps, Ending::Completed)
}

/// Checks the history of an execution that is over; every violation found.
pub(crate) fn check_until(
    id: &str,
    events: &[Value],
    steps: &[String],
    ending: Ending,
) -> (Told, Vec<String>) {
    let mut violations = Vec::new();
    let mut told = Told::default();
    check_order(events, &mut violations);
    check_waits(events, &mut violations);
    for event in events {
        told.hear(event, &mut violations);
    }
    let cancelled = told.cancelled;
    match ending {
        Ending::Completed if cancelled => {
            violations.push("W11: it is cancelled, and nobody asked for it".to_owned());
        }
        Ending::Cancelled if !cancelled => {
            violations.push("W11: it was cancelled, and its history does not say so".to_owned());
        }
        Ending::Completed | Ending::Cancelled | Ending::Either => {}
    }
    let last = events.last().and_then(|event| event["type"].as_str()).unwrap_or("nothing");
    if !cancelled && last != "completed" {
        violations.push(format!("W19: the last event is {last}"));
    }
    for step in steps {
        let completed =
            told.attempts.iter().filter(|((of, _), ended)| of == step && **ended == Ended::Completed);
        match completed.count() {
            1 => {}
            0 if cancelled => {}
            count => violations.push(format!("W7: step {step} is completed {count} times")),
        }
    }
    for ((step, attempt), ended) in &told.attempts {
        // What a cancel cuts off has no outcome that counts.
        if *ended == Ended::Open && !cancelled {
            violations.push(format!("W4: {step}#{attempt} has no outcome though the execution is over"));
        }
    }
    let violations = violations.into_iter().map(|text| format!("{id}: {text}")).collect();
    (told, violations)
}

fn check_order(events: &[Value], violations: &mut Vec<String>) {
    for (place, event) in events.iter().enumerate() {
        if event["version"].as_u64() != Some(place as u64 + 1) {
            violations.push(format!("W2: event {} has version {}", place + 1, event["version"]));
        }
    }
    for pair in events.windows(2) {
        // Times of one form compare as text.
        if pair[0]["at"].as_str() > pair[1]["at"].as_str() {
            violations.push(format!("W2: time runs back from {} to {}", pair[0]["at"], pair[1]["at"]));
        }
    }
    let kind = |event: Option<&Value>| {
        event.and_then(|event| event["type"].as_str()).unwrap_or("nothing").to_owned()
    };
    if kind(events.first()) != "created" {
        violations.push(format!("W2: the first event is {}", kind(events.first())));
    }
}

/// W8: no wait ends before its time.
fn check_waits(events: &[Value], violations: &mut Vec<String>) {
    let mut until: BTreeMap<&str, &str> = BTreeMap::new();
    for event in events {
        let (Some(step), Some(kind)) = (event["step_id"].as_str(), event["type"].as_str()) else { continue };
        match kind {
            "step_waiting" => drop(until.insert(step, event["until"].as_str().unwrap_or_default())),
            "step_completed" if until.get(step).is_some_and(|until| event["at"].as_str() < Some(until)) => {
                violations
                    .push(format!("W8: {step} waits until {} and ends at {}", until[step], event["at"]));
            }
            _ => {}
        }
    }
}

impl Told {
    fn hear(&mut self, event: &Value, violations: &mut Vec<String>) {
        let step = event["step_id"].as_str().unwrap_or_default().to_owned();
        let number = event["attempt"].as_u64().unwrap_or(0);
        match event["type"].as_str() {
            Some("attempt_started") => self.start(step, number, violations),
            Some("attempt_completed") => self.end(step, number, Ended::Completed, violations),
            Some("attempt_failed") => {
                let lost = event["error"]["code"] == "node_lost";
                self.lost += usize::from(lost);
                self.end(step, number, if lost { Ended::Lost } else { Ended::Failed }, violations);
            }
            Some("cancelled") => self.cancelled = true,
            // Somebody wanted it to go on after all.
            Some("retried") => self.cancelled = false,
            _ => {}
        }
    }

    fn start(&mut self, step: String, number: u64, violations: &mut Vec<String>) {
        self.started += 1;
        if self.cancelled {
            violations.push(format!("W11: {step}#{number} starts though the execution is cancelled"));
        }
        let before: Vec<_> = self.attempts.iter().filter(|((of, _), _)| *of == step).collect();
        if before.iter().any(|(_, ended)| **ended == Ended::Completed) {
            violations.push(format!("W7: {step}#{number} starts though {step} is completed"));
        }
        if before.iter().any(|(_, ended)| **ended == Ended::Open) {
            violations.push(format!("W4: {step}#{number} starts while another attempt is in flight"));
        }
        if self.attempts.insert((step.clone(), number), Ended::Open).is_some() {
            violations.push(format!("W4: {step}#{number} starts twice"));
        }
    }

    fn end(&mut self, step: String, number: u64, ended: Ended, violations: &mut Vec<String>) {
        match self.attempts.insert((step.clone(), number), ended) {
            Some(Ended::Open) => {}
            None => violations.push(format!("W4: {step}#{number} ends and was never started")),
            Some(before) => violations.push(format!("W4: {step}#{number} ends twice: {before:?}, {ended:?}")),
        }
    }

    /// Compares with the outside record; every violation found.
    pub(crate) fn compare(&self, id: &str, effects: &Effects) -> Vec<String> {
        let mut violations = Vec::new();
        let ours = effects.iter().filter(|(attempt, _)| attempt.execution == id);
        for (Attempt { step, attempt, .. }, count) in ours {
            if !self.attempts.contains_key(&(step.clone(), *attempt)) {
                violations.push(format!("{id}: W6: {step}#{attempt} happened and was never started"));
            }
            if *count > 1 {
                violations.push(format!("{id}: W6: {step}#{attempt} happened {count} times"));
            }
        }
        for ((step, attempt), ended) in &self.attempts {
            let key = Attempt { execution: id.to_owned(), step: step.clone(), attempt: *attempt };
            if *ended == Ended::Completed && !effects.contains_key(&key) {
                violations.push(format!("{id}: W6: {step}#{attempt} is completed and never happened"));
            }
        }
        violations
    }
}

/// Whether what was read earlier is how the later history begins.
pub(crate) fn extends(id: &str, earlier: &[Value], later: &[Value]) -> Option<String> {
    if later.starts_with(earlier) {
        return None;
    }
    let place = earlier.iter().zip(later).position(|(a, b)| a != b).unwrap_or(later.len());
    let (was, is) = (earlier.get(place), later.get(place));
    Some(format!("{id}: W2: event {} was read as {was:?} and is now {is:?}", place + 1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn numbered(events: &[Value]) -> Vec<Value> {
        let number = |(place, event): (usize, &Value)| {
            let mut event = event.clone();
            event["version"] = json!(place + 1);
            event["at"] = json!(format!("2026-01-01T00:00:{place:02}Z"));
            event
        };
        events.iter().enumerate().map(number).collect()
    }

    fn started(attempt: u64) -> Value {
        json!({"type": "attempt_started", "step_id": "a", "attempt": attempt})
    }

    fn completed(attempt: u64) -> Value {
        json!({"type": "attempt_completed", "step_id": "a", "attempt": attempt})
    }

    fn lost(attempt: u64) -> Value {
        json!({"type": "attempt_failed", "step_id": "a", "attempt": attempt, "error": {"code": "node_lost"}})
    }

    fn violations(middle: &[Value]) -> Vec<String> {
        let events = [&[json!({"type": "created"})], middle, &[json!({"type": "completed"})]].concat();
        check("e", &numbered(&events), &["a".to_owned()]).1
    }

    #[test]
    fn a_lost_attempt_and_another_are_lawful() {
        let events = [started(1), lost(1), started(2), completed(2)];
        assert_eq!(violations(&events), Vec::<String>::new());
    }

    #[test]
    fn every_breach_is_found() {
        let breaches = [
            (vec![started(1), completed(1), started(2), completed(2)], "W7"),
            (vec![started(1), started(1), completed(1)], "W4"),
            (vec![started(1), started(2), completed(2)], "W4"),
            (vec![completed(1)], "W4"),
            (vec![started(1), completed(1), completed(1)], "W4"),
            (vec![started(1), lost(1)], "W7"),
        ];
        for (events, law) in breaches {
            let found = violations(&events);
            assert!(found.iter().any(|text| text.contains(law)), "{events:?} breaks {law}, found {found:?}");
        }
    }

    #[test]
    fn a_cancel_is_followed_by_no_start() {
        let cancelled = || json!({"type": "cancelled"});
        let of = |events: &[Value], ending| check_until("e", &numbered(events), &["a".to_owned()], ending).1;
        let good = [json!({"type": "created"}), started(1), cancelled()];
        assert_eq!(of(&good, Ending::Cancelled), Vec::<String>::new());
        assert_eq!(of(&good, Ending::Either), Vec::<String>::new());
        assert_eq!(of(&good, Ending::Completed).len(), 1);
        let late = [json!({"type": "created"}), cancelled(), started(1)];
        assert_eq!(of(&late, Ending::Cancelled).len(), 1);
        let lost = [json!({"type": "created"}), started(1), completed(1), json!({"type": "completed"})];
        assert_eq!(of(&lost, Ending::Cancelled).len(), 1);
    }

    #[test]
    fn a_wait_that_ends_early_is_found() {
        let wait = |until| json!({"type": "step_waiting", "step_id": "w", "until": until});
        let woken = || json!({"type": "step_completed", "step_id": "w"});
        let of = |until| {
            let events = [json!({"type": "created"}), wait(until), woken(), json!({"type": "completed"})];
            check("e", &numbered(&events), &[]).1.len()
        };
        assert_eq!(of("2026-01-01T00:00:02Z"), 0);
        assert_eq!(of("2026-01-01T00:00:03Z"), 1);
    }

    #[test]
    fn gaps_and_time_that_runs_back_are_found() {
        let mut events =
            numbered(&[json!({"type": "created"}), started(1), completed(1), json!({"type": "completed"})]);
        events.remove(1);
        assert!(check("e", &events, &[]).1.iter().any(|text| text.contains("has version")));
        let mut events = numbered(&[json!({"type": "created"}), json!({"type": "completed"})]);
        events[1]["at"] = json!("2025-01-01T00:00:00Z");
        assert!(check("e", &events, &[]).1.iter().any(|text| text.contains("time runs back")));
    }

    #[test]
    fn the_outside_record_is_compared_both_ways() {
        let told = check("e", &numbered(&[started(1), lost(1), started(2), completed(2)]), &[]).0;
        let attempt = |attempt| Attempt { execution: "e".to_owned(), step: "a".to_owned(), attempt };
        assert!(
            told.compare("e", &Effects::from([(attempt(2), 1)])).is_empty(),
            "a lost attempt may leave no line"
        );
        assert!(told.compare("e", &Effects::from([(attempt(1), 1), (attempt(2), 1)])).is_empty());
        let breaches = [
            Effects::from([(attempt(1), 1)]),
            Effects::from([(attempt(2), 2)]),
            Effects::from([(attempt(2), 1), (attempt(3), 1)]),
        ];
        for effects in breaches {
            assert_eq!(told.compare("e", &effects).len(), 1, "{effects:?}");
        }
    }

    #[test]
    fn what_was_read_stays_true() {
        let events = numbered(&[started(1), lost(1), started(2)]);
        assert_eq!(extends("e", &events[..2], &events), None);
        let mut changed = events.clone();
        changed[1] = completed(1);
        assert!(extends("e", &events[..2], &changed).is_some());
        assert!(extends("e", &events, &events[..2]).is_some());
    }
}
