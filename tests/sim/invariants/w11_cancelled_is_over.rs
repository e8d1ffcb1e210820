//! An acknowledged cancel is followed by no start: not in the record, and not outside.

use std::collections::BTreeMap;

use everstep::engine::model::Event;

use crate::account::Account;
use crate::journal::{Act, Answer, Call};

pub(super) fn check(account: &Account) -> Vec<String> {
    let mut wrong = Vec::new();
    let all = account.executions();
    // When the first cancel was acknowledged of executions that nobody retried.
    let mut over: BTreeMap<String, u64> = BTreeMap::new();
    for (id, (_, kept)) in &all {
        let mut cancelled = false;
        for recorded in &kept.history {
            match &recorded.event {
                Event::Cancelled { .. } => cancelled = true,
                Event::Retried { .. } => cancelled = false,
                Event::AttemptStarted { step, attempt, .. } if cancelled => {
                    let step = step.index.0;
                    wrong.push(format!("{id}: attempt {attempt} of step {step} started after a cancel"));
                }
                _ => {}
            }
        }
        let retried = kept.history.iter().any(|it| matches!(it.event, Event::Retried { .. }));
        let acknowledged = account.operations.iter().find(|operation| {
            operation.execution == Some(*id)
                && operation.call == Call::Act(Act::Cancel)
                && matches!(operation.answer, Answer::Stands { .. })
        });
        if let Some(operation) = acknowledged {
            if !kept.history.iter().any(|it| matches!(it.event, Event::Cancelled { .. })) {
                wrong.push(format!("{id}: the cancel of {} is not recorded", operation.tag));
            }
            if !retried {
                over.insert(id.to_string(), operation.ended);
            }
        }
    }
    for seen in &account.effects {
        if over.get(&seen.execution).is_some_and(|ended| seen.order > *ended) {
            wrong.push(format!("{seen:?} after its execution was cancelled"));
        }
    }
    wrong
}

#[test]
fn work_after_a_cancel_is_found() {
    use super::sample::{account, id};
    use crate::journal::Operation;
    use everstep::engine::model::Status;
    let mut cancelled = account();
    let answer = Answer::Stands { version: 3, status: Status::Cancelled, existing: false };
    cancelled.operations.push(Operation {
        tag: "u1-9".to_owned(),
        execution: Some(id()),
        call: Call::Act(Act::Cancel),
        answer,
        began: 3,
        ended: 3,
    });
    let event = Event::Cancelled { by: "u1-9".to_owned(), reason: String::new() };
    assert_eq!(check(&cancelled).len(), 1 + 3, "it is not recorded, and three effects came later");
    for replica in &mut cancelled.replicas {
        let history = &mut replica.executions.get_mut(&id()).unwrap().history;
        let mut recorded = history[2].clone();
        recorded.event = event.clone();
        history.insert(2, recorded);
    }
    assert_eq!(check(&cancelled).len(), 5 + 3, "five attempts started after it");
}
