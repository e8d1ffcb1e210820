//! A wait and a backoff end when they are due, not before, and a wait ends once.

use std::collections::BTreeMap;

use everstep::engine::model::{AfterFailure, Event, Recorded, Timestamp, Wait};

use crate::account::Account;

pub(super) fn check(account: &Account) -> Vec<String> {
    account.of_each(|kept, _| of(&kept.history))
}

fn of(history: &[Recorded]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut due: BTreeMap<_, Timestamp> = BTreeMap::new();
    for recorded in history {
        match &recorded.event {
            Event::StepWaiting { step, wait: Wait::Until(until), .. } => drop(due.insert(*step, *until)),
            Event::AttemptFailed { step, next: AfterFailure::Backoff { until }, .. } => {
                due.insert(*step, *until);
            }
            Event::AttemptStarted { step, .. } | Event::StepCompleted { step, .. } => {
                let until = due.remove(step).unwrap_or_default();
                if recorded.at < until {
                    let early = until.micros() - recorded.at.micros();
                    wrong.push(format!("step {} went on {early} µs early", step.index.0));
                }
            }
            Event::Retried { steps, .. } => due.retain(|step, _| !steps.contains(step)),
            _ => {}
        }
    }
    wrong
}

#[test]
fn early_ends_are_found() {
    use super::sample::with_history;
    let early = with_history(|history| {
        let failed = history.iter().position(|it| matches!(it.event, Event::AttemptFailed { .. })).unwrap();
        history[failed + 1].at = history[failed].at;
    });
    assert_eq!(check(&early).len(), 1);
}
