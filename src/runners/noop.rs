//! `noop`: an effect that does nothing and answers its `value`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Attempt, Outcome, Runner, Running, params};
use crate::engine::definition::RunnerShape;
use crate::engine::model::Payload;

/// Recorded like any effect, so benchmarks and tests measure the record and nothing else.
pub(super) struct Noop;

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

impl Runner for Noop {
    fn name(&self) -> &'static str {
        "noop"
    }

    fn shape(&self) -> RunnerShape {
        RunnerShape { known: params::names(&["value", "timeout"]), ..RunnerShape::default() }
    }

    fn run<'a>(&'a self, attempt: &'a Attempt) -> Running<'a> {
        Box::pin(std::future::ready(answer(attempt)))
    }
}

fn answer(attempt: &Attempt) -> Outcome {
    let Params { value } = params::decode(&attempt.params)?;
    match value {
        None => Ok(Payload::null()),
        Some(raw) => Payload::from_text(raw.get()).map_err(|error| params::unreadable(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::super::testing::{attempt, registry};
    use serde_json::json;

    #[tokio::test]
    async fn answers_its_value() {
        let registry = registry(Settings::default());
        for (params, expected) in [
            (json!({"value": {"a": [1, "ü"]}}), r#"{"a":[1,"ü"]}"#),
            (json!({"value": null}), "null"),
            (json!({}), "null"),
            (json!(null), "null"),
        ] {
            let output = registry.run(&attempt(params), "noop").await.expect("noop cannot fail");
            assert_eq!(output.as_str(), expected);
        }
    }
}
