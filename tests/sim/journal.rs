//! What is kept of a simulation while it runs, in one order for everything.
//!
//! One thread runs the whole simulation, so whoever writes first was first: the order is that of real time, finer
//! than any clock in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use everstep::engine::model::{ExecutionId, Recorded, Status};
use everstep::runners::Attempt;

use crate::effects::Seen;

/// What a user asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    /// Begin an execution; with an idempotency key or without.
    Submit { key: Option<u64> },
    /// Read it.
    Get,
    /// Read its events.
    History,
    /// Change it; the tag of the operation is who did.
    Act(Act),
}

/// A change of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Cancel,
    Pause,
    Resume,
    Retry,
}

/// What a user was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The execution, as of an event.
    Stands { version: u64, status: Status, existing: bool },
    /// Its events.
    Events(Vec<Recorded>),
    /// A lawful no, with its code and the status it names.
    Refused { code: &'static str, status: Option<Status> },
    /// Nobody could take it; nothing was done.
    Turned,
    /// It may have happened.
    Unknown,
}

/// One request of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    /// Unique; recorded as who did it.
    pub(crate) tag: String,
    /// The execution; for a submission it is known if it was answered.
    pub(crate) execution: Option<ExecutionId>,
    pub(crate) call: Call,
    pub(crate) answer: Answer,
    /// When it was asked, and when it was answered.
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

/// The journal of a simulation. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Book>>);

/// What is in it.
#[derive(Default)]
pub(crate) struct Book {
    now: Duration,
    order: u64,
    /// All that happened, as it can be compared with another run.
    pub(crate) lines: Vec<String>,
    pub(crate) effects: Vec<Seen>,
    pub(crate) operations: Vec<Operation>,
    /// Who announced a leadership: by partition and epoch.
    pub(crate) leaders: BTreeMap<(u16, u64), u64>,
    /// When the newest leadership of each partition was announced, by partition.
    pub(crate) newest: BTreeMap<u16, (u64, Duration)>,
    /// Nodes that ended by themselves, and why.
    pub(crate) deaths: Vec<(u64, String)>,
}

impl Journal {
    /// Simulated time has come to this.
    pub(crate) fn tick(&self, now: Duration) {
        self.book().now = now;
    }

    /// The next number.
    pub(crate) fn order(&self) -> u64 {
        let mut book = self.book();
        book.order += 1;
        book.order
    }

    /// Something that happened.
    pub(crate) fn say(&self, what: &str) {
        let mut book = self.book();
        let at = book.now.as_millis();
        book.order += 1;
        book.lines.push(format!("{at:>7} {what}"));
    }

    /// An attempt began outside.
    pub(crate) fn effect(&self, node: u64, attempt: &Attempt, recorded: bool) -> u64 {
        let execution = attempt.execution.to_string();
        self.say(&format!("effect on {node}: {execution}/{}#{}", attempt.step, attempt.attempt));
        let mut book = self.book();
        let order = book.order;
        let (step, attempt) = (attempt.step.clone(), attempt.attempt);
        book.effects.push(Seen { order, node, execution, step, attempt, recorded });
        order
    }

    /// A request was answered, or nobody will ever know.
    pub(crate) fn operation(&self, node: u64, mut operation: Operation) {
        let about = operation.execution.map(|id| id.to_string()).unwrap_or_default();
        let told = match &operation.answer {
            Answer::Events(events) => format!("{} events", events.len()),
            answer => format!("{answer:?}"),
        };
        self.say(&format!("{} asked {node}: {:?} {about}: {told}", operation.tag, operation.call));
        let mut book = self.book();
        operation.ended = book.order;
        book.operations.push(operation);
    }

    /// A node leads a partition under an epoch. Answers for how long somebody else has led it under a newer one.
    pub(crate) fn leads(&self, node: u64, partition: u16, epoch: u64) -> Option<Duration> {
        let first_told = self.book().leaders.insert((partition, epoch), node).is_none();
        if first_told {
            self.say(&format!("node {node} leads partition {partition} under epoch {epoch}"));
        }
        let mut book = self.book();
        let now = book.now;
        let newest = book.newest.entry(partition).or_insert((epoch, now));
        if newest.0 < epoch {
            *newest = (epoch, now);
        }
        (newest.0 > epoch).then(|| now - newest.1)
    }

    /// A node ended by itself.
    pub(crate) fn died(&self, node: u64, why: &str) {
        self.say(&format!("node {node} died: {why}"));
        self.book().deaths.push((node, why.to_owned()));
    }

    /// Everything in it. Short: nobody writes meanwhile.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }
}
