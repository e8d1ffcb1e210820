//! An outcome is recorded by the leadership that started the attempt: what is recorded was answered on the node that
//! led then, and to that attempt.

use std::collections::BTreeMap;

use everstep::engine::model::{Epoch, Event};

use crate::account::Account;

pub(super) fn check(account: &Account) -> Vec<String> {
    let mut wrong = Vec::new();
    let effects: BTreeMap<u64, _> = account.effects.iter().map(|seen| (seen.order, seen)).collect();
    for (id, (partition, kept)) in account.executions() {
        let Some(spec) = account.specs.get(&kept.execution.spec) else { continue };
        let mut started: BTreeMap<_, Epoch> = BTreeMap::new();
        for recorded in &kept.history {
            match &recorded.event {
                Event::AttemptStarted { step, attempt, epoch, .. } => {
                    started.insert((*step, *attempt), *epoch);
                }
                Event::AttemptCompleted { step, attempt, output } => {
                    let output = output.value();
                    let (node, order) = (output["node"].as_u64(), output["order"].as_u64());
                    let epoch = started.get(&(*step, *attempt)).map_or(0, |epoch| epoch.0);
                    let leader = account.leaders.get(&(partition, epoch)).copied();
                    if leader.is_some() && leader != node {
                        wrong.push(format!("{id}: node {node:?} did what node {leader:?} had started"));
                    }
                    let seen = order.and_then(|order| effects.get(&order));
                    let name = spec.steps[step.index.usize()].id.as_str();
                    let same = seen.is_some_and(|seen| {
                        seen.execution == id.to_string() && seen.step == name && seen.attempt == *attempt
                    });
                    if !same {
                        wrong.push(format!("{id}: attempt {attempt} of {name} has the answer of {seen:?}"));
                    }
                }
                _ => {}
            }
        }
    }
    wrong
}

#[test]
fn answers_of_others_are_found() {
    use super::sample::{EPOCH, LEADER, account};
    let mut other_leader = account();
    other_leader.leaders.insert((1, EPOCH.0), LEADER + 1);
    assert_eq!(check(&other_leader).len(), 5, "each of five steps");
    let mut other_attempt = account();
    other_attempt.effects[1].attempt = 1;
    assert_eq!(check(&other_attempt).len(), 1, "the answer of an earlier attempt");
}
