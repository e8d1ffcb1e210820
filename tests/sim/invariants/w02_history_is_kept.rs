//! A history has no gap, its time never runs back, it is the same on all replicas, and what was read earlier is its
//! prefix.

use crate::account::Account;
use crate::journal::Answer;

pub(super) fn check(account: &Account) -> Vec<String> {
    let mut wrong = Vec::new();
    let all = account.executions();
    for (id, (partition, kept)) in &all {
        if kept.history.len() as u64 != kept.execution.version {
            wrong.push(format!(
                "{id} has {} events at version {}",
                kept.history.len(),
                kept.execution.version
            ));
        }
        if !kept.history.is_sorted_by_key(|recorded| recorded.at) {
            wrong.push(format!("the time of {id} runs back"));
        }
        for replica in account.replicas.iter().filter(|replica| replica.partition == *partition) {
            if replica.executions.get(id).is_none_or(|other| other.history != kept.history) {
                wrong.push(format!("node {} has another history of {id}", replica.node));
            }
        }
    }
    for operation in &account.operations {
        let Some((id, (_, kept))) = operation.execution.and_then(|id| all.get_key_value(&id)) else {
            continue;
        };
        match &operation.answer {
            Answer::Events(events) if !kept.history.starts_with(events) => {
                wrong.push(format!("what {} read of {id} is no prefix of its history", operation.tag));
            }
            Answer::Stands { version, .. } if *version > kept.execution.version => {
                wrong.push(format!("{} was told version {version} of {id}, which is gone", operation.tag));
            }
            _ => {}
        }
    }
    wrong
}

#[test]
fn gaps_changes_and_steps_back_are_found() {
    use super::sample::{account, id, with_history};
    use everstep::engine::model::Timestamp;
    assert_eq!(check(&with_history(|history| drop(history.pop()))).len(), 1, "a gap at the end");
    let back = with_history(|history| history.last_mut().unwrap().at = history[0].at);
    assert_eq!(check(&back).len(), 1, "time runs back");
    let mut differs = account();
    let history = &mut differs.replicas[1].executions.get_mut(&id()).unwrap().history;
    history.last_mut().unwrap().at = Timestamp::from_micros(u64::MAX);
    assert_eq!(check(&differs).len(), 1, "replicas differ");
    let mut rewritten = account();
    let Answer::Events(events) = &mut rewritten.operations[1].answer else { unreachable!() };
    events.swap(1, 2);
    assert_eq!(check(&rewritten).len(), 1, "what was read has changed");
    let mut forgotten = account();
    let Answer::Stands { version, .. } = &mut forgotten.operations[2].answer else { unreachable!() };
    *version += 1;
    assert_eq!(check(&forgotten).len(), 1, "what was read is gone");
}
