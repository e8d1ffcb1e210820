//! Every acknowledged submission exists, once per idempotency key, with the acknowledged id, on every replica.

use std::collections::BTreeMap;

use everstep::engine::model::ExecutionId;

use crate::account::Account;
use crate::journal::{Answer, Call};

pub(super) fn check(account: &Account) -> Vec<String> {
    let mut wrong = Vec::new();
    let all = account.executions();
    let mut by_key: BTreeMap<u64, ExecutionId> = BTreeMap::new();
    for operation in &account.operations {
        let Call::Submit { key } = operation.call else { continue };
        if let Answer::Refused { code, .. } = operation.answer {
            wrong.push(format!("{} was refused: {code}", operation.tag));
        }
        let Some(id) = operation.execution else { continue };
        let Some((partition, _)) = all.get(&id) else {
            wrong.push(format!("{id}, acknowledged to {}, is gone", operation.tag));
            continue;
        };
        for replica in account.replicas.iter().chain(&account.replayed) {
            if replica.partition == *partition && !replica.executions.contains_key(&id) {
                wrong.push(format!("{id}, acknowledged to {}, is not on {}", operation.tag, replica.node));
            }
        }
        let first = key.map(|key| *by_key.entry(key).or_insert(id));
        if let Some(first) = first.filter(|first| *first != id) {
            wrong.push(format!("{} was told {id} for a key that stands for {first}", operation.tag));
        }
    }
    let mut by_input: BTreeMap<&str, ExecutionId> = BTreeMap::new();
    for (id, (_, kept)) in all {
        if let Some(other) = by_input.insert(kept.execution.input.as_str(), id) {
            wrong.push(format!("{id} and {other} are of one request: {}", kept.execution.input.as_str()));
        }
    }
    wrong
}

#[test]
fn a_lost_and_a_doubled_submission_are_found() {
    use super::sample::{account, id};
    let mut lost = account();
    lost.replicas[1].executions.clear();
    assert_eq!(check(&lost).len(), 1, "one replica has lost it");
    for replica in lost.replicas.iter_mut().chain(&mut lost.replayed) {
        replica.executions.clear();
    }
    assert_eq!(check(&lost).len(), 1, "it is nowhere");
    let mut doubled = account();
    let other = ExecutionId::new(1, 2, 3);
    for replica in doubled.replicas.iter_mut().chain(&mut doubled.replayed) {
        let mut kept = replica.executions[&id()].clone();
        kept.execution.id = other;
        replica.executions.insert(other, kept);
    }
    assert_eq!(check(&doubled).len(), 1, "one request, two executions");
    let mut again = doubled.operations[0].clone();
    again.execution = Some(other);
    doubled.operations.push(again);
    assert_eq!(check(&doubled).len(), 2, "one key, two answers");
}
