//! Create, get and change are linearizable for each execution.
//!
//! The events of an execution are one order that all replicas agree on (W2), and every answer names the version it
//! was given at. So there is an order in which each request takes effect at one instant between its call and its
//! answer if and only if versions never contradict real time: who asks after somebody was answered is told no
//! less, and nobody was told of a change before it was asked for.

use std::collections::BTreeMap;

use everstep::engine::model::{Event, ExecutionId, Recorded, Status};

use crate::account::{Account, Kept};
use crate::journal::{Act, Answer, Call, Operation};

pub(super) fn check(account: &Account) -> Vec<String> {
    let mut by_execution: BTreeMap<ExecutionId, Vec<&Operation>> = BTreeMap::new();
    for operation in &account.operations {
        if let Some(id) = operation.execution {
            by_execution.entry(id).or_default().push(operation);
        }
    }
    let all = account.executions();
    let mut wrong = Vec::new();
    for (id, operations) in by_execution {
        // One that does not exist is W1's.
        let Some((_, kept)) = all.get(&id) else { continue };
        wrong.extend(of(kept, &operations).into_iter().map(|what| format!("{id}: {what}")));
    }
    wrong
}

/// The version an answer was given at.
fn version(operation: &Operation) -> Option<u64> {
    match &operation.answer {
        Answer::Stands { version, .. } => Some(*version),
        Answer::Events(events) => Some(events.len() as u64),
        Answer::Refused { .. } | Answer::Turned | Answer::Unknown => None,
    }
}

fn of(kept: &Kept, operations: &[&Operation]) -> Vec<String> {
    let mut wrong = Vec::new();
    let written = written(&kept.history);
    let statuses = statuses(kept);
    // The highest version anybody was told, after each answer in order.
    let mut told: Vec<(u64, u64)> = Vec::new();
    let mut answered: Vec<_> = operations.to_vec();
    answered.sort_by_key(|operation| operation.ended);
    for operation in &answered {
        if let Some(version) = version(operation) {
            let highest = told.last().map_or(version, |(_, highest)| version.max(*highest));
            told.push((operation.ended, highest));
        }
    }
    let known_before = |order: u64| {
        let count = told.partition_point(|(ended, _)| *ended < order);
        count.checked_sub(1).map_or(0, |last| told[last].1)
    };
    for operation in operations {
        let known = known_before(operation.began);
        if version(operation).is_some_and(|version| version < known) {
            wrong.push(format!(
                "{} was told less than version {known}: {:?}",
                operation.tag, operation.answer
            ));
        }
        let change = written.get(operation.tag.as_str()).copied();
        match (change, &operation.answer) {
            (Some(change), _) if known >= change => {
                wrong.push(format!("event {change} was seen before {} asked for it", operation.tag));
            }
            (Some(_), Answer::Refused { code, .. }) => {
                wrong.push(format!("{} was refused ({code}), and it is recorded", operation.tag));
            }
            (Some(change), Answer::Stands { version, .. }) if *version < change => {
                wrong.push(format!("{} was told version {version}, before its event", operation.tag));
            }
            (None, Answer::Refused { code: "execution_not_found", .. }) if known > 0 => {
                wrong.push(format!("{} was told that it does not exist", operation.tag));
            }
            (None, Answer::Refused { status: Some(status), .. })
                if !statuses[usize::try_from(known).unwrap()..].contains(status) =>
            {
                wrong.push(format!("{} was refused for being {status}, which it is no more", operation.tag));
            }
            (None, Answer::Stands { status, .. })
                if operation.call == Call::Act(Act::Pause) && *status == Status::Running =>
            {
                wrong.push(format!("{} was told that it is done, and it is not recorded", operation.tag));
            }
            _ => {}
        }
    }
    wrong
}

/// Which event each tag wrote, counted from 1.
fn written(history: &[Recorded]) -> BTreeMap<&str, u64> {
    let mut written = BTreeMap::new();
    for (position, recorded) in (1..).zip(history) {
        let by = match &recorded.event {
            Event::Created(created) => created.by.as_str(),
            Event::Paused { by, .. }
            | Event::Resumed { by }
            | Event::Retried { by, .. }
            | Event::Cancelled { by, .. } => by.as_str(),
            _ => continue,
        };
        written.entry(by).or_insert(position);
    }
    written
}

/// The status after each number of events.
fn statuses(kept: &Kept) -> Vec<Status> {
    use everstep::engine::model::Execution;
    let mut execution = Execution::unborn(kept.execution.id, kept.execution.tenant.clone());
    let mut statuses = vec![execution.status];
    for recorded in &kept.history {
        everstep::engine::evolve(&mut execution, recorded);
        statuses.push(execution.status);
    }
    statuses
}

#[test]
fn stale_reads_and_answers_out_of_time_are_found() {
    use super::sample::{account, id};
    let operation = |tag: &str, call: Call, answer: Answer, began: u64| Operation {
        tag: tag.to_owned(),
        execution: Some(id()),
        call,
        answer,
        began,
        ended: began + 1,
    };
    let with = |added: Operation| {
        let mut account = account();
        account.operations.push(added);
        check(&account)
    };
    let stands = |version| Answer::Stands { version, status: Status::Running, existing: false };
    assert_eq!(with(operation("u2-1", Call::Get, stands(4), 40)).len(), 1, "an old state");
    assert!(with(operation("u2-1", Call::Get, stands(4), 25)).is_empty(), "a state of its time");
    assert_eq!(with(operation("u2-1", Call::Get, stands(1), 2)).len(), 1, "seen before it was asked for");
    let refused = |code, status| Answer::Refused { code, status };
    let missing = refused("execution_not_found", None);
    assert_eq!(with(operation("u2-1", Call::Get, missing.clone(), 40)).len(), 1, "it was acknowledged");
    assert!(with(operation("u2-1", Call::Get, missing, 2)).is_empty(), "it was not there yet");
    let paused = refused("not_allowed", Some(Status::Paused));
    let cancel = Call::Act(Act::Cancel);
    assert_eq!(with(operation("u2-1", cancel.clone(), paused, 25)).len(), 1, "it was never paused");
    let lie = refused("not_allowed", Some(Status::Completed));
    assert_eq!(with(operation("u1-1", cancel, lie, 5)).len(), 1, "refused, and it is recorded");
}
