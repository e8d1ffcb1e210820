//! Floor 4: built-in ways to execute an attempt.

use std::future::Future;
use std::pin::Pin;

use crate::engine::definition::RunnerShape;
use crate::engine::model::{AttemptNumber, ExecutionId, Fault, Payload, TenantId, Timestamp};

/// One attempt, ready to run: its start is committed.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Whose.
    pub tenant: TenantId,
    /// Which execution.
    pub execution: ExecutionId,
    /// Which step, by id.
    pub step: String,
    /// From 1.
    pub attempt: AttemptNumber,
    /// The runner's action; empty for its only one.
    pub action: String,
    /// Resolved parameters.
    pub params: Payload,
    /// When the caller gives up; it drops the future then.
    pub deadline: Option<Timestamp>,
}

impl Attempt {
    /// The key that stays the same over all attempts of a step: `execution/step`.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        format!("{}/{}", self.execution, self.step)
    }
}

/// What a runner returns: its output or its fault.
pub type Outcome = Result<Payload, Fault>;

/// A boxed attempt in flight. Dropping it cancels the attempt and everything it started.
pub type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// A built-in way to execute an attempt.
pub trait Runner: Send + Sync + 'static {
    /// The name users write as `type` or `provider`.
    fn name(&self) -> &'static str;
    /// What a definition may ask of it.
    fn shape(&self) -> RunnerShape;
    /// Runs one attempt. Dropping the future cancels it.
    fn run<'a>(&'a self, attempt: &'a Attempt) -> Running<'a>;
}

/// stub
#[derive(Debug)]
pub struct Registry {}
impl Registry {
    /// stub
    pub fn catalogue(&self) -> crate::engine::definition::RunnerCatalogue { Default::default() }
    /// stub
    pub async fn run(&self, _attempt: &Attempt, _runner: &str) -> Outcome { Ok(Payload::null()) }
}
