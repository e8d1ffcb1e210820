//! Counters equal what is counted.

use crate::account::Account;

pub(super) fn check(account: &Account) -> Vec<String> {
    let mut wrong = Vec::new();
    for replica in account.replicas.iter().chain(&account.replayed) {
        let unfinished = |kept: &&crate::account::Kept| !kept.execution.status.is_finished();
        let live = replica.executions.values().filter(unfinished).count();
        if replica.counts.live != live {
            let (node, partition, counted) = (replica.node, replica.partition, replica.counts.live);
            wrong.push(format!(
                "node {node} counts {counted} live in partition {partition}, there are {live}"
            ));
        }
        if replica.counts.runnable > replica.counts.live {
            wrong.push(format!("node {} counts more that can move than there are", replica.node));
        }
    }
    wrong
}

#[test]
fn wrong_counters_are_found() {
    let mut account = super::sample::account();
    account.replicas[0].counts.live = 1;
    account.replicas[1].counts.runnable = 1;
    assert_eq!(check(&account).len(), 2);
}
