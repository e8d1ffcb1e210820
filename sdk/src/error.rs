//! Why a call has no answer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server understood and said no.
    #[error("{}", .0.summary())]
    Problem(Box<Problem>),
    /// Nothing answers at this address; the server never got the call.
    #[error("reach {address}")]
    Unreachable {
        /// The server's address.
        address: String,
        /// What the network said.
        #[source]
        source: reqwest::Error,
    },
    /// The call was sent and no answer came. Its outcome is unknown.
    #[error("wait for an answer from {address}: the outcome is unknown")]
    TimedOut {
        /// The server's address.
        address: String,
    },
    /// The connection broke after the call was sent. Its outcome is unknown.
    #[error("hear the answer of {address}: the outcome is unknown")]
    Broken {
        /// The server's address.
        address: String,
        /// What the network said.
        #[source]
        source: reqwest::Error,
    },
    /// The answer is not what this client expects: not an Everstep server, or a much newer one.
    #[error("understand the answer of {address}: {reason}")]
    Malformed {
        /// The server's address.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The client cannot be set up like this.
    #[error("set up the client: {reason}")]
    Setup {
        /// What is wrong.
        reason: String,
    },
}

/// A refusal: an RFC 9457 problem document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Problem {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem, for a person.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A stable word for programs.
    pub code: String,
    /// What happened this time.
    pub detail: String,
    /// RFC 6901 pointer to the wrong field, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Everything wrong with a definition or an input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Finding>,
    /// Quote it when asking for help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// How long to wait before asking again, in seconds, from the `Retry-After` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// What this version of the client does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One thing wrong with a definition or an input.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Finding {
    /// RFC 6901 pointer to the place.
    pub pointer: String,
    /// A stable word.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Line in the text, from 1, where the text was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column in the text, from 1, where the text was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
}

impl Problem {
    /// One line: the detail, or the title where there is none.
    #[must_use]
    pub fn summary(&self) -> &str {
        match (self.detail.is_empty(), self.title.is_empty()) {
            (false, _) => &self.detail,
            (true, false) => &self.title,
            (true, true) => "the server refused without a reason",
        }
    }
}

impl Error {
    /// The refusal, if it is one.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// A stable word: the server's code, or `unreachable`, `timed_out`, `broken`, `malformed`, `setup`.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Problem(problem) => &problem.code,
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timed_out",
            Self::Broken { .. } => "broken",
            Self::Malformed { .. } => "malformed",
            Self::Setup { .. } => "setup",
        }
    }

    /// The HTTP status of a refusal.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.problem().map(|problem| problem.status)
    }

    /// RFC 6901 pointer to the wrong field.
    #[must_use]
    pub fn pointer(&self) -> Option<&str> {
        self.problem().and_then(|problem| problem.pointer.as_deref())
    }

    /// Quote it when asking for help.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        self.problem().and_then(|problem| problem.trace_id.as_deref())
    }

    /// The object does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Nobody could answer now; asking later may help.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Problem(problem) => matches!(problem.status, 429 | 502 | 503 | 504 | 507),
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Broken { .. } => true,
            Self::Malformed { .. } | Self::Setup { .. } => false,
        }
    }
}
