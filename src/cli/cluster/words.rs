//! What is going on in a cluster, in words.

use everstep_sdk::{ClusterNode, ClusterPartition, ClusterStatus};

use super::super::style::one_line;

/// Entries a node may lack without a word: it has them a moment later.
const BEHIND_WORTH_A_WORD: u64 = 1_000;

/// How a sentence is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// Work goes on, and somebody should look.
    Warning,
    /// Some work does not go on.
    Bad,
}

/// First how the cluster is as a whole, then one sentence for each thing worth knowing, the worst first.
pub(super) fn words(status: &ClusterStatus) -> Vec<(Tone, String)> {
    let mut said: Vec<(Tone, String)> = leaderless(status).map(|text| (Tone::Bad, text)).collect();
    said.extend(status.nodes.iter().filter_map(|node| of_node(status, node)));
    said.extend(spare(status));
    said.extend(replicas(status));
    for partition in status.partitions.iter().filter(|it| it.changing) {
        said.push((Tone::Good, format!("partition {} changes its voters", partition.partition)));
    }
    let worst = |tone| said.iter().any(|(said, _)| *said == tone);
    let tone = match (worst(Tone::Bad), worst(Tone::Warning)) {
        (true, _) => Tone::Bad,
        (false, true) => Tone::Warning,
        (false, false) => Tone::Good,
    };
    said.insert(0, (tone, overall(status)));
    said
}

/// How many entries a node lacks, over all partitions whose leader told.
pub(super) fn behind(status: &ClusterStatus, node: u64) -> u64 {
    status.partitions.iter().filter_map(|it| it.behind.get(&node)).sum()
}

/// A number as people read it: 12,000.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn overall(status: &ClusterStatus) -> String {
    let there = status.nodes.iter().filter(|node| node.status != "reserved");
    let reachable = there.clone().filter(|node| node.reachable).count();
    let reach = format!("{reachable} of {} reachable", plural(there.count() as u64, "node", "nodes"));
    let leaderless: Vec<u64> =
        status.partitions.iter().filter(|it| !is_led(status, it)).map(|it| u64::from(it.partition)).collect();
    let leaders = match leaderless.as_slice() {
        [] => "every partition has a leader".to_owned(),
        all if all.len() == status.partitions.len() => "no partition has a leader".to_owned(),
        some => format!("{} {} no leader", named("partition", some), has(some)),
    };
    format!("{reach}; {leaders}")
}

/// A leader that does not answer leads nobody.
pub(super) fn is_led(status: &ClusterStatus, partition: &ClusterPartition) -> bool {
    partition.leader.is_some_and(|leader| is_reachable(status, leader))
}

fn is_reachable(status: &ClusterStatus, id: u64) -> bool {
    status.nodes.iter().any(|node| node.id == id && node.reachable)
}

/// One sentence for all partitions of which the same is to be said.
fn leaderless(status: &ClusterStatus) -> impl Iterator<Item = String> {
    let mut alike: Vec<(Why, Vec<u64>)> = Vec::new();
    for partition in status.partitions.iter().filter(|it| !is_led(status, it)) {
        let (number, why) = (u64::from(partition.partition), why(status, partition));
        match alike.iter_mut().find(|(known, _)| *known == why) {
            Some((_, numbers)) => numbers.push(number),
            None => alike.push((why, vec![number])),
        }
    }
    alike.into_iter().map(|(why, numbers)| why.of(&numbers))
}

/// Why a partition has no leader.
#[derive(Debug, PartialEq, Eq)]
enum Why {
    Electing,
    ElectingWithout(Vec<u64>),
    Silent { leader: u64 },
    Removed { leader: u64 },
    NoMajority { silent: Vec<u64> },
}

impl Why {
    fn of(&self, partitions: &[u64]) -> String {
        let (who, has) = (named("partition", partitions), has(partitions));
        let was = if partitions.len() == 1 { "was" } else { "were" };
        let missing = |nodes: &[u64]| {
            let verb = if nodes.len() == 1 { "does" } else { "do" };
            format!("{} {verb} not answer", named("node", nodes))
        };
        match self {
            Self::Electing => format!("{who} {has} no leader: the voters elect one"),
            Self::ElectingWithout(silent) => {
                format!("{who} {has} no leader: {}, and the other voters elect one", missing(silent))
            }
            Self::Removed { leader } => {
                format!("{who} {was} led by node {leader}, which was removed: the voters elect another one")
            }
            Self::Silent { leader } => {
                format!(
                    "{who} {was} led by node {leader}, which does not answer the node that was asked; where the other \
                     voters do not hear it either they elect one"
                )
            }
            Self::NoMajority { silent } => {
                let their = if partitions.len() == 1 { "its" } else { "their" };
                format!(
                    "{who} {has} no leader and no majority to elect one, unless {their} voters hear each other and not the \
                     node that was asked: {}; ask another one too",
                    missing(silent)
                )
            }
        }
    }
}

fn why(status: &ClusterStatus, partition: &ClusterPartition) -> Why {
    let silent: Vec<u64> = partition.voters.iter().copied().filter(|id| !is_reachable(status, *id)).collect();
    let up = partition.voters.len() - silent.len();
    let majority = up > partition.voters.len() / 2;
    match partition.leader {
        _ if silent.is_empty() => Why::Electing,
        _ if !majority => Why::NoMajority { silent },
        Some(leader) if status.nodes.iter().all(|node| node.id != leader) => Why::Removed { leader },
        Some(leader) => Why::Silent { leader },
        None => Why::ElectingWithout(silent),
    }
}

fn of_node(status: &ClusterStatus, node: &ClusterNode) -> Option<(Tone, String)> {
    let (id, lacks) = (node.id, behind(status, node.id));
    if node.status == "reserved" {
        return Some((Tone::Good, format!("node {id} has not come yet: its id is kept for it")));
    }
    if !node.reachable {
        let why = node.unreachable_reason.as_deref().map(|why| format!(": {}", one_line(why, 200)));
        return Some((Tone::Warning, format!("node {id} does not answer{}", why.unwrap_or_default())));
    }
    if !node.unfit.is_empty() {
        let reasons: Vec<&str> = node.unfit.iter().map(|why| unfit(why)).collect();
        return Some((
            Tone::Warning,
            format!("node {id} gives leaderships away: {}", reasons.join(", and ")),
        ));
    }
    if node.status == "draining" {
        return Some(match (node.leads, node.votes) {
            (0, 0) => (Tone::Good, format!("node {id} has drained: it can be stopped and removed")),
            _ => (Tone::Good, format!("node {id} drains: {} left", holds(node))),
        });
    }
    if lacks < BEHIND_WORTH_A_WORD {
        return None;
    }
    let lacks = format!("{} entries behind", grouped(lacks));
    if status.partitions.iter().any(|it| it.learners.contains(&id)) {
        return Some((Tone::Good, format!("node {id} is catching up: {lacks}")));
    }
    Some((Tone::Warning, format!("node {id} is {lacks}")))
}

/// What a node leads and votes in, as far as there is something.
pub(super) fn holds(node: &ClusterNode) -> String {
    let votes = plural(node.votes, "vote", "votes");
    if node.leads == 0 {
        return votes;
    }
    format!("{} and {votes}", plural(node.leads, "leadership", "leaderships"))
}

fn unfit(why: &str) -> &str {
    match why {
        "disk_full" => "its disk is full",
        "disk_slow" => "its disk is slow",
        "clock_off" => "its clock is off",
        "cut_off" => "the other nodes cannot call it",
        "disk_scarce" => "its disk is nearly full",
        other => other,
    }
}

/// Whether the cluster can do without another node. One node alone has nothing to spare, and knows it.
fn spare(status: &ClusterStatus) -> Option<(Tone, String)> {
    let led = status.partitions.iter().filter(|it| is_led(status, it));
    let tight = led.filter(|it| {
        let up = it.voters.iter().filter(|id| is_reachable(status, **id)).count();
        up <= it.voters.len() / 2 + 1
    });
    let tight: Vec<u64> = tight.map(|it| u64::from(it.partition)).collect();
    if status.nodes.len() < 2 || tight.is_empty() {
        return None;
    }
    let who = if tight.len() == status.partitions.len() {
        "every partition needs all its voters that answer".to_owned()
    } else {
        let verb = if tight.len() == 1 { "needs all its" } else { "need all their" };
        format!("{} {verb} voters that answer", named("partition", &tight))
    };
    Some((Tone::Warning, format!("no other node may fail: {who}")))
}

/// What keeps partitions from having all replicas that they are to have. One node alone is meant to be alone.
fn replicas(status: &ClusterStatus) -> Option<(Tone, String)> {
    if status.nodes.len() < 2 {
        return None;
    }
    if let Some(few) = few(status, None) {
        return Some((Tone::Warning, few));
    }
    let led = status.partitions.iter().filter(|it| is_led(status, it));
    let lacking = led.filter(|it| (it.voters.len() as u64) < status.replicas);
    let lacking: Vec<u64> = lacking.map(|it| u64::from(it.partition)).collect();
    let who = named("partition", &lacking);
    let get = if lacking.len() == 1 { "gets" } else { "get" };
    (!lacking.is_empty()).then(|| (Tone::Good, format!("{who} {get} another replica")))
}

/// What it means that there are fewer active nodes than partitions are to have replicas. Who answers may not have heard
/// yet that one is to go.
pub(super) fn few(status: &ClusterStatus, goes: Option<u64>) -> Option<String> {
    let stays = |node: &&ClusterNode| node.status == "active" && goes != Some(node.id);
    let active = status.nodes.iter().filter(stays).count() as u64;
    (active < status.replicas).then(|| {
        let (active, replicas) = (plural(active, "active node is", "active nodes are"), status.replicas);
        format!(
            "{active} too few for {replicas} replicas of each partition, and less can fail: `everstep cluster add` \
             begins another node"
        )
    })
}

/// `node 3`, `nodes 1, 2 and 4`.
fn named(what: &str, ids: &[u64]) -> String {
    let texts: Vec<_> = ids.iter().map(u64::to_string).collect();
    match texts.as_slice() {
        [] => format!("no {what}"),
        [one] => format!("{what} {one}"),
        [some @ .., last] => format!("{what}s {} and {last}", some.join(", ")),
    }
}

const fn has(ids: &[u64]) -> &'static str {
    if ids.len() == 1 { "has" } else { "have" }
}

fn plural(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {many}", grouped(count)) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(id: u64, status: &str, reachable: bool) -> Value {
        json!({"id": id, "status": status, "reachable": reachable, "leads": 0, "votes": 3})
    }

    fn partition(number: u16, leader: Option<u64>, voters: &[u64]) -> Value {
        json!({"partition": number, "leader": leader, "voters": voters, "behind": {}})
    }

    fn said(nodes: Value, partitions: Value) -> Vec<(Tone, String)> {
        let status =
            json!({"name": "test", "node": 1, "replicas": 3, "nodes": nodes, "partitions": partitions});
        words(&serde_json::from_value(status).unwrap())
    }

    fn three(reachable: [bool; 3]) -> Value {
        (1..).zip(reachable).map(|(id, reachable)| node(id, "active", reachable)).collect()
    }

    #[test]
    fn a_quiet_cluster_is_one_sentence() {
        let said = said(three([true; 3]), json!([partition(0, Some(1), &[1, 2, 3])]));
        assert_eq!(said, [(Tone::Good, "3 of 3 nodes reachable; every partition has a leader".to_owned())]);
    }

    #[test]
    fn one_node_alone_is_no_reason_to_worry() {
        let said = said(json!([node(1, "active", true)]), json!([partition(0, Some(1), &[1])]));
        assert_eq!(said, [(Tone::Good, "1 of 1 node reachable; every partition has a leader".to_owned())]);
    }

    #[test]
    fn a_lost_node_is_named_with_what_it_means() {
        let mut nodes = three([true, true, false]);
        nodes[2]["unreachable_reason"] = json!("connection refused");
        let said = said(nodes, json!([partition(0, Some(1), &[1, 2, 3])]));
        let texts: Vec<_> = said.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "2 of 3 nodes reachable; every partition has a leader",
                "node 3 does not answer: connection refused",
                "no other node may fail: every partition needs all its voters that answer",
            ]
        );
        assert_eq!(said[0].0, Tone::Warning);
    }

    #[test]
    fn a_partition_without_a_leader_comes_first() {
        let partitions = json!([
            partition(0, Some(1), &[1, 2, 3]),
            partition(1, None, &[1, 2, 3]),
            partition(2, Some(3), &[1, 2, 3]),
        ]);
        let said = said(three([true, true, false]), partitions);
        assert_eq!(
            said[0],
            (Tone::Bad, "2 of 3 nodes reachable; partitions 1 and 2 have no leader".to_owned())
        );
        let second = "partition 1 has no leader: node 3 does not answer, and the other voters elect one";
        assert_eq!(said[1], (Tone::Bad, second.to_owned()));
        // It may lead all the same, where only this node does not reach it.
        let third = "partition 2 was led by node 3, which does not answer the node that was asked; where the other \
                     voters do not hear it either they elect one";
        assert_eq!(said[2], (Tone::Bad, third.to_owned()));
    }

    #[test]
    fn a_lost_majority_is_called_that() {
        let partitions = json!([partition(1, Some(2), &[1, 2, 3]), partition(2, None, &[1, 2, 3])]);
        let said = said(three([true, false, false]), partitions);
        let second = "partitions 1 and 2 have no leader and no majority to elect one, unless their voters hear each \
                      other and not the node that was asked: nodes 2 and 3 do not answer; ask another one too";
        assert_eq!(said[1], (Tone::Bad, second.to_owned()));
        assert_eq!(said[0].1, "1 of 3 nodes reachable; no partition has a leader");
    }

    #[test]
    fn replicas_that_are_missing_are_told() {
        let texts = |nodes: Value, voters: &[u64]| {
            let said = said(nodes, json!([partition(0, Some(1), voters), partition(1, Some(1), voters)]));
            said.into_iter().skip(1).map(|(_, text)| text).collect::<Vec<_>>()
        };
        let few_said = "2 active nodes are too few for 3 replicas of each partition, and less can fail: `everstep cluster \
                   add` begins another node";
        let two = json!([node(1, "active", true), node(2, "active", true), node(3, "draining", true)]);
        assert!(texts(two, &[1, 2]).contains(&few_said.to_owned()));
        assert_eq!(texts(three([true; 3]), &[1]).last().unwrap(), "partitions 0 and 1 get another replica");
        assert_eq!(texts(three([true; 3]), &[1, 2, 3]), [""; 0]);
        let status = json!({"replicas": 3, "nodes": three([true; 3])});
        let status = serde_json::from_value(status).unwrap();
        assert_eq!((few(&status, None), few(&status, Some(3)).as_deref()), (None, Some(few_said)));
    }

    #[test]
    fn a_leader_that_was_removed_is_called_that() {
        let nodes = json!([node(1, "active", true), node(2, "active", true), node(4, "active", true)]);
        let said = said(nodes, json!([partition(1, Some(3), &[1, 2, 3])]));
        let second = "partition 1 was led by node 3, which was removed: the voters elect another one";
        assert_eq!(said[1], (Tone::Bad, second.to_owned()));
    }

    #[test]
    fn who_comes_goes_or_lags_is_told() {
        let mut drained = node(5, "draining", true);
        drained["votes"] = json!(0);
        let mut nodes = three([true; 3]);
        let more = [node(4, "active", true), drained, node(6, "draining", true), node(7, "reserved", false)];
        nodes.as_array_mut().unwrap().extend(more);
        let mut partition = partition(0, Some(1), &[1, 2, 3]);
        partition["learners"] = json!([4]);
        partition["changing"] = json!(true);
        partition["behind"] = json!({"1": 0, "2": 999, "3": 12_000, "4": 1_234_567});
        let said = said(nodes, json!([partition]));
        let texts: Vec<_> = said.iter().skip(1).map(|(_, text)| text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "node 3 is 12,000 entries behind",
                "node 4 is catching up: 1,234,567 entries behind",
                "node 5 has drained: it can be stopped and removed",
                "node 6 drains: 3 votes left",
                "node 7 has not come yet: its id is kept for it",
                "partition 0 changes its voters",
            ]
        );
    }
}
