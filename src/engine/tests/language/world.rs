//! Runners, a definition and an execution for the scripts to speak of.

use std::collections::BTreeMap;

use everstep_engine::definition::{RunnerCatalogue, RunnerShape, Spec};
use everstep_engine::expression::{Names, Scope};
use everstep_engine::model::{Execution, ExecutionId, Fault, Payload, Step, StepStatus, TenantId, Timestamp};

/// Runners as a node would offer them.
pub(crate) fn catalogue() -> RunnerCatalogue {
    let words = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
    let shape = |actions: &[&str], required: &[&str], known: &[&str]| RunnerShape {
        actions: words(actions),
        required: words(required),
        known: words(known),
        ..RunnerShape::default()
    };
    let runners = BTreeMap::from([
        ("noop".to_owned(), shape(&[], &[], &["value"])),
        ("shell".to_owned(), shape(&[], &[], &["command", "argv", "env", "stdin", "cwd"])),
        (
            "http".to_owned(),
            shape(
                &["request"],
                &["url"],
                &["url", "method", "headers", "query", "json", "body", "form", "credential", "expect"],
            ),
        ),
    ]);
    RunnerCatalogue { runners }
}

/// The definition the expressions of the scripts belong to.
pub(crate) const DEFINITION: &str = "
name: order
steps:
  - { id: charge, type: noop }
  - { id: my-step, type: noop }
  - { id: reserve, type: noop }
  - { id: ship, type: noop }
  - { id: tell, type: noop }
";

/// What was submitted.
const INPUT: &str = r#"{
  "amount": 1000, "price": 19.99, "name": "Ada", "email": "ada@example.com", "empty": "", "nothing": null,
  "flag": true, "big": 18446744073709551615, "when": "2026-01-31T09:00:00Z", "hyphened-name": 7,
  "items": [{"sku": "a", "n": 2}, {"sku": "b", "n": 5}, {"sku": "c", "n": 1}],
  "numbers": [3, 1, 2.5], "labels": {"zone": "eu", "tier": "gold"}, "unicode": "naïve 🚀"
}"#;

/// An execution in the middle of its life.
pub(crate) struct World {
    pub(crate) spec: Spec,
    pub(crate) execution: Execution,
}

impl World {
    pub(crate) fn new() -> Self {
        let spec = Spec::parse(DEFINITION, &catalogue()).unwrap().spec;
        let payload = |text: &str| Payload::from_text(text).unwrap();
        let id = ExecutionId::new(1_767_225_600_000, 7, 42);
        let mut execution = Execution::unborn(id, TenantId::new("default").unwrap());
        execution.input = payload(INPUT);
        execution.workflow_version = 3;
        execution.started_at = Some(Timestamp::from_micros(1_767_225_600_000_000));
        execution.steps = vec![Step::PENDING; 5];
        let completed = |output: &str| Step {
            status: StepStatus::Completed,
            attempt: 1,
            output: Some(payload(output)),
            ..Step::PENDING
        };
        execution.steps[0] = completed(r#"{"id": "ch_1", "body": {"paid": true}, "cents": 100000}"#);
        execution.steps[1] = completed(r#"{"x": 7, "list": [1, 2]}"#);
        execution.steps[2] = Step {
            status: StepStatus::Failed,
            attempt: 2,
            fault: Some(
                Fault::retryable("http_503", "try later").with_details(payload(r#"{"status": 503}"#)),
            ),
            ..Step::PENDING
        };
        execution.steps[3].status = StepStatus::Skipped;
        Self { spec, execution }
    }

    pub(crate) fn scope(&self) -> Scope<'_> {
        let now = Timestamp::from_micros(1_769_850_000_000_000);
        Scope { execution: &self.execution, spec: &self.spec, now, result: None }
    }

    pub(crate) fn names(&self) -> Names {
        Names::new(self.spec.steps.iter().map(|step| step.id.as_str()))
    }
}
