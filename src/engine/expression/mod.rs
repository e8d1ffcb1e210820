//! `${ … }`: CEL over an execution's values.

use serde_json::Value;

use crate::definition::Spec;
use crate::model::{Execution, Fault, Payload, Timestamp};

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {}

/// A JSON document with expressions in its strings, compiled.
#[derive(Debug)]
pub struct Template {}

/// What an expression may see. Payloads are parsed only when looked at.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The execution.
    pub execution: &'a Execution,
    /// Its definition.
    pub spec: &'a Spec,
    /// The recorded time of the decision.
    pub now: Timestamp,
    /// In a step's `output`: the step's position and what its runner answered.
    pub result: Option<(crate::model::StepIndex, &'a Payload)>,
}

impl Expression {
    /// Evaluates.
    pub fn evaluate(&self, _scope: &Scope<'_>) -> Result<Value, Fault> {
        Ok(Value::Null)
    }
    /// Evaluates to a boolean; anything else is a fault.
    pub fn truth(&self, _scope: &Scope<'_>) -> Result<bool, Fault> {
        Ok(true)
    }
}

impl Template {
    /// Evaluates every expression in it. A constant one is returned as it is.
    pub fn resolve(&self, _scope: &Scope<'_>) -> Result<Payload, Fault> {
        Ok(Payload::null())
    }
}
