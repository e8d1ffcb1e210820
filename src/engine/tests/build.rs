//! Definitions built by hand, for tests that draw them at random.

use std::collections::BTreeMap;

use crate::definition::{Backoff, Join, OnError, OnLost, OnTimeout, RetryPolicy, Spec, StepKind, StepSpec};
use crate::expression::{Names, Template};
use crate::model::{DefinitionStatus, Millis, SpecHash, StepId, StepIndex};

/// An effect with a single attempt.
pub(super) fn step(position: usize, needs: Vec<StepIndex>) -> StepSpec {
    StepSpec {
        id: StepId::new(&format!("s{position}")),
        name: format!("s{position}"),
        runner: "noop".into(),
        action: String::new(),
        kind: StepKind::Effect,
        params: template("{}"),
        needs,
        join: Join::All,
        when: None,
        timeout: None,
        retry: attempts(1),
        on_error: OnError::Fail,
        on_timeout: OnTimeout::Fail,
        on_lost: OnLost::Retry,
        catches: Vec::new(),
        output: None,
        labels: BTreeMap::new(),
    }
}

/// So many attempts, a second apart.
pub(super) fn attempts(attempts: u32) -> RetryPolicy {
    RetryPolicy {
        attempts,
        backoff: Backoff::Fixed,
        initial: Millis(1_000),
        factor: 1.0,
        max: Millis(60_000),
        jitter: 0.0,
        on: Vec::new(),
    }
}

/// A template without references to steps.
pub(super) fn template(text: &str) -> Template {
    Template::compile(&serde_json::from_str(text).unwrap(), &Names::default()).unwrap()
}

/// A definition of these steps.
pub(super) fn spec(steps: Vec<StepSpec>) -> Spec {
    Spec {
        hash: SpecHash([7; 32]),
        name: "drawn".into(),
        description: String::new(),
        status: DefinitionStatus::Active,
        labels: BTreeMap::new(),
        input: None,
        timeout: None,
        priority: 5,
        steps,
        output: None,
    }
}
