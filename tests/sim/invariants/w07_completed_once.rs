//! A completed step is never run again, in the record or outside, unless a person asks for it.

use std::collections::BTreeMap;

use everstep::engine::definition::Spec;
use everstep::engine::model::Event;

use crate::account::{Account, Kept};

pub(super) fn check(account: &Account) -> Vec<String> {
    let mut wrong = account.of_each(|kept, _| in_the_record(kept));
    let all = account.executions();
    // The last attempt of a completed step, by execution and step.
    let mut last = BTreeMap::new();
    for (id, (_, kept)) in &all {
        let Some(spec) = account.specs.get(&kept.execution.spec) else { continue };
        for (step, attempt) in completed(kept, spec) {
            last.insert((id.to_string(), step), attempt);
        }
    }
    for seen in &account.effects {
        let last = last.get(&(seen.execution.clone(), seen.step.clone()));
        if last.is_some_and(|last| seen.attempt > *last) {
            wrong.push(format!("{seen:?}, and attempt {last:?} had completed the step"));
        }
    }
    wrong
}

fn in_the_record(kept: &Kept) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut done = BTreeMap::new();
    for recorded in &kept.history {
        match &recorded.event {
            Event::AttemptStarted { step, .. } if done.contains_key(step) => {
                wrong.push(format!("step {} started again after it was completed", step.index.0));
            }
            Event::AttemptCompleted { step, .. } | Event::StepCompleted { step, .. } => {
                let again = done.insert(*step, ()).is_some();
                if again {
                    wrong.push(format!("step {} was completed twice", step.index.0));
                }
            }
            Event::Retried { steps, .. } => done.retain(|step, ()| !steps.contains(step)),
            _ => {}
        }
    }
    wrong
}

/// The steps that ended completed, and with which attempt.
fn completed(kept: &Kept, spec: &Spec) -> Vec<(String, u32)> {
    let mut last = BTreeMap::new();
    for recorded in &kept.history {
        match &recorded.event {
            Event::AttemptCompleted { step, attempt, .. } => drop(last.insert(*step, *attempt)),
            Event::Retried { steps, .. } => last.retain(|step, _| !steps.contains(step)),
            _ => {}
        }
    }
    let name = |step: usize| spec.steps[step].id.as_str().to_owned();
    last.into_iter().map(|(step, attempt)| (name(step.index.usize()), attempt)).collect()
}

#[test]
fn steps_that_run_again_are_found() {
    use super::sample::{account, position, with_history};
    let again = with_history(|history| {
        let start = position(history, |event| matches!(event, Event::AttemptStarted { .. }));
        history.push(history[start].clone());
    });
    assert_eq!(check(&again).len(), 1, "in the record");
    let mut outside = account();
    outside.effects[1].attempt = 3;
    assert_eq!(check(&outside).len(), 1, "outside");
}
