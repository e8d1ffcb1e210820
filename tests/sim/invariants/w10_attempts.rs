//! A step fails no more often than its policy allows and waits as long as it says, what is exhausted is over, and what
//! was lost is tried again only where its step does not mind.

use std::collections::BTreeMap;

use everstep::engine::definition::{OnLost, Spec};
use everstep::engine::model::{AfterFailure, Event, codes};

use crate::account::{Account, Kept};

pub(super) fn check(account: &Account) -> Vec<String> {
    account.of_each(of)
}

fn of(kept: &Kept, spec: &Spec) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut failures: BTreeMap<_, u32> = BTreeMap::new();
    for (position, recorded) in kept.history.iter().enumerate() {
        match &recorded.event {
            Event::AttemptFailed { step, fault, next, .. } if fault.code == codes::NODE_LOST => {
                let careful = spec.steps[step.index.usize()].on_lost == OnLost::Uncertain;
                if careful != (*next == AfterFailure::Uncertain) {
                    wrong.push(format!("step {} was lost, and then {next:?}", step.index.0));
                }
            }
            // Those that were lost with their node are not the step's fault.
            Event::AttemptFailed { step, next, .. } => {
                let count = failures.entry(*step).or_default();
                *count += 1;
                let allowed = spec.steps[step.index.usize()].retry.attempts;
                if *count > allowed {
                    wrong.push(format!("step {} failed {count} times of {allowed}", step.index.0));
                }
                // It was decided no earlier than what was recorded before it.
                let decided = position.checked_sub(1).map_or(recorded.at, |before| kept.history[before].at);
                let policy = &spec.steps[step.index.usize()].retry;
                let shortest = policy.initial.min(policy.max);
                if let AfterFailure::Backoff { until } = next
                    && *until < decided + shortest
                {
                    wrong.push(format!("step {} waits for less than {shortest}", step.index.0));
                }
                let follows = kept.history.get(position + 1).map(|next| &next.event);
                let over = matches!(follows, Some(Event::StepFailed { step: it, .. }) if it == step);
                if *next == AfterFailure::Exhausted && !over {
                    wrong.push(format!("step {} is exhausted and goes on", step.index.0));
                }
            }
            Event::Retried { steps, .. } => failures.retain(|step, _| !steps.contains(step)),
            _ => {}
        }
    }
    wrong
}

#[test]
fn too_many_attempts_are_found() {
    use super::sample::{position, with_history};
    let failed = |event: &Event| matches!(event, Event::AttemptFailed { .. });
    let often = with_history(|history| {
        let at = position(history, failed);
        for _ in 0..4 {
            history.insert(at, history[at].clone());
        }
    });
    assert_eq!(check(&often).len(), 1, "five failures, four are allowed");
    let hasty = with_history(|history| {
        let at = position(history, failed);
        let before = history[at - 1].at;
        if let Event::AttemptFailed { next, .. } = &mut history[at].event {
            *next = AfterFailure::Backoff { until: before };
        }
    });
    assert_eq!(check(&hasty).len(), 1, "its backoff is shorter than its policy");
    let careless = with_history(|history| {
        let at = position(history, failed);
        if let Event::AttemptFailed { fault, next, .. } = &mut history[at].event {
            fault.code = codes::NODE_LOST.to_owned();
            *next = AfterFailure::Uncertain;
        }
    });
    assert_eq!(check(&careless).len(), 1, "it was lost, and its step does not mind");
    let undead = with_history(|history| {
        let at = position(history, failed);
        if let Event::AttemptFailed { next, .. } = &mut history[at].event {
            *next = AfterFailure::Exhausted;
        }
    });
    assert_eq!(check(&undead).len(), 1, "exhausted, and another attempt follows");
}
