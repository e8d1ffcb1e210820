//! The runners of a node, by name.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;

use super::egress::{Egress, HttpSettings};
use super::shell::{Shell, ShellSettings};
use super::{Attempt, Outcome, Runner, fit, http::Http, noop::Noop, pure, webhook::Webhook};
use crate::engine::definition::RunnerCatalogue;
use crate::engine::model::limits::PAYLOAD_BYTES_MAX;
use crate::engine::model::{Fault, Payload, codes};
use crate::world::Clock;

/// What a node lets its runners do. The default forbids what can be forbidden.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Of `shell`.
    pub shell: ShellSettings,
    /// Of `http` and `webhook`.
    pub http: HttpSettings,
}

/// Why the runners of a node could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory for shell steps cannot be made or emptied.
    #[error("prepare the working directory of shell steps at {path}")]
    WorkDir {
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The certificate authorities for requests cannot be read.
    #[error("read the certificate authorities at {path} (http.authority): {reason}")]
    Authority {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A sandbox is required and this system has none.
    #[error("a sandbox is required for shell steps (require_sandbox) and cannot be had: {reason}")]
    Sandbox {
        /// What is missing.
        reason: String,
    },
}

/// The runners of a node, by name. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    runners: BTreeMap<&'static str, Arc<dyn Runner>>,
}

impl Registry {
    /// All built-in runners.
    ///
    /// Touches the file system only if shell steps are enabled or authorities are named. Errors: [`Error::WorkDir`] and
    /// [`Error::Sandbox`], both only for shell steps; [`Error::Authority`].
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let egress = Arc::new(Egress::new(settings.http, clock)?);
        let empty = Self { runners: BTreeMap::new() };
        Ok(empty
            .with(Arc::new(Shell::new(settings.shell)?))
            .with(Arc::new(Http::new(Arc::clone(&egress))))
            .with(Arc::new(Webhook::new(egress)))
            .with(Arc::new(Noop)))
    }

    /// The same with one more runner, in place of any of that name.
    #[must_use]
    pub fn with(mut self, runner: Arc<dyn Runner>) -> Self {
        self.runners.insert(runner.name(), runner);
        self
    }

    /// The runner of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&dyn Runner> {
        self.runners.get(name).map(AsRef::as_ref)
    }

    /// What a definition may name: these runners, and what the engine computes itself.
    #[must_use]
    pub fn catalogue(&self) -> RunnerCatalogue {
        let own = self.runners.values().map(|runner| (runner.name().to_owned(), runner.shape()));
        RunnerCatalogue { runners: own.chain(pure::shapes()).collect() }
    }

    /// Runs one attempt with the runner of that name.
    ///
    /// Whatever the runner does, the answer is an outcome that can be recorded: an unknown name, a
    /// panic, and an output or details beyond the limits become faults.
    pub async fn run(&self, attempt: &Attempt, runner: &str) -> Outcome {
        let Some(runner) = self.runners.get(runner) else {
            let known = self.runners.keys().copied().collect::<Vec<_>>().join(", ");
            let message = format!("this node has no runner `{runner}`; it has {known}");
            return Err(Fault::fatal(codes::UNKNOWN_ACTION, message));
        };
        let outcome = AssertUnwindSafe(async { runner.run(attempt).await }).catch_unwind().await;
        match outcome {
            Ok(Ok(output)) => recordable(runner.name(), output),
            Ok(Err(fault)) => Err(shortened(fault)),
            Err(panic) => Err(broken(runner.name(), panic.as_ref())),
        }
    }
}

/// The output, if it is small and flat enough to be recorded.
fn recordable(runner: &str, output: Payload) -> Outcome {
    if output.len() > PAYLOAD_BYTES_MAX {
        let bytes = output.len();
        let message = format!("the output of `{runner}` has {bytes} bytes, the limit is {PAYLOAD_BYTES_MAX}");
        return Err(Fault::fatal(codes::LIMIT, message));
    }
    if !fit::shallow(output.as_str()) {
        let message =
            format!("the output of `{runner}` nests deeper than {} levels, the limit", fit::DEPTH_MAX);
        return Err(Fault::fatal(codes::LIMIT, message));
    }
    Ok(output)
}

/// The fault, without details too large to be recorded.
fn shortened(mut fault: Fault) -> Fault {
    fault.message = fit::cut(fault.message, fit::MESSAGE_BYTES_MAX);
    fault.details =
        fault.details.filter(|details| details.len() <= PAYLOAD_BYTES_MAX && fit::shallow(details.as_str()));
    fault
}

/// A panic is our mistake, not the user's; another attempt may escape it.
fn broken(runner: &str, panic: &(dyn std::any::Any + Send)) -> Fault {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message");
    tracing::error!(runner, panic = said, "a runner panicked");
    Fault::retryable(codes::INTERNAL, format!("the runner `{runner}` broke; the node's log says how"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{attempt, registry};
    use super::super::{Running, Settings};
    use super::*;
    use crate::engine::definition::RunnerShape;
    use serde_json::json;

    struct Rogue;

    impl Runner for Rogue {
        fn name(&self) -> &'static str {
            "noop"
        }
        fn shape(&self) -> RunnerShape {
            RunnerShape::default()
        }
        fn run<'a>(&'a self, attempt: &'a Attempt) -> Running<'a> {
            match attempt.action.as_str() {
                "panic early" => panic!("before the first await"),
                "panic" => Box::pin(async { panic!("within") }),
                "huge" => Box::pin(async { Ok(Payload::from_value(&json!("x".repeat(PAYLOAD_BYTES_MAX)))) }),
                "deep" => Box::pin(async {
                    Ok(Payload::from_text(&format!("{}{}", "[".repeat(120), "]".repeat(120)))
                        .expect("brackets that match are JSON"))
                }),
                _ => Box::pin(async {
                    let details = Payload::from_value(&json!("x".repeat(PAYLOAD_BYTES_MAX)));
                    Err(Fault::retryable("odd", "y".repeat(1 << 20)).with_details(details))
                }),
            }
        }
    }

    async fn code(action: &str) -> String {
        let registry = registry(Settings::default()).with(Arc::new(Rogue));
        let attempt = Attempt { action: action.into(), ..attempt(json!({})) };
        registry.run(&attempt, "noop").await.expect_err("each of these is a fault").code
    }

    #[tokio::test]
    async fn whatever_a_runner_does_the_outcome_can_be_recorded() {
        assert_eq!(code("panic early").await, "internal");
        assert_eq!(code("panic").await, "internal");
        assert_eq!(code("huge").await, "limit");
        assert_eq!(code("deep").await, "limit");
    }

    #[tokio::test]
    async fn a_fault_too_large_to_record_is_cut() {
        let registry = registry(Settings::default()).with(Arc::new(Rogue));
        let fault = registry.run(&attempt(json!({})), "noop").await.expect_err("it is a fault");
        assert_eq!(fault.details, None);
        assert!(fault.message.len() < 10_000, "the message is cut");
    }

    #[tokio::test]
    async fn an_unknown_runner_is_a_fault_that_names_the_known_ones() {
        let fault =
            registry(Settings::default()).run(&attempt(json!({})), "smtp").await.expect_err("no such runner");
        assert!(!fault.retryable);
        assert!(fault.message.contains("`smtp`") && fault.message.contains("http, noop, shell"), "{fault}");
    }

    #[test]
    fn the_catalogue_names_what_a_step_can_be() {
        let catalogue = registry(Settings::default()).catalogue();
        let names: Vec<_> = catalogue.runners.keys().map(String::as_str).collect();
        assert_eq!(names, ["delay", "http", "logic", "noop", "shell", "webhook"]);
        assert_eq!(catalogue.runners["webhook"].actions, ["post_request"]);
        assert_eq!(catalogue.runners["logic"].actions, ["set", "assert", "switch", "transform", "merge"]);
    }
}
