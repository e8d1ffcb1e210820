//! A small account in which nothing is wrong: one execution on two nodes, decided by the engine itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use everstep::consensus::Counts;
use everstep::engine::definition::Spec;
use everstep::engine::model::{
    Create, Epoch, Event, Execution, ExecutionId, Input, Moment, Payload, Recorded, StepIndex, StepKey,
    Timestamp,
};
use everstep::engine::{decide, evolve};
use everstep::runners::{self, Registry};

use crate::account::{Account, Kept, Replica};
use crate::cluster::Doors;
use crate::effects::{Outside, Seen};
use crate::journal::{Answer, Call, Journal, Operation};
use crate::users::{KEY, specs, tenant};
use crate::world::{Dice, simulated};

/// The epoch everything happened under, and its leader.
pub(super) const EPOCH: Epoch = Epoch(2);
pub(super) const LEADER: u64 = 1;

pub(super) fn id() -> ExecutionId {
    ExecutionId::new(1_767_225_600_000, 7 << 20, 9)
}

fn definitions() -> BTreeMap<everstep::engine::model::SpecHash, Arc<Spec>> {
    let world = simulated(1);
    let all = Registry::new(runners::Settings::default(), world.clock).unwrap();
    let outside = Outside {
        node: LEADER,
        dice: Arc::new(Dice::new(1)),
        journal: Journal::default(),
        doors: Doors::default(),
    };
    specs(&all.with(Arc::new(outside)).catalogue())
}

/// One execution of the sequence of five steps; the second attempt of its first step succeeded. It was submitted with
/// key 1, read, and ran to its end under one leader.
pub(super) fn account() -> Account {
    let specs = definitions();
    let spec = specs.values().find(|spec| spec.name == "sequence").unwrap().clone();
    let mut run = Run { execution: Execution::unborn(id(), tenant()), history: Vec::new(), spec, at: 1_000 };
    run.wish(Input::Create(Box::new(Create {
        tenant: tenant(),
        workflow: None,
        workflow_version: 0,
        input: Payload::from_text(&format!("{{\"{KEY}\":1}}")).unwrap(),
        labels: BTreeMap::new(),
        by: "u1-1".to_owned(),
    })));
    let fault = everstep::engine::model::Fault::retryable("outside", "not today");
    run.finish(0, 1, Err(fault));
    run.at += 1_000_000;
    run.wish(Input::Reconcile);
    run.finish(0, 2, Ok(output(2)));
    for step in 1..5 {
        run.finish(step, 1, Ok(output(u64::from(step) + 2)));
    }
    let (version, status) = (run.execution.version, run.execution.status);
    let kept = Kept { execution: run.execution, history: run.history };
    let prefix = kept.history[..3].to_vec();
    let replica = |node| Replica {
        node,
        partition: 1,
        applied: 9,
        digest: 42,
        counts: Counts::default(),
        active: 0,
        executions: BTreeMap::from([(id(), kept.clone())]),
    };
    let operation = |tag: &str, call, answer, began| Operation {
        tag: tag.to_owned(),
        execution: Some(id()),
        call,
        answer,
        began,
        ended: began + 1,
    };
    let pending =
        Answer::Stands { version: 2, status: everstep::engine::model::Status::Running, existing: false };
    let ended = Answer::Stands { version, status, existing: false };
    Account {
        operations: vec![
            operation("u1-1", Call::Submit { key: Some(1) }, pending, 10),
            operation("u1-2", Call::History, Answer::Events(prefix), 20),
            operation("u1-3", Call::Get, ended, 30),
        ],
        effects: vec![
            seen(1, "a", 1),
            seen(2, "a", 2),
            seen(3, "b", 1),
            seen(4, "c", 1),
            seen(5, "d", 1),
            seen(6, "e", 1),
        ],
        leaders: BTreeMap::from([((1, EPOCH.0), LEADER)]),
        replicas: vec![replica(1), replica(2)],
        replayed: vec![replica(1), replica(2)],
        specs,
    }
}

fn output(order: u64) -> Payload {
    Payload::from_text(&format!("{{\"node\":{LEADER},\"order\":{order}}}")).unwrap()
}

fn seen(order: u64, step: &str, attempt: u32) -> Seen {
    Seen { order, node: LEADER, execution: id().to_string(), step: step.to_owned(), attempt, recorded: true }
}

/// The same with another history, on all replicas.
pub(super) fn with_history(change: impl Fn(&mut Vec<Recorded>)) -> Account {
    let mut account = account();
    for replica in account.replicas.iter_mut().chain(&mut account.replayed) {
        change(&mut replica.executions.get_mut(&id()).unwrap().history);
    }
    account
}

/// Where the first event is that looks like this.
pub(super) fn position(history: &[Recorded], wanted: impl Fn(&Event) -> bool) -> usize {
    history.iter().position(|recorded| wanted(&recorded.event)).unwrap()
}

struct Run {
    execution: Execution,
    history: Vec<Recorded>,
    spec: Arc<Spec>,
    at: u64,
}

impl Run {
    fn finish(&mut self, step: u16, attempt: u32, outcome: runners::Outcome) {
        let step = StepKey::plain(StepIndex(step));
        self.wish(Input::AttemptFinished { step, attempt, outcome });
    }

    fn wish(&mut self, input: Input) {
        self.at += 1_000;
        let at = Timestamp::from_micros(self.at);
        let events = decide(&self.execution, &self.spec, input, Moment { at, epoch: EPOCH }).unwrap();
        for event in events {
            let recorded = Recorded { at, event };
            evolve(&mut self.execution, &recorded);
            self.history.push(recorded);
        }
    }
}
