//! The workflow language: from text to a checked, compiled [`Spec`].
//!
//! JSON and YAML are one language; `json` and `yaml` read both into a `node` that knows the line and
//! column of everything. `compile` walks it and collects every [`Finding`] at once: `outline` gives the
//! steps their ids and `graph` their order, then each step is compiled against both, its expressions by
//! [`crate::expression`]. What is stored is not the compiled form but the canonical text, compact JSON
//! with sorted keys of what the user wrote, so that a later version can compile it anew.
//!
//! # Defaults
//! - `status` is `active`, `priority` 5, `id` of a step is `step<N>` with its position from 0, so that
//!   `steps.step0` and `steps.0` are the same step.
//! - A step without `needs` follows the one written before it; `needs: []` starts at once.
//! - A step without `retry` has one attempt. With one, what it leaves out is
//!   `{attempts: 3, backoff: exponential, initial: 1s, factor: 2, max: 1m, jitter: 0.1}`; `retry: 5`
//!   gives only the attempts. `on` left out means the faults a runner calls retryable.
//! - `catch: [a]` makes a step run only if `a` failed: `a` joins its needs and jumps to it.
//! - `timeout` among the parameters is the step's.
//!
//! # Codes of findings
//! `malformed`, `type`, `missing`, `value`, `duration`, `limit`, `unknown_field`, `duplicate_id`, `bad_id`,
//! `cycle`, `unknown_step`, `not_before` (a reference to a step that need not have run), `goto`,
//! `expression`, `schema`, `conflict`, `unknown_runner`, `unknown_action`, `missing_param`,
//! `unknown_param`, `bad_param` (a value that the runner would refuse at every attempt), and `unsupported` for what the language has and this version does not run.
//!
//! # Caveats
//! At most a hundred findings are reported. Keys of YAML maps are taken as strings, whatever they look
//! like; merge keys (`<<`) and tags beyond the core schema are not known. Aliases are copied, within a
//! budget. A key that comes twice is refused in JSON too.

mod check;
mod compile;
mod duration;
mod expansion;
mod finding;
mod graph;
mod json;
mod node;
mod outline;
mod retry;
mod runner;
mod schema;
mod spec;
mod yaml;

pub use duration::{NoDuration, duration_of};
pub use finding::{Finding, render};
pub use schema::Schema;
pub use spec::{
    Backoff, Join, Matcher, OnError, OnLost, OnTimeout, Pure, RetryPolicy, Spec, StepKind, StepSpec,
};

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::model::SpecHash;

use check::Findings;
use node::Node;

/// Which runners exist, so that a definition can be checked without knowing them.
#[derive(Debug, Clone, Default)]
pub struct RunnerCatalogue {
    /// By name.
    pub runners: BTreeMap<String, RunnerShape>,
}

/// What a definition may ask of a runner.
#[derive(Debug, Clone, Default)]
pub struct RunnerShape {
    /// Its actions; the first is the default. Empty: it has only one, without a name.
    pub actions: Vec<String>,
    /// Parameters that must be there.
    pub required: Vec<String>,
    /// All parameters it knows; empty: any.
    pub known: Vec<String>,
    /// Says what is wrong with parameters whatever their expressions will give.
    pub check: Option<ParamsCheck>,
}

/// Looks at parameters as they are written, an object, before anything runs. A string with `${` in it
/// stands for any value.
pub type ParamsCheck = fn(&serde_json::Value) -> Vec<Misfit>;

/// What is wrong with parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// RFC 6901 pointer from the parameters.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

/// A definition that passed the check.
#[derive(Debug)]
pub struct Parsed {
    /// Compiled.
    pub spec: Spec,
    /// Its text as canonical compact JSON: what is stored and hashed.
    pub canonical: String,
}

/// Findings that do not keep a text from running that was accepted before: rules that a newer version
/// may have added, and runners that may have gone, which their steps will say themselves.
const LENIENT: [&str; 6] =
    ["unknown_field", "unknown_runner", "unknown_action", "missing_param", "unknown_param", "limit"];

impl Spec {
    /// Checks a JSON or YAML text as a whole. Errors: every finding, in the order of the text.
    pub fn parse(text: &str, catalogue: &RunnerCatalogue) -> Result<Parsed, Vec<Finding>> {
        let root = Node::read(text).map_err(malformed)?;
        let canonical = root.canonical();
        let mut findings = Findings::default();
        let spec = compile::compile(&root, Self::hash_of(&canonical), Some(catalogue), &mut findings);
        let findings = findings.finish();
        match spec {
            Some(spec) if findings.is_empty() => Ok(Parsed { spec, canonical }),
            _ => {
                assert!(!findings.is_empty(), "a definition without findings compiles");
                Err(findings)
            }
        }
    }

    /// Compiles a canonical text that was accepted before, whatever runners exist now.
    ///
    /// Errors: what keeps it from running.
    pub fn load(canonical: &str) -> Result<Self, Vec<Finding>> {
        let root = Node::read(canonical).map_err(malformed)?;
        let mut findings = Findings::ignoring(&LENIENT);
        let spec = compile::compile(&root, Self::hash_of(canonical), None, &mut findings);
        let findings = findings.finish();
        spec.filter(|_| findings.is_empty()).ok_or(findings)
    }

    /// The hash of a canonical text.
    #[must_use]
    pub fn hash_of(canonical: &str) -> SpecHash {
        SpecHash(Sha256::digest(canonical.as_bytes()).into())
    }
}

fn malformed(malformed: node::Malformed) -> Vec<Finding> {
    let node::Malformed { place, message } = malformed;
    vec![Finding {
        pointer: String::new(),
        code: "malformed",
        message,
        hint: None,
        line: Some(place.line),
        column: Some(place.column),
    }]
}
