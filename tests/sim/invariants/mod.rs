//! What must hold of every simulation, one file each, named by the ids that reports use.
//!
//! Each is a function from what there is to judge to what is wrong with it, and each is tried on an account that
//! breaks it: a check that cannot fail keeps nothing. `sample` makes the accounts for that.
//!
//! W9, W12, W13, W15 and W16 have no simulated counterpart yet: schedules, signals, workers and secrets are tested
//! elsewhere, or not there. W19 is judged while time passes, by the phases of the cluster.

mod sample;
mod w01_once_per_key;
mod w02_history_is_kept;
mod w03_lawful;
mod w04_one_outcome;
mod w05_recorded_by_its_leader;
mod w06_start_before_effect;
mod w07_completed_once;
mod w08_never_early;
mod w10_attempts;
mod w11_cancelled_is_over;
mod w14_linearizable;
mod w17_counters;
mod w18_replay;
mod w20_nothing_left;

pub(crate) use w20_nothing_left::DIRTY_MAX;

use crate::account::Account;

/// An invariant.
type Check = fn(&Account) -> Vec<String>;

/// Their names, and what they say.
const ALL: [(&str, Check); 14] = [
    ("W1", w01_once_per_key::check),
    ("W2", w02_history_is_kept::check),
    ("W3", w03_lawful::check),
    ("W4", w04_one_outcome::check),
    ("W5", w05_recorded_by_its_leader::check),
    ("W6", w06_start_before_effect::check),
    ("W7", w07_completed_once::check),
    ("W8", w08_never_early::check),
    ("W10", w10_attempts::check),
    ("W11", w11_cancelled_is_over::check),
    ("W14", w14_linearizable::check),
    ("W17", w17_counters::check),
    ("W18", w18_replay::check),
    ("W20", w20_nothing_left::check),
];

/// Everything that is wrong.
pub(crate) fn all(account: &Account) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, check) in ALL {
        wrong.extend(check(account).into_iter().map(|what| format!("{name}: {what}")));
    }
    wrong
}

#[test]
fn a_good_account_passes_all() {
    assert_eq!(all(&sample::account()), [""; 0]);
}
