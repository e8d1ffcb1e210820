//! Three nodes, and what can go wrong between them.

use std::collections::BTreeSet;
use std::time::Duration;

use everstep::consensus::{Config, Conflict, Error, Leadership, Step};
use everstep::engine::model::Epoch;

use crate::cluster::{Cluster, IDS, PARTITION, others};
use crate::node::{PATIENCE, creation, decided, execution, pause, tenant};

/// More than the log keeps, and more than Raft lets pass between two snapshots.
const MANY: u64 = 1_500;

async fn digests(cluster: &Cluster) -> Vec<u64> {
    let mut digests = Vec::new();
    for node in cluster.nodes.values() {
        digests.push(node.handle.machine(PARTITION).digest().unwrap());
    }
    digests
}

#[tokio::test(flavor = "multi_thread")]
async fn all_have_what_one_was_asked_for() {
    let cluster = Cluster::start(4_096).await;
    for number in 0..50 {
        cluster.append(&IDS, creation(number)).await;
    }
    for id in IDS {
        cluster.caught_up(id, 50).await;
    }
    let digests = digests(&cluster).await;
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");

    let (leader, epoch) = cluster.leader(&IDS).await;
    for id in others(leader) {
        let handle = &cluster.nodes[&id].handle;
        let refused = handle.append(PARTITION, decided(epoch), creation(99), None).await.unwrap_err();
        assert_eq!(refused, Error::NoLeader { partition: PARTITION, hint: Some(leader) });
        handle.linearize(PARTITION).await.unwrap();
        assert_eq!(handle.machine(PARTITION).counts().live, 50, "what was acknowledged is seen everywhere");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_go_on_without_a_leader_that_was_cut_off() {
    let cluster = Cluster::start(4_096).await;
    cluster.append(&IDS, creation(1)).await;
    let (old, old_epoch) = cluster.leader(&IDS).await;

    assert!(cluster.nodes[&old].handle.holds_lease(PARTITION));
    cluster.network.isolate(old);
    // It still believes; nothing comes of it, and it does not say that something did.
    let handle = cluster.nodes[&old].handle.clone();
    let lonely =
        tokio::spawn(async move { handle.append(PARTITION, decided(old_epoch), pause(1, 1), None).await });
    cluster.append(&others(old), creation(2)).await;
    let (new, new_epoch) = cluster.leader(&others(old)).await;
    assert_ne!(new, old);
    assert!(new_epoch > old_epoch, "a later leadership has a higher fence");
    assert!(
        !cluster.nodes[&old].handle.holds_lease(PARTITION),
        "nobody else leads before its lease has lapsed"
    );
    assert!(cluster.nodes[&new].handle.holds_lease(PARTITION));
    assert!(cluster.nodes[&old].handle.linearize(PARTITION).await.is_err(), "its reads may be old");
    let mut belief = cluster.nodes[&old].handle.leadership(PARTITION);
    let lapsed = belief.wait_for(|belief| matches!(belief, Leadership::Following { .. }));
    tokio::time::timeout(PATIENCE, lapsed).await.expect("it notices the silence").unwrap();

    cluster.network.heal();
    let lonely = tokio::time::timeout(PATIENCE, lonely).await.unwrap().unwrap();
    // Asked for late, on a busy machine, it may have reached the new leadership, whose fence refuses it.
    assert!(!matches!(lonely, Ok(Ok(_))), "no quorum had it: {lonely:?}");
    cluster.caught_up(old, 2).await;
    let seen = cluster.nodes[&old].handle.machine(PARTITION).record(&tenant(), execution(1)).unwrap();
    assert_eq!(seen.unwrap().execution.version, 1, "what no quorum had is gone");

    let stale =
        cluster.nodes[&new].handle.append(PARTITION, decided(old_epoch), pause(1, 1), None).await.unwrap();
    assert_eq!(stale.unwrap_err(), Conflict::StaleEpoch { current: new_epoch });
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_machine_slept_has_no_lease_until_it_is_answered() {
    let cluster = Cluster::start(4_096).await;
    cluster.append(&IDS, creation(1)).await;
    let (leader, _) = cluster.leader(&IDS).await;
    let node = &cluster.nodes[&leader];
    assert!(node.handle.holds_lease(PARTITION));
    cluster.network.isolate(leader);
    node.clock.sleep(Duration::from_secs(60));
    assert!(!node.handle.holds_lease(PARTITION), "whoever answered did before");
    assert!(node.handle.linearize(PARTITION).await.is_err(), "nor does it read its own state by itself");

    cluster.network.heal();
    cluster.append(&IDS, creation(2)).await;
    let (leader, _) = cluster.leader(&IDS).await;
    let handle = &cluster.nodes[&leader].handle;
    handle.linearize(PARTITION).await.unwrap();
    let answered = async {
        while !handle.holds_lease(PARTITION) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.expect("it was answered since");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_missed_more_than_the_log_keeps_gets_a_snapshot() {
    let mut cluster = Cluster::start(16).await;
    cluster.append(&IDS, creation(0)).await;
    let (leader, _) = cluster.leader(&IDS).await;
    let behind = others(leader)[0];
    cluster.crash(behind).await;

    let up = others(behind);
    for number in 1..MANY {
        cluster.append(&up, creation(number)).await;
    }
    let purged = async {
        let (leader, _) = cluster.leader(&up).await;
        while cluster.nodes[&leader].first_in_log(PARTITION) == Some(0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, purged).await.expect("the log is purged in time");

    cluster.boot(behind).await;
    cluster.caught_up(behind, usize::try_from(MANY).unwrap()).await;
    assert!(cluster.network.snapshots() > 0, "the log alone could not have done it");

    // It goes on from there, and comes back from there.
    cluster.append(&IDS, creation(MANY)).await;
    cluster.caught_up(behind, usize::try_from(MANY).unwrap() + 1).await;
    cluster.crash(behind).await;
    cluster.boot(behind).await;
    for id in IDS {
        cluster.caught_up(id, usize::try_from(MANY).unwrap() + 1).await;
    }
    let digests = digests(&cluster).await;
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_heard_and_hears_nothing_is_replaced() {
    let cluster = Cluster::start(4_096).await;
    cluster.append(&IDS, creation(1)).await;
    let (deaf, _) = cluster.leader(&IDS).await;
    for other in others(deaf) {
        cluster.network.cut(other, deaf);
    }
    cluster.append(&others(deaf), creation(2)).await;
    let (new, _) = cluster.leader(&others(deaf)).await;
    assert_ne!(new, deaf);
    cluster.network.heal();
    cluster.append(&IDS, creation(3)).await;
    for id in IDS {
        cluster.caught_up(id, 3).await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_notices_who_has_less_than_it_acknowledged() {
    let mut cluster = Cluster::start(4_096).await;
    cluster.append(&IDS, creation(1)).await;
    let (leader, _) = cluster.leader(&IDS).await;
    let [back, other] = others(leader)[..] else { panic!("there are three") };
    cluster.caught_up(back, 1).await;
    cluster.crash(back).await;
    cluster.boot(back).await;
    cluster.append(&[leader], creation(2)).await;
    cluster.caught_up(back, 2).await;
    assert!(cluster.network.went_back().is_empty(), "a restart loses nothing");
    cluster.crash(back).await;
    cluster.wipe(back);
    cluster.boot(back).await;
    let noticed = async {
        while cluster.network.went_back() != BTreeSet::from([back]) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, noticed).await.expect("it is noticed in time");
    cluster.append(&[leader, other], creation(3)).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_voters_that_was_left_half_done_can_be_finished() {
    let cluster = Cluster::start(4_096).await;
    cluster.append(&IDS, creation(1)).await;
    let (leader, _) = cluster.leader(&IDS).await;
    let handle = &cluster.nodes[&leader].handle;
    let two = BTreeSet::from([leader, others(leader)[0]]);
    let until = async |changing| {
        while handle.group_view(PARTITION).changing != changing {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };

    // Whoever asked is gone as soon as the old and the new voters have to agree.
    cluster.network.isolate(leader);
    tokio::select! {
        done = handle.reshape(PARTITION, Step::SetVoters(two.clone())) => panic!("nobody agrees: {done:?}"),
        () = until(true) => {}
    }
    cluster.network.heal();
    let finished = async {
        // Refused as long as the first half is on its way.
        while handle.reshape(PARTITION, Step::SetVoters(two.clone())).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        until(false).await;
    };
    tokio::time::timeout(PATIENCE, finished).await.expect("it is finished in time");
    assert_eq!(handle.group_view(PARTITION).voters, two);
    cluster.append(&IDS, creation(2)).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_leaders_crash_one_after_another() {
    let mut cluster = Cluster::start(4_096).await;
    for round in 0..4_u64 {
        for number in round * 20..(round + 1) * 20 {
            cluster.append(&IDS, creation(number)).await;
        }
        let (leader, _) = cluster.leader(&IDS).await;
        cluster.crash(leader).await;
        cluster.append(&others(leader), creation(1_000 + round)).await;
        cluster.boot(leader).await;
    }
    for id in IDS {
        cluster.caught_up(id, 84).await;
    }
    let digests = digests(&cluster).await;
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    cluster.stop().await;
}

/// A leader reads its own state within its lease, because who has answered it helps nobody else to lead until then.
#[test]
fn a_node_that_is_back_within_the_lease_keeps_what_it_has_promised() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let mut cluster = Cluster::with(Config { inline_io: true, ..Config::default() }).await;
        for round in 0..20 {
            cluster.append(&IDS, creation(2 * round)).await;
            let (leader, _) = cluster.leader(&IDS).await;
            let [follower, eager] = others(leader)[..] else { panic!("there are three") };
            // One has not heard the leader for long, and tries to replace it all the time.
            cluster.network.cut(leader, eager);
            cluster.network.cut(eager, leader);
            tokio::time::sleep(Duration::from_secs(1)).await;
            cluster.append(&[leader], creation(2 * round + 1)).await;
            // The other one has just answered it.
            cluster.network.isolate(leader);
            cluster.crash(follower).await;
            cluster.boot(follower).await;

            cluster.append(&others(leader), creation(1_000 + round)).await;
            let old = &cluster.nodes[&leader].handle;
            let read = old.linearize(PARTITION).await;
            assert!(read.is_err(), "round {round}: what is acknowledged is not here");
            cluster.network.heal();
            for id in IDS {
                cluster.caught_up(id, 3 * (usize::try_from(round).unwrap() + 1)).await;
            }
        }
        cluster.stop().await;
    });
}

/// What a failover on one thread and simulated time comes to: how long it took in all, who led last and
/// under which epoch, and the states.
fn simulated() -> (Duration, u64, Epoch, Vec<u64>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let started = tokio::time::Instant::now();
        let mut cluster = Cluster::with(Config { inline_io: true, ..Config::default() }).await;
        for number in 0..30 {
            cluster.append(&IDS, creation(number)).await;
        }
        let (leader, _) = cluster.leader(&IDS).await;
        cluster.crash(leader).await;
        cluster.append(&others(leader), creation(30)).await;
        cluster.boot(leader).await;
        for id in IDS {
            cluster.caught_up(id, 31).await;
        }
        let (leader, epoch) = cluster.leader(&IDS).await;
        let digests = digests(&cluster).await;
        cluster.stop().await;
        (started.elapsed(), leader, epoch, digests)
    })
}

/// Time is tokio's and stands still unless everybody waits: seconds of a cluster take a moment.
#[test]
fn the_same_seed_repeats_a_failover_to_the_microsecond() {
    let first = simulated();
    assert!(first.3.iter().all(|digest| *digest == first.3[0]), "{first:?}");
    assert!(first.0 < Duration::from_secs(10), "a failover takes no {:?}", first.0);
    assert_eq!(first, simulated());
}
