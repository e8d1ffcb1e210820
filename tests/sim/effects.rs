//! The simulated outside world: steps that take their time and fail now and then, by the seed.

use std::sync::Arc;
use std::time::Duration;

use everstep::engine::definition::RunnerShape;
use everstep::engine::model::{Fault, Payload};
use everstep::runners::{Attempt, Runner, Running};

use crate::cluster::Doors;
use crate::journal::Journal;
use crate::world::Dice;

/// How long an attempt takes unless its step says so, in milliseconds.
const TAKES_MS: u64 = 40;
/// How often an attempt fails unless its step says so, in a hundred.
const FAILS_PERCENT: u64 = 10;

/// An attempt as the outside world saw it begin.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// When, among everything that is kept in order.
    pub(crate) order: u64,
    /// On which node.
    pub(crate) node: u64,
    /// Of which execution.
    pub(crate) execution: String,
    /// Which step.
    pub(crate) step: String,
    /// Which attempt.
    pub(crate) attempt: u32,
    /// The state of that node had its start when it began.
    pub(crate) recorded: bool,
}

/// Stands in for `noop`: remembers what it was asked, in order, and answers with who did it.
pub(crate) struct Outside {
    pub(crate) node: u64,
    pub(crate) dice: Arc<Dice>,
    pub(crate) journal: Journal,
    pub(crate) doors: Doors,
}

impl Outside {
    /// Whether the state of the node has the start of an attempt. A node without a door yet is trusted.
    fn has_start(&self, attempt: &Attempt) -> bool {
        let Some(door) = self.doors.of(self.node) else { return true };
        let machine = door.consensus.machine(door.consensus.partition_of(attempt.execution.slot()));
        let Some(record) = machine.record(&attempt.tenant, attempt.execution).unwrap() else { return false };
        let Some(spec) = machine.spec(record.execution.spec).unwrap() else { return false };
        let step = spec.steps.iter().position(|step| step.id.as_str() == attempt.step);
        step.is_some_and(|step| record.execution.steps[step].attempt >= attempt.attempt)
    }
}

impl Runner for Outside {
    fn name(&self) -> &'static str {
        "noop"
    }

    fn shape(&self) -> RunnerShape {
        let known = ["takes", "fails"].map(ToOwned::to_owned).to_vec();
        RunnerShape { known, ..RunnerShape::default() }
    }

    fn run<'a>(&'a self, attempt: &'a Attempt) -> Running<'a> {
        if self.doors.is_ghost(self.node) {
            return Box::pin(std::future::pending());
        }
        let params = attempt.params.value();
        let number = |name: &str, default| params.get(name).and_then(|it| it.as_u64()).unwrap_or(default);
        let takes_ms = self.dice.below(number("takes", TAKES_MS));
        let fails = self.dice.percent(number("fails", FAILS_PERCENT));
        let order = self.journal.effect(self.node, attempt, self.has_start(attempt));
        let output = format!("{{\"node\":{},\"order\":{order}}}", self.node);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(takes_ms)).await;
            if fails {
                return Err(Fault::retryable("outside", "not today"));
            }
            Ok(Payload::from_text(&output).unwrap())
        })
    }
}
