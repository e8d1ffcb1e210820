//! A lawful no: the caller is wrong, nothing has changed.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Action, AttemptNumber, ExecutionId, Status, StepKey};

/// Why a wish was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum Rejection {
    /// No such execution for this tenant.
    #[error("there is no execution {id}")]
    ExecutionNotFound {
        /// The id asked for.
        id: ExecutionId,
    },
    /// It was created before.
    #[error("execution {id} exists already")]
    ExecutionExists {
        /// The id.
        id: ExecutionId,
    },
    /// The status forbids it.
    #[error("cannot {action} an execution that is {status}")]
    NotAllowed {
        /// What was asked.
        action: Action,
        /// Where the execution stands.
        status: Status,
    },
    /// A retry found nothing to run again.
    #[error("nothing has failed in this execution; retry from the start instead")]
    NothingToRetry,
    /// An outcome speaks of an attempt that was never started.
    #[error("attempt {attempt} of step {step} was never started", step = step.index.0)]
    AttemptNotFound {
        /// Which step.
        step: StepKey,
        /// Which attempt.
        attempt: AttemptNumber,
    },
    /// The input does not match the definition's schema.
    #[error("the input does not match the workflow's schema: {}", summary(.mistakes))]
    InvalidInput {
        /// What is wrong with it, at least one and at most [`super::limits::INPUT_MISTAKES_MAX`].
        mistakes: Vec<InputMistake>,
    },
    /// Only active definitions run.
    #[error("workflow `{name}` is {status}, and only active workflows run; set its status to active")]
    NotActive {
        /// The definition's name.
        name: String,
        /// Its status.
        status: super::DefinitionStatus,
    },
    /// A limit would be passed.
    #[error("{what} would pass the limit of {limit}")]
    Limit {
        /// What is too much.
        what: String,
        /// The limit, with its unit.
        limit: String,
    },
}

/// One thing that is wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputMistake {
    /// JSON pointer into the input.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

fn summary(mistakes: &[InputMistake]) -> String {
    match mistakes {
        [] => String::new(),
        [only] => only.message.clone(),
        [first, rest @ ..] => format!("{} (and {} more)", first.message, rest.len()),
    }
}

impl Rejection {
    /// The stable code of the problem document.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ExecutionNotFound { .. } => "execution_not_found",
            Self::ExecutionExists { .. } => "execution_exists",
            Self::NotAllowed { .. } => "not_allowed",
            Self::NothingToRetry => "nothing_to_retry",
            Self::AttemptNotFound { .. } => "attempt_not_found",
            Self::InvalidInput { .. } => "invalid_input",
            Self::NotActive { .. } => "workflow_not_active",
            Self::Limit { .. } => "limit",
        }
    }
}
