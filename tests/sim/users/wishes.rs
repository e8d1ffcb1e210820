//! One request of a user.

use std::collections::BTreeMap;

use everstep::actors::{self, Submission, What};
use everstep::engine::model::{ExecutionId, Input, Payload, Rejection, RetryFrom, Status};

use super::shapes::SHAPES;
use super::{PATIENCE, Users, caller};
use crate::journal::{Act, Answer, Call, Operation};

/// The field of an input that says which key it was submitted with.
pub(crate) const KEY: &str = "key";

/// Events read at most; no simulated execution has so many.
const EVENTS_MAX: usize = 1_000;

/// Of a hundred requests: submissions, those of them with a key, reads and histories; the rest are changes.
const SUBMITS: u64 = 42;
const WITH_KEY: u64 = 60;
/// Of a hundred submissions with a key, those that are sent through two nodes at once.
const HEDGED: u64 = 25;
const READS: u64 = 24;
const HISTORIES: u64 = 8;

impl Users {
    /// Wants something.
    pub(super) async fn wish(&self, tag: String, turn: u64) {
        let chance = self.dice.below(100);
        let known = {
            let known = self.known.borrow();
            // Mostly one of the newest: they are still at work.
            let newest = known.len().saturating_sub(20);
            let among = if self.dice.percent(80) { &known[newest..] } else { &known[..] };
            if among.is_empty() { None } else { Some(*self.dice.pick(among)) }
        };
        match known {
            Some(id) if chance >= SUBMITS => {
                let call = if chance < SUBMITS + READS {
                    Call::Get
                } else if chance < SUBMITS + READS + HISTORIES {
                    Call::History
                } else {
                    Call::Act(*self.dice.pick(&[
                        Act::Cancel,
                        Act::Pause,
                        Act::Pause,
                        Act::Resume,
                        Act::Resume,
                        Act::Retry,
                    ]))
                };
                self.about(tag, id, call).await;
            }
            _ => {
                let key = self.dice.percent(WITH_KEY).then(|| self.dice.below(20 + 4 * turn));
                if key.is_some() && self.dice.percent(HEDGED) {
                    // Who is in a hurry asks twice at the same time; the key makes it one.
                    let twin = format!("{tag}-twin");
                    tokio::join!(self.submit(tag, key), self.submit(twin, key));
                } else {
                    self.submit(tag, key).await;
                }
            }
        }
    }

    async fn submit(&self, tag: String, key: Option<u64>) {
        let number = key.unwrap_or_else(|| self.dice.below(SHAPES.len() as u64));
        let text = SHAPES[usize::try_from(number).unwrap() % SHAPES.len()];
        let input = match key {
            Some(key) => format!("{{\"{KEY}\":{key}}}"),
            None => format!("{{\"tag\":\"{tag}\"}}"),
        };
        let submission = Submission {
            what: What::Inline { text: text.to_owned() },
            input: Payload::from_text(&input).unwrap(),
            labels: BTreeMap::new(),
            idempotency_key: key.map(|key| key.to_string()),
        };
        let (node, began) = (self.any_node(), self.journal.order());
        let caller = caller(&tag);
        let asked = self
            .doors
            .ask(node, move |handle: actors::Handle| async move { handle.submit(&caller, submission).await });
        let (execution, answer) = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Some(Ok(submitted))) => {
                let execution = &submitted.record.execution;
                self.known.borrow_mut().push(execution.id);
                (Some(execution.id), stands(execution.version, execution.status, submitted.existing))
            }
            Ok(Some(Err(error))) => (None, refusal(&error)),
            Ok(None) | Err(_) => (None, Answer::Unknown),
        };
        let call = Call::Submit { key };
        self.journal.operation(node, Operation { tag, execution, call, answer, began, ended: 0 });
    }

    /// Reads or changes an execution.
    pub(super) async fn about(&self, tag: String, id: ExecutionId, call: Call) -> Answer {
        let (node, began) = (self.any_node(), self.journal.order());
        let (caller, what) = (caller(&tag), call.clone());
        let input = match &call {
            Call::Act(act) => Some(input(*act, &tag)),
            Call::Submit { .. } | Call::Get | Call::History => None,
        };
        let asked = self.doors.ask(node, move |handle: actors::Handle| async move {
            if what == Call::History {
                return handle.history(&caller, id, 0, EVENTS_MAX).await.map(Answer::Events);
            }
            let record = match input {
                Some(input) => handle.act(&caller, id, input).await?,
                None => handle.execution(&caller, id).await?,
            };
            Ok(stands(record.execution.version, record.execution.status, false))
        });
        let answer = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Some(answer)) => answer.unwrap_or_else(|error| refusal(&error)),
            Ok(None) | Err(_) => Answer::Unknown,
        };
        let told = answer.clone();
        self.journal.operation(node, Operation { tag, execution: Some(id), call, answer, began, ended: 0 });
        told
    }
}

fn input(act: Act, tag: &str) -> Input {
    let (by, reason) = (tag.to_owned(), "simulated".to_owned());
    match act {
        Act::Cancel => Input::Cancel { by, reason },
        Act::Pause => Input::Pause { by, reason },
        Act::Resume => Input::Resume { by },
        Act::Retry => Input::Retry { by, from: RetryFrom::Failed },
    }
}

const fn stands(version: u64, status: Status, existing: bool) -> Answer {
    Answer::Stands { version, status, existing }
}

/// What a user learns from an error.
fn refusal(error: &actors::Error) -> Answer {
    match error {
        actors::Error::Rejected(Rejection::NotAllowed { status, .. }) => {
            Answer::Refused { code: error.code(), status: Some(*status) }
        }
        actors::Error::Overloaded { .. }
        | actors::Error::Elsewhere { .. }
        | actors::Error::DiskScarce { .. } => Answer::Turned,
        actors::Error::Unavailable { .. } => Answer::Unknown,
        actors::Error::Rejected(_)
        | actors::Error::Definition(_)
        | actors::Error::WorkflowNotFound { .. }
        | actors::Error::VersionNotFound { .. }
        | actors::Error::VersionConflict { .. }
        | actors::Error::NodeNotFound { .. }
        | actors::Error::NodeRefused(_)
        | actors::Error::StillHolds { .. }
        | actors::Error::KeyReused => Answer::Refused { code: error.code(), status: None },
    }
}
