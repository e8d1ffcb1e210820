//! Only lawful transitions: a reader with a memory of its own goes through each history, and a state has to be one
//! that can be.

use everstep::engine::invariants;

use crate::account::Account;

pub(super) fn check(account: &Account) -> Vec<String> {
    account.of_each(|kept, spec| {
        let mut wrong = invariants::check(&kept.execution, spec);
        wrong.extend(invariants::check_history(&kept.history, spec));
        wrong
    })
}

#[test]
fn unlawful_histories_and_states_are_found() {
    use super::sample::{account, id, with_history};
    let late = with_history(|history| {
        let last = history.len() - 1;
        history.swap(last, last - 1);
    });
    assert!(!check(&late).is_empty(), "something comes after the end");
    let mut impossible = account();
    for replica in &mut impossible.replicas {
        replica.executions.get_mut(&id()).unwrap().execution.finished_at = None;
    }
    assert!(!check(&impossible).is_empty(), "it has ended at no time");
}

#[test]
fn what_was_recorded_late_is_lawful() {
    use everstep::engine::model::Event;
    let late = super::sample::with_history(|history| {
        let failed = history.iter().position(|it| matches!(it.event, Event::AttemptFailed { .. })).unwrap();
        // The backoff of five milliseconds is over before the failure is in the log.
        history[failed].at = history[failed + 1].at;
    });
    assert_eq!(check(&late), [""; 0]);
}
