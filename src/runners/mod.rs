//! Floor 4: built-in ways to execute an attempt.
//!
//! A runner turns one [`Attempt`] into one [`Outcome`]: resolved parameters in, an output or a [`Fault`]
//! out. It holds no truth. What it is asked to do has been committed before it is asked, and what it
//! answers is recorded by whoever asked, so a runner may be dropped, repeated or killed at any instant.
//!
//! - [`Registry`] holds the runners by name, tells the definition check what they accept, and runs
//!   attempts so that a panic or an oversized output of one of them is an ordinary fault.
//! - `shell` starts processes, `http` and `webhook` call URLs through the guarded client of `egress`,
//!   `noop` answers what it was given. `logic` and `delay` are computed by the engine; only their shapes
//!   stand here, so that one catalogue names everything a step can be.
//!
//! Adding one is a file that implements [`Runner`] and a line in [`Registry::new`]; `docs/runners.md`
//! walks through it.
//!
//! Caveat: an attempt is at least once. Every effect carries [`Attempt::idempotency_key`], which stays
//! the same over all attempts of a step, so that the other side can tell a repeat from a new wish.

mod egress;
mod fit;
mod http;
mod noop;
mod params;
mod pure;
mod registry;
mod shell;
mod webhook;
mod written;

#[cfg(test)]
mod testing;

use std::future::Future;
use std::pin::Pin;

use crate::engine::definition::RunnerShape;
use crate::engine::model::{AttemptNumber, ExecutionId, Fault, Payload, TenantId, Timestamp};

pub use egress::HttpSettings;
#[cfg(any(test, feature = "fuzzing"))]
pub use egress::rubbish::admit as admit_rubbish;
pub use registry::{Error, Registry, Settings};
pub use shell::{ShellLimits, ShellSettings};

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
