//! What went wrong in a step, in the words a user can act on.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Payload;

/// A failed attempt, step or execution. The step and the attempt are where the fault is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// A stable word, such as `timeout` or `http_503`; see [`codes`].
    pub code: String,
    /// What happened, for a person.
    pub message: String,
    /// Whether another attempt may do better.
    pub retryable: bool,
    /// More, in JSON, such as a response's status and body.
    pub details: Option<Payload>,
}

impl Fault {
    /// A fault that another attempt may mend.
    pub fn retryable(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), retryable: true, details: None }
    }

    /// A fault that no other attempt can mend.
    pub fn fatal(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), retryable: false, details: None }
    }

    /// Length of its texts in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.code.len() + self.message.len() + self.details.as_ref().map_or(0, Payload::len)
    }

    /// The same with details.
    #[must_use]
    pub fn with_details(mut self, details: Payload) -> Self {
        self.details = Some(details);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// The codes that are not made from a number, as `http_503` and `exit_1` are.
pub mod codes {
    /// A deadline passed.
    pub const TIMEOUT: &str = "timeout";
    /// The node died, or lost leadership, between the start and the outcome.
    pub const NODE_LOST: &str = "node_lost";
    /// An expression could not be evaluated.
    pub const EXPRESSION: &str = "expression";
    /// A value does not match its schema or shape.
    pub const SCHEMA: &str = "schema";
    /// A policy of the node or the tenant forbids it.
    pub const REFUSED: &str = "refused";
    /// A credential is named that does not exist.
    pub const MISSING_CREDENTIALS: &str = "missing_credentials";
    /// The runner has no such action.
    pub const UNKNOWN_ACTION: &str = "unknown_action";
    /// A person cancelled it.
    pub const CANCELLED: &str = "cancelled";
    /// A limit of [`super::super::limits`] would be passed.
    pub const LIMIT: &str = "limit";
    /// A `logic` assertion did not hold.
    pub const ASSERTION: &str = "assertion";
    /// The process was killed by a signal.
    pub const KILLED: &str = "killed";
    /// A connection could not be made or broke.
    pub const CONNECTION: &str = "connection";
    /// The other end showed a certificate that is not trusted.
    pub const CERTIFICATE: &str = "certificate";
    /// The runner itself broke.
    pub const INTERNAL: &str = "internal";
}
