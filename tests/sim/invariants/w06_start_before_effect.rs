//! What the outside world sees has a recorded start, under an epoch of the node it was seen on.

use std::collections::{BTreeMap, BTreeSet};

use everstep::engine::model::Event;

use crate::account::Account;

pub(super) fn check(account: &Account) -> Vec<String> {
    let mut started = BTreeMap::new();
    for (id, (partition, kept)) in account.executions() {
        let Some(spec) = account.specs.get(&kept.execution.spec) else { continue };
        for recorded in &kept.history {
            if let Event::AttemptStarted { step, attempt, epoch, .. } = &recorded.event {
                let name = spec.steps[step.index.usize()].id.as_str().to_owned();
                started.insert((id.to_string(), name, *attempt), (partition, epoch.0));
            }
        }
    }
    let mut wrong = Vec::new();
    let mut begun = BTreeSet::new();
    for seen in &account.effects {
        if !seen.recorded {
            wrong.push(format!("{seen:?} began before its start was recorded"));
        }
        if !begun.insert((seen.execution.as_str(), seen.step.as_str(), seen.attempt)) {
            wrong.push(format!("{seen:?} began before"));
        }
        match started.get(&(seen.execution.clone(), seen.step.clone(), seen.attempt)) {
            None => wrong.push(format!("{seen:?} has no recorded start")),
            Some(epoch) => {
                let leader = account.leaders.get(epoch).copied();
                if leader.is_some_and(|leader| leader != seen.node) {
                    wrong.push(format!("{seen:?} was started by node {leader:?}"));
                }
            }
        }
    }
    wrong
}

#[test]
fn effects_without_a_start_are_found() {
    use super::sample::account;
    let mut early = account();
    early.effects[0].attempt = 9;
    assert_eq!(check(&early).len(), 1, "nobody recorded such a start");
    let mut too_early = account();
    too_early.effects[0].recorded = false;
    assert_eq!(check(&too_early).len(), 1, "its start was not recorded yet");
    let mut twice = account();
    twice.effects.push(twice.effects[0].clone());
    assert_eq!(check(&twice).len(), 1, "one start, two effects");
    let mut elsewhere = account();
    elsewhere.effects[0].node = 2;
    assert_eq!(check(&elsewhere).len(), 1, "it was seen on a node that did not lead");
}
