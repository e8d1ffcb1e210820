//! Statuses. One place derives what a person may do in each.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every one, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used everywhere outside.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// From its word.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.as_str() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(
    /// The status of an execution.
    Status {
        /// Accepted; nothing has started.
        Pending = "pending",
        /// At work, or waiting for something.
        Running = "running",
        /// Held by a person or after repeated crashes; attempts in flight end, none start.
        Paused = "paused",
        /// Undoing completed steps.
        Compensating = "compensating",
        /// Done.
        Completed = "completed",
        /// Ended by a fault.
        Failed = "failed",
        /// Ended by a person.
        Cancelled = "cancelled",
        /// Failed, kept for repair.
        DeadLettered = "dead_lettered",
    }
);

words!(
    /// The status of a step.
    StepStatus {
        /// Its needs are not met.
        Pending = "pending",
        /// It may start.
        Ready = "ready",
        /// An attempt is in flight.
        Running = "running",
        /// It waits for a time or a message, holding nothing.
        Waiting = "waiting",
        /// It waits for its next attempt.
        Backoff = "backoff",
        /// Done.
        Completed = "completed",
        /// Out of attempts, or a fault no attempt can mend.
        Failed = "failed",
        /// Not wanted, by `when` or by a jump.
        Skipped = "skipped",
        /// Stopped with its execution.
        Cancelled = "cancelled",
        /// Undone.
        Compensated = "compensated",
        /// Its node died between start and outcome, and its policy forbids a blind retry.
        Uncertain = "uncertain",
    }
);

words!(
    /// The status of a definition. Only active ones run.
    DefinitionStatus {
        /// Being written.
        Draft = "draft",
        /// Runs.
        Active = "active",
        /// Kept for its history.
        Archived = "archived",
    }
);

words!(
    /// What a person may do to an execution.
    Action {
        /// End it.
        Cancel = "cancel",
        /// Hold it.
        Pause = "pause",
        /// Let a held one go on.
        Resume = "resume",
        /// Run it, or its failed steps, again.
        Retry = "retry",
    }
);

impl Status {
    /// No event but a retry follows.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Cancelled | Self::DeadLettered => true,
            Self::Pending | Self::Running | Self::Paused | Self::Compensating => false,
        }
    }

    /// What a person may do in this status whatever the steps are; see
    /// [`super::Execution::allowed_actions`] for what depends on them.
    #[must_use]
    pub const fn allowed_actions(self) -> &'static [Action] {
        match self {
            Self::Pending | Self::Running => &[Action::Cancel, Action::Pause],
            Self::Paused => &[Action::Cancel, Action::Resume],
            Self::Compensating => &[Action::Cancel],
            Self::Completed | Self::Failed | Self::Cancelled | Self::DeadLettered => &[Action::Retry],
        }
    }
}

impl StepStatus {
    /// Something is under way or awaited: what has to be stopped when its execution ends.
    #[must_use]
    pub const fn is_in_flight(self) -> bool {
        match self {
            Self::Ready | Self::Running | Self::Waiting | Self::Backoff | Self::Uncertain => true,
            Self::Pending
            | Self::Completed
            | Self::Failed
            | Self::Skipped
            | Self::Cancelled
            | Self::Compensated => false,
        }
    }

    /// The step will not move again by itself.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Skipped | Self::Cancelled | Self::Compensated => true,
            Self::Pending | Self::Ready | Self::Running | Self::Waiting | Self::Backoff | Self::Uncertain => {
                false
            }
        }
    }
}
