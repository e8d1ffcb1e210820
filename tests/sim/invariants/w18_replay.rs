//! All replicas hold the same; so does whoever folds the events again, and who reads the disks after a power cut.

use std::collections::BTreeMap;

use everstep::engine::evolve;
use everstep::engine::model::Execution;

use crate::account::{Account, Replica};

pub(super) fn check(account: &Account) -> Vec<String> {
    let mut wrong = equal(&account.replicas);
    wrong.extend(equal(&account.replayed).into_iter().map(|what| format!("after the last cut, {what}")));
    for (id, (_, kept)) in account.executions() {
        let mut folded = Execution::unborn(id, kept.execution.tenant.clone());
        kept.history.iter().for_each(|recorded| evolve(&mut folded, recorded));
        if folded != kept.execution {
            wrong.push(format!("{id} is not what its events add up to"));
        }
    }
    let held = |replicas: &[Replica]| -> BTreeMap<_, _> {
        replicas.iter().map(|it| ((it.node, it.partition), it.executions.clone())).collect()
    };
    let (before, after) = (held(&account.replicas), held(&account.replayed));
    for (place, executions) in &before {
        // A replica may have moved elsewhere meanwhile.
        let Some(after) = after.get(place) else { continue };
        for (id, kept) in executions {
            if after.get(id) != Some(kept) {
                wrong.push(format!("{id} is another one on {place:?} after the last cut"));
            }
        }
    }
    wrong
}

fn equal(replicas: &[Replica]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut digests = BTreeMap::new();
    for replica in replicas {
        let first = *digests.entry((replica.partition, replica.applied)).or_insert(replica.digest);
        if first != replica.digest {
            wrong.push(format!("node {} has another state of partition {}", replica.node, replica.partition));
        }
    }
    wrong
}

#[test]
fn states_that_differ_are_found() {
    use super::sample::{account, id};
    let mut digest = account();
    digest.replicas[1].digest += 1;
    assert_eq!(check(&digest).len(), 1, "replicas differ");
    let mut folded = account();
    for replica in folded.replicas.iter_mut().chain(&mut folded.replayed) {
        replica.executions.get_mut(&id()).unwrap().execution.retries += 1;
    }
    assert_eq!(check(&folded).len(), 1, "it is not what its events add up to");
    let mut read = account();
    read.replayed[0].executions.clear();
    assert_eq!(check(&read).len(), 1, "a disk has lost it");
}
