//! How executions, their logs, histories and explanations are shown to people.

use std::time::Duration;

use everstep_sdk::{Execution, Explanation, HistoryEvent, LogLine};

use super::super::output::{self, Show};
use super::super::step_view::preview;
use super::super::style::{Style, one_line};
use super::super::values::{between, show_duration, show_time};

impl Show for Execution {
    const COLUMNS: &'static [&'static str] = &["id", "workflow", "status", "created", "took", "step"];

    fn cells(&self, style: Style) -> Vec<String> {
        vec![
            self.id.clone(),
            one_line(&self.workflow_name, 40),
            style.status(self.status.as_str()),
            show_time(&self.created_at),
            took(self),
            one_line(&at_work(self), 40),
        ]
    }

    fn name(&self) -> String {
        self.id.clone()
    }

    fn whole(&self, style: Style) -> String {
        let labels: Vec<_> = self.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let error = self.error.as_ref().map(|error| {
            let step = error.step.as_deref().map(|step| format!(" in step {step}")).unwrap_or_default();
            one_line(&format!("{}{step}: {}", error.code, error.message), 400)
        });
        let result = self.result.as_ref();
        let mut results: Vec<_> = result
            .iter()
            .flat_map(|result| &result.results)
            .map(|(step, output)| format!("{}  {}", one_line(step, 40), preview(output)))
            .collect();
        results.sort();
        let version = self.workflow_version.map(|version| format!(" version {version}")).unwrap_or_default();
        output::pairs(&[
            ("id", self.id.clone()),
            ("workflow", one_line(&format!("{}{version}", self.workflow_name), 200)),
            ("workflow id", self.workflow_id.clone().unwrap_or_default()),
            ("status", style.status(self.status.as_str())),
            ("labels", one_line(&labels.join(" "), 200)),
            ("created", show_time(&self.created_at)),
            ("started", self.started_at.as_deref().map(show_time).unwrap_or_default()),
            ("finished", self.finished_at.as_deref().map(show_time).unwrap_or_default()),
            ("took", took(self)),
            ("at work", one_line(&at_work(self), 200)),
            ("input", self.input.as_ref().map(preview).unwrap_or_default()),
            ("results", results.join("\n")),
            ("output", result.and_then(|result| result.output.as_ref()).map(preview).unwrap_or_default()),
            ("error", error.unwrap_or_default()),
            ("can be", self.allowed_actions.join(" ")),
        ])
    }
}

fn took(execution: &Execution) -> String {
    let finished = execution.finished_at.as_deref();
    finished.and_then(|end| between(&execution.created_at, end)).map(show_duration).unwrap_or_default()
}

fn at_work(execution: &Execution) -> String {
    let steps = execution.current_steps.iter().map(|step| {
        let id = step["step_id"].as_str().or(step.as_str()).unwrap_or_default();
        match step["status"].as_str() {
            None | Some("running") => id.to_owned(),
            Some(status) => format!("{id} ({status})"),
        }
    });
    steps.collect::<Vec<_>>().join(", ")
}

impl Show for LogLine {
    const COLUMNS: &'static [&'static str] = &["time", "step", "type", "attempt", "status", "took", "output"];

    fn cells(&self, style: Style) -> Vec<String> {
        let took = self.duration_ms.and_then(|ms| Duration::try_from_secs_f64(ms / 1_000.0).ok());
        let told = match &self.error_message {
            Some(message) => one_line(message, 72),
            None => preview(&self.output),
        };
        vec![
            self.timestamp.as_deref().map(show_time).unwrap_or_default(),
            one_line(&self.step_id, 40),
            one_line(&self.step_type, 20),
            self.attempt.to_string(),
            style.status(&self.status),
            took.map(show_duration).unwrap_or_default(),
            told,
        ]
    }

    fn name(&self) -> String {
        format!("{}#{}", self.step_id, self.attempt)
    }
}

impl Show for HistoryEvent {
    const COLUMNS: &'static [&'static str] = &["version", "time", "event", "step", "attempt", "what"];

    fn cells(&self, _style: Style) -> Vec<String> {
        let body = |name: &str| self.body.get(name).filter(|value| !value.is_null());
        let what = match (body("error"), body("output"), body("reason").or_else(|| body("until"))) {
            (Some(error), _, _) => {
                let text = |name: &str| error[name].as_str().unwrap_or_default();
                one_line(&format!("{}: {}", text("code"), text("message")), 72)
            }
            (_, Some(output), _) => preview(output),
            (_, _, Some(reason)) => preview(reason),
            _ => body("params").or_else(|| body("input")).map(preview).unwrap_or_default(),
        };
        vec![
            self.version.to_string(),
            self.at.clone(),
            self.kind.clone(),
            one_line(self.step_id.as_deref().unwrap_or_default(), 40),
            self.attempt.map(|attempt| attempt.to_string()).unwrap_or_default(),
            what,
        ]
    }

    fn name(&self) -> String {
        self.version.to_string()
    }
}

impl Show for Explanation {
    const COLUMNS: &'static [&'static str] = &["status"];

    fn cells(&self, style: Style) -> Vec<String> {
        vec![style.status(self.status.as_str())]
    }

    fn name(&self) -> String {
        self.reasons.iter().map(|reason| reason.code.clone()).collect::<Vec<_>>().join("\n")
    }

    fn whole(&self, style: Style) -> String {
        let mut lines = vec![style.status(self.status.as_str())];
        for reason in &self.reasons {
            let step =
                reason.step.as_deref().map(|step| format!("{}: ", one_line(step, 40))).unwrap_or_default();
            let until = reason.until.as_deref().map(|until| format!(" (until {})", show_time(until)));
            let until = until.unwrap_or_default();
            lines.push(format!("  {step}{}{until}  [{}]", one_line(&reason.message, 400), reason.code));
        }
        if self.reasons.is_empty() && !self.status.is_finished() {
            lines.push("  it waits for nothing; it is on its way".to_owned());
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_is_shown_with_what_is_known() {
        let document = serde_json::json!({
            "id": "e1", "workflow_name": "greet", "status": "completed", "workflow_id": null,
            "created_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:00.250Z",
            "result": {"results": {"hello": {"stdout": "hi\n"}}, "output": null},
        });
        let execution: Execution = serde_json::from_value(document).unwrap();
        let shown = execution.whole(Style::none());
        assert!(shown.contains("took      250 ms"), "{shown}");
        assert!(shown.contains("results   hello  hi"), "{shown}");
        assert!(!shown.contains("error"), "{shown}");
    }

    #[test]
    fn an_event_is_shown_by_what_matters_most() {
        let document = serde_json::json!({
            "version": 3, "type": "attempt_failed", "at": "t", "step_id": "a", "attempt": 1,
            "error": {"code": "exit_1", "message": "no"}, "next": "exhausted",
        });
        let event: HistoryEvent = serde_json::from_value(document).unwrap();
        assert_eq!(event.cells(Style::none()), ["3", "t", "attempt_failed", "a", "1", "exit_1: no"]);
        assert_eq!(event.body["next"], "exhausted");
    }
}
