//! For each attempt at most one start and one outcome, and never an outcome without a start.

use std::collections::BTreeMap;

use everstep::engine::model::{Event, Recorded};

use crate::account::Account;

pub(super) fn check(account: &Account) -> Vec<String> {
    account.of_each(|kept, _| of(&kept.history))
}

fn of(history: &[Recorded]) -> Vec<String> {
    let mut wrong = Vec::new();
    // Whether it has an outcome, by step and attempt.
    let mut attempts = BTreeMap::new();
    for recorded in history {
        match &recorded.event {
            Event::AttemptStarted { step, attempt, .. } => {
                let again = attempts.insert((*step, *attempt), false).is_some();
                if again {
                    wrong.push(format!("attempt {attempt} of step {} started twice", step.index.0));
                }
            }
            Event::AttemptCompleted { step, attempt, .. } | Event::AttemptFailed { step, attempt, .. } => {
                match attempts.insert((*step, *attempt), true) {
                    Some(false) => {}
                    Some(true) => {
                        wrong.push(format!("attempt {attempt} of step {} ended twice", step.index.0));
                    }
                    None => {
                        wrong.push(format!("attempt {attempt} of step {} never started", step.index.0));
                    }
                }
            }
            _ => {}
        }
    }
    wrong
}

#[test]
fn doubled_and_invented_outcomes_are_found() {
    use super::sample::{position, with_history};
    let double = |wanted: fn(&Event) -> bool| {
        check(&with_history(|history| {
            let at = position(history, wanted);
            history.insert(at, history[at].clone());
        }))
    };
    assert_eq!(double(|event| matches!(event, Event::AttemptStarted { .. })).len(), 1);
    assert_eq!(double(|event| matches!(event, Event::AttemptCompleted { .. })).len(), 1);
    let invented = with_history(|history| {
        let at = position(history, |event| matches!(event, Event::AttemptStarted { .. }));
        history.remove(at);
    });
    assert_eq!(check(&invented).len(), 1);
}
