//! A definition after the check: what the engine runs.

use std::collections::BTreeMap;

use crate::expression::{Expression, Template};
use crate::model::{DefinitionStatus, Millis, SpecHash, StepId, StepIndex};

use super::Schema;

/// A checked, compiled definition. Immutable; shared by all its executions.
#[derive(Debug)]
pub struct Spec {
    /// The hash of its canonical text.
    pub hash: SpecHash,
    /// The workflow's name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Only active ones run.
    pub status: DefinitionStatus,
    /// Copied to each execution.
    pub labels: BTreeMap<String, String>,
    /// What the input has to look like.
    pub input: Option<Schema>,
    /// How long an execution may take.
    pub timeout: Option<Millis>,
    /// 0 low to 9 high; 5 unless given.
    pub priority: u8,
    /// In the order they are written. At least one.
    pub steps: Vec<StepSpec>,
    /// What an execution gives.
    pub output: Option<Template>,
}

/// One step of a definition.
#[derive(Debug)]
pub struct StepSpec {
    /// Unique in the definition.
    pub id: StepId,
    /// For people; the id unless given.
    pub name: String,
    /// What runs it.
    pub runner: String,
    /// Which of the runner's actions; empty for its first or only one.
    pub action: String,
    /// Whether it needs the world.
    pub kind: StepKind,
    /// What the runner gets.
    pub params: Template,
    /// What has to settle before it; earlier in the list or not, never a cycle.
    pub needs: Vec<StepIndex>,
    /// How many of its needs it waits for.
    pub join: Join,
    /// Otherwise it is skipped.
    pub when: Option<Expression>,
    /// How long an attempt may take.
    pub timeout: Option<Millis>,
    /// How often it is tried.
    pub retry: RetryPolicy,
    /// What happens when it is out of attempts.
    pub on_error: OnError,
    /// What a timeout of the last attempt means.
    pub on_timeout: OnTimeout,
    /// What the death of its node means.
    pub on_lost: OnLost,
    /// It runs only if one of these failed. They are among its needs, and their `on_error` jumps here.
    pub catches: Vec<StepIndex>,
    /// Reshapes what the runner answered.
    pub output: Option<Template>,
    /// For people.
    pub labels: BTreeMap<String, String>,
}

/// How a step is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// Computed within a decision.
    Pure(Pure),
    /// Sleeps durably; costs no attempt.
    Delay,
    /// A runner acts on the world.
    Effect,
}

/// The actions of `logic`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pure {
    /// `set`: the output is `params`, resolved.
    Set,
    /// `assert`: fails unless `params.that` is true; `params.message` says why.
    Assert,
    /// `switch`: the output is `{case, value}` of the first of `params.cases` (`{when, name, value}`) that holds, or of `params.default`.
    Switch,
    /// `transform`: the output is `params.value`.
    Transform,
    /// `merge`: the objects of `params.objects`, later ones winning.
    Merge,
}

/// How many of its needs a step waits for. Skipped ones count as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// All.
    All,
    /// The first.
    Any,
    /// So many.
    AtLeast(u16),
}

/// How often, and when, a failed attempt is tried again.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// In all, the first included; at least 1.
    pub attempts: u32,
    /// How the wait grows.
    pub backoff: Backoff,
    /// The first wait.
    pub initial: Millis,
    /// What an exponential wait is multiplied by, 1.0 or more.
    pub factor: f64,
    /// The longest wait, before jitter.
    pub max: Millis,
    /// Adds up to this fraction of the wait, 0.0 to 1.0; never shortens it.
    pub jitter: f64,
    /// Which faults are tried again; empty: those the runner calls retryable.
    pub on: Vec<Matcher>,
}

/// How the wait between attempts grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// Always `initial`.
    Fixed,
    /// `initial` times the number of failures.
    Linear,
    /// `initial` times `factor` for each failure after the first.
    Exponential,
}

/// Chooses faults by code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matcher {
    /// This code, such as `timeout`; `429` stands for `http_429`.
    Code(String),
    /// `4xx` or `5xx`: HTTP statuses of this hundred, which is 4 or 5.
    Hundred(u16),
    /// `*`: every fault.
    Any,
}

/// What happens when a step is out of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The execution fails.
    Fail,
    /// Its dependents go on.
    Continue,
    /// This step, which comes after it, starts; what lies between is skipped.
    Goto(StepIndex),
}

/// What a timeout of the last attempt means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTimeout {
    /// A fault like any other.
    Fail,
    /// As `on_error: continue`.
    Continue,
}

/// What the death of a step's node means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLost {
    /// Another attempt, which does not count against the policy.
    Retry,
    /// The step stops and asks.
    Uncertain,
}
