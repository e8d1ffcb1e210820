//! When everything has ended nothing is left in memory that only work in progress needs.

use crate::account::Account;

/// State that waits for the disk when nothing happens: the last slices of checkpoints.
pub(crate) const DIRTY_MAX: usize = 64;

pub(super) fn check(account: &Account) -> Vec<String> {
    let mut wrong = Vec::new();
    for replica in &account.replicas {
        let (node, partition) = (replica.node, replica.partition);
        if replica.active > 0 && replica.counts.live == 0 {
            wrong.push(format!(
                "node {node} has {} actors for nothing in partition {partition}",
                replica.active
            ));
        }
        if replica.counts.dirty > DIRTY_MAX {
            let dirty = replica.counts.dirty;
            wrong.push(format!("node {node} has not written {dirty} records of partition {partition}"));
        }
    }
    wrong
}

#[test]
fn what_is_left_behind_is_found() {
    let mut account = super::sample::account();
    account.replicas[0].active = 1;
    account.replicas[1].counts.dirty = DIRTY_MAX + 1;
    assert_eq!(check(&account).len(), 2);
}
