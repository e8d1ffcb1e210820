//! The workflow language: from text to a checked, compiled [`Spec`].
mod finding;
mod schema;
mod spec;

pub use finding::Finding;
pub use schema::Schema;
pub use spec::{
    Backoff, Join, Matcher, OnError, OnLost, OnTimeout, Pure, RetryPolicy, Spec, StepKind, StepSpec,
};

use crate::model::SpecHash;
use std::collections::BTreeMap;

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
}

/// A definition that passed the check.
#[derive(Debug)]
pub struct Parsed {
    /// Compiled.
    pub spec: Spec,
    /// Its text as canonical compact JSON: what is stored and hashed.
    pub canonical: String,
}

impl Spec {
    /// Checks a JSON or YAML text as a whole.
    pub fn parse(_text: &str, _catalogue: &RunnerCatalogue) -> Result<Parsed, Vec<Finding>> {
        Err(Vec::new())
    }
    /// Compiles a canonical text that was accepted before.
    pub fn load(_canonical: &str) -> Result<Self, Vec<Finding>> {
        Err(Vec::new())
    }
    /// The hash of a canonical text.
    #[must_use]
    pub fn hash_of(_canonical: &str) -> SpecHash {
        SpecHash([0; 32])
    }
}
