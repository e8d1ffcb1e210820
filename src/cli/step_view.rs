//! An execution told to a person, event by event: one line for each thing that happened to a step.

use std::collections::BTreeMap;
use std::time::Duration;

use everstep_sdk::WatchEvent;
use serde_json::Value;

use super::style::{Style, one_line};
use super::values::{between, show_duration, show_time};

/// Characters of an output that are shown beside its step.
const PREVIEW_CHARS: usize = 72;

/// What has been heard of an execution so far.
#[derive(Debug)]
pub(super) struct StepView {
    style: Style,
    /// When each step's attempt or wait began. Invariant: holds exactly the steps that are at work.
    began: BTreeMap<String, (String, u32)>,
}

impl StepView {
    pub(super) const fn new(style: Style) -> Self {
        Self { style, began: BTreeMap::new() }
    }

    /// What is going on now, in a few words; empty if nothing is.
    pub(super) fn now(&self) -> String {
        let steps: Vec<_> = self
            .began
            .iter()
            .map(|(step, (_, attempt))| match attempt {
                0 | 1 => one_line(step, 40),
                _ => format!("{} (attempt {attempt})", one_line(step, 40)),
            })
            .collect();
        steps.join(", ")
    }

    /// The line to show for an event; none if it says nothing to a person.
    pub(super) fn hear(&mut self, event: &WatchEvent) -> Option<String> {
        let step = event.step_id.clone().unwrap_or_default();
        let took = self.began.get(&step).and_then(|(began, _)| between(began, &event.at));
        match event.kind.as_str() {
            "attempt_started" => {
                self.began.insert(step, (event.at.clone(), event.attempt.unwrap_or(1)));
                return None;
            }
            "step_waiting" => {
                self.began.insert(step.clone(), (event.at.clone(), 1));
            }
            // `step_failed` comes next, and tells how long the attempt took.
            "attempt_failed" if event.body.get("next").is_some_and(|next| next == "exhausted") => {}
            _ => {
                self.began.remove(&step);
            }
        }
        self.line(event, &step, took)
    }

    fn line(&self, event: &WatchEvent, step: &str, took: Option<Duration>) -> Option<String> {
        let style = self.style;
        let word = |name: &str| event.body.get(name).and_then(Value::as_str).unwrap_or_default();
        let line = match event.kind.as_str() {
            "attempt_completed" | "step_completed" => {
                let preview = event.body.get("output").map(preview).unwrap_or_default();
                self.row(&style.good("✓"), step, took, &preview)
            }
            "attempt_failed" => {
                let attempt = event.attempt.unwrap_or_default();
                let next = match word("next") {
                    "backoff" => match between(&event.at, word("until")) {
                        Some(wait) => format!("; again in {}", show_duration(wait)),
                        None => "; again at once".to_owned(),
                    },
                    "uncertain" => "; nobody knows whether it happened: a person has to decide".to_owned(),
                    // `step_failed` comes next and says it all.
                    _ => return None,
                };
                let note = format!("attempt {attempt}: {}{next}", fault(event));
                self.row(&style.warm("↻"), step, took, &note)
            }
            "step_failed" => {
                let handled = match word("handling") {
                    "continue" => "; the execution goes on",
                    "goto" => "; handled",
                    _ => "",
                };
                self.row(&style.bad("✗"), step, took, &format!("{}{handled}", fault(event)))
            }
            "step_skipped" => self.row(&style.dim("–"), step, None, &format!("skipped: {}", word("reason"))),
            "step_cancelled" => self.row(&style.dim("–"), step, took, "cancelled"),
            "step_waiting" => {
                let until = word("until");
                let wait = between(&event.at, until).map(|wait| format!(" {},", show_duration(wait)));
                let note = format!("waits{} until {}", wait.unwrap_or_default(), show_time(until));
                self.row(&style.warm("…"), step, None, &note)
            }
            "outcome_ignored" => self.row(&style.dim("·"), step, None, "a late outcome does not count"),
            "paused" | "resumed" | "retried" => {
                let by = one_line(word("by"), 40);
                format!(
                    "{} {} by {by} {}",
                    style.warm("‖"),
                    event.kind,
                    one_line(word("reason"), PREVIEW_CHARS)
                )
            }
            _ => return None,
        };
        Some(line.trim_end().to_owned())
    }

    fn row(&self, mark: &str, step: &str, took: Option<Duration>, note: &str) -> String {
        let took = took.map(show_duration).unwrap_or_default();
        let took = self.style.dim(&format!("{took:>8}"));
        format!("{mark} {:<20} {took}  {note}", one_line(step, 40))
    }
}

/// What failed, in a line.
fn fault(event: &WatchEvent) -> String {
    let error = event.body.get("error").unwrap_or(&Value::Null);
    let (code, message) =
        (error["code"].as_str().unwrap_or("fault"), error["message"].as_str().unwrap_or_default());
    format!("{code}: {}", one_line(message, PREVIEW_CHARS))
}

/// The part of an output that a person looks for first, in a line.
pub(super) fn preview(output: &Value) -> String {
    let telling = match output {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(fields) => match (fields.get("stdout"), fields.get("status"), fields.get("body")) {
            (Some(Value::String(stdout)), _, _) => stdout.clone(),
            (_, Some(status), Some(Value::String(body))) => format!("{status} {body}"),
            (_, Some(status), Some(body)) => format!("{status} {body}"),
            _ => output.to_string(),
        },
        Value::Array(_) | Value::Bool(_) | Value::Number(_) => output.to_string(),
    };
    one_line(&telling, PREVIEW_CHARS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(events: &[Value]) -> Vec<String> {
        let mut view = StepView::new(Style::none());
        let events = events.iter().map(|event| serde_json::from_value::<WatchEvent>(event.clone()).unwrap());
        events.filter_map(|event| view.hear(&event)).collect()
    }

    #[test]
    fn a_retry_is_told_as_a_person_would() {
        let lines = told(&[
            json!({"type": "created", "at": "2026-01-01T00:00:00Z", "version": 1}),
            json!({"type": "attempt_started", "at": "2026-01-01T00:00:00Z", "step_id": "charge", "attempt": 1}),
            json!({"type": "attempt_failed", "at": "2026-01-01T00:00:00.012Z", "step_id": "charge", "attempt": 1,
                   "error": {"code": "exit_1", "message": "card\ndeclined"}, "next": "backoff",
                   "until": "2026-01-01T00:00:00.512Z"}),
            json!({"type": "attempt_started", "at": "2026-01-01T00:00:01Z", "step_id": "charge", "attempt": 2}),
            json!({"type": "attempt_completed", "at": "2026-01-01T00:00:03Z", "step_id": "charge", "attempt": 2,
                   "output": {"stdout": "paid ☺\n", "exit_code": 0}}),
            json!({"type": "completed", "at": "2026-01-01T00:00:03Z"}),
        ]);
        assert_eq!(
            lines,
            [
                "↻ charge                  12 ms  attempt 1: exit_1: card declined; again in 500 ms",
                "✓ charge                  2.0 s  paid ☺",
            ]
        );
    }

    #[test]
    fn the_last_failure_is_told_once_with_its_time() {
        let error = json!({"code": "exit_3", "message": "no"});
        let lines = told(&[
            json!({"type": "attempt_started", "at": "2026-01-01T00:00:00Z", "step_id": "a", "attempt": 1}),
            json!({"type": "attempt_failed", "at": "2026-01-01T00:00:01.5Z", "step_id": "a", "attempt": 1,
                   "error": error, "next": "exhausted"}),
            json!({"type": "step_failed", "at": "2026-01-01T00:00:01.5Z", "step_id": "a", "error": error,
                   "handling": "continue"}),
            json!({"type": "step_waiting", "at": "2026-01-01T00:00:02Z", "step_id": "b",
                   "until": "2026-01-01T00:00:05Z"}),
        ]);
        let expected = [
            "✗ a                       1.5 s  exit_3: no; the execution goes on",
            "… b                              waits 3.0 s, until 2026-01-01 00:00:05",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_is_at_work_is_named() {
        let mut view = StepView::new(Style::none());
        let started =
            json!({"type": "attempt_started", "at": "2026-01-01T00:00:00Z", "step_id": "a", "attempt": 3});
        assert_eq!(view.hear(&serde_json::from_value(started).unwrap()), None);
        assert_eq!(view.now(), "a (attempt 3)");
    }

    #[test]
    fn previews_show_what_a_person_looks_for() {
        assert_eq!(preview(&json!({"stdout": "hi\n", "exit_code": 0})), "hi");
        assert_eq!(preview(&json!({"status": 200, "body": {"a": 1}, "headers": {}})), r#"200 {"a":1}"#);
        assert_eq!(preview(&json!([1, 2])), "[1,2]");
        assert_eq!(preview(&Value::Null), "");
    }
}
