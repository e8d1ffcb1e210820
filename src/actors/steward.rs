//! Keeps every partition on the nodes it should be on, and leaderships spread over them.
//!
//! The node that leads the catalogue is the steward. It compares what should be with what is and takes one step at
//! a time, the next when the last is committed: a new node follows first and votes when it has caught up; a
//! node that drains hands its leaderships over before it loses its vote. No vote is moved unless a majority of those
//! who are to vote answers. When everybody votes where they should, leaderships are evened out. A steward that falls
//! leaves nothing half done that the next one does not see.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::consensus::{GroupView, Leadership, Membership, NodeRecord, Step};
use crate::engine::model::PartitionId;
use crate::points::{self, Point};

use super::answering::{Answering, Declined};
use super::cluster::NodeView;
use super::fitness::Ability;
use super::handle::Handle;
use super::route::is_leading;

/// Between two looks. Each costs a question to every node.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// After a step that failed, so that a node that is out of reach does not take all attention.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// A leadership is moved only if the cluster was quiet for so many looks: elections settle by themselves.
const QUIET_LOOKS: u32 = 4;

/// Runs until the node stops.
pub(super) async fn keep(handle: Handle) {
    let mut leadership = handle.inner.consensus.leadership(PartitionId::CATALOGUE);
    let mut quiet = 0;
    let mut answering = Answering::default();
    loop {
        if leadership.wait_for(is_leading).await.is_err() {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
        let leading = *leadership.borrow();
        let Leadership::Leading { .. } = leading else {
            (quiet, answering) = (0, Answering::default());
            continue;
        };
        let Some((partition, step)) = next(&handle, &mut answering, quiet >= QUIET_LOOKS).await else {
            quiet += 1;
            continue;
        };
        quiet = 0;
        tracing::info!(%partition, ?step, "a partition is reshaped");
        points::cross(Point::StewardStep).await;
        let reshaped = handle.reshape(partition, step.clone()).await;
        answering.declined.note(partition, &step, reshaped.is_ok());
        if let Err(error) = reshaped {
            tracing::warn!(%partition, %error, "a partition was not reshaped");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// What to do now, if anything.
async fn next(handle: &Handle, answering: &mut Answering, settled: bool) -> Option<(PartitionId, Step)> {
    let view = handle.cluster().await;
    let mut nodes: Vec<NodeRecord> = handle.inner.consensus.machine(PartitionId::CATALOGUE).nodes();
    nodes.retain(|node| node.incarnation != 0);
    let reachable = view.nodes.iter().filter(|node| node.reachable);
    let ability = |node: &&NodeView| Ability::of(&node.unfit);
    let best = reachable.clone().map(|node| ability(&node)).max();
    let fit = reachable.clone().filter(|node| ability(node) > Ability::Poor && Some(ability(node)) == best);
    let fit = fit.map(|node| node.record.id).collect();
    // Who votes and has not registered yet is no node of the catalogue, and is not asked.
    let founders = view.partitions.iter().flat_map(|group| group.voters.iter().copied());
    let all = nodes.iter().map(|node| node.id).chain(founders);
    answering.note(all, reachable.map(|node| node.record.id).collect());
    let mut votes: BTreeMap<u64, usize> = BTreeMap::new();
    for group in &view.partitions {
        group.voters.iter().for_each(|voter| *votes.entry(*voter).or_default() += 1);
    }
    for group in &view.partitions {
        if group.leader.is_none() || group.epoch == 0 {
            continue;
        }
        let wanted = voters(group, &nodes, answering, &votes, handle.inner.replicas);
        let step = if group.changing {
            Some(finish(group, answering, &wanted))
        } else {
            step(group, &nodes, answering, &wanted)
        };
        let step = step.filter(|step| match step {
            Step::SetVoters(voters) => answering.majority(voters),
            _ => true,
        });
        if let Some(step) = step {
            return Some((PartitionId(group.partition), step));
        }
    }
    let dear: BTreeSet<u16> = view.nodes.iter().flat_map(|node| &node.dear).copied().collect();
    if settled { even_out(&view.partitions, &dear, &nodes, &fit, &answering.declined) } else { None }
}

/// Who should vote: those who do, as long as they are to stay, and the nodes with the fewest votes. Who is to go
/// votes until another one can take the place. Who founds the cluster with the others and has not registered yet is to
/// stay, unless it does not come at all: without it the others may be too few for the next that falls.
fn voters(
    group: &GroupView,
    nodes: &[NodeRecord],
    answering: &Answering,
    votes: &BTreeMap<u64, usize>,
    replicas: usize,
) -> BTreeSet<u64> {
    let active = |id: &u64| nodes.iter().any(|node| node.id == *id && node.membership == Membership::Active);
    let comes = |id: &u64| nodes.iter().all(|node| node.id != *id) && answering.lately(*id);
    let count = nodes.iter().filter(|node| node.membership == Membership::Active).count();
    let count = count + group.voters.iter().filter(|id| comes(id)).count();
    let stays = |id: &u64| active(id) || comes(id);
    let mut wanted: BTreeSet<u64> = group.voters.iter().copied().filter(stays).collect();
    let full = replicas.min(count);
    // An even number of voters survives no more than one less. So it is not grown into, and left only for more.
    let target = if full % 2 == 0 && wanted.len() < full { full - 1 } else { full }.max(1);
    let load = |id: &u64| votes.get(id).copied().unwrap_or(0);
    let mut others: Vec<u64> = nodes.iter().map(|node| node.id).filter(active).collect();
    // Who follows already stays the choice: it may be too busy with what it was sent to answer.
    let follows = |id: &u64| group.partition != PartitionId::CATALOGUE.0 && group.learners.contains(id);
    let answers = |id: &u64| answering.now.contains(id) || follows(id) && answering.lately(*id);
    others.retain(|id| !wanted.contains(id) && answers(id));
    others.sort_by_key(|id| (!follows(id), load(id), *id));
    let missing = target.saturating_sub(wanted.len());
    wanted.extend(others.iter().take(missing));
    if wanted.is_empty() {
        // Nobody is to stay: better there than nowhere.
        return group.voters.clone();
    }
    let leaving: Vec<u64> = group.voters.difference(&wanted).copied().collect();
    wanted.extend(leaving.iter().take(target.saturating_sub(wanted.len())));
    while wanted.len() > target {
        let most = wanted.iter().copied().max_by_key(|id| (load(id), *id)).expect("it is not empty");
        wanted.remove(&most);
    }
    // One replica at a time moves from the fullest node to the emptiest, first from one that does not answer.
    let fullest = wanted.iter().copied().max_by_key(|id| (!answering.now.contains(id), load(id), *id));
    let emptiest = others.iter().copied().find(|id| !wanted.contains(id));
    if let (Some(fullest), Some(emptiest)) = (fullest, emptiest)
        && missing == 0
        && load(&fullest) > load(&emptiest) + 1
        && group.leader != Some(fullest)
    {
        wanted.remove(&fullest);
        wanted.insert(emptiest);
    }
    wanted
}

/// A leader that fell in the middle of a change left those who voted before and those who should to vote together,
/// and nobody else ends that. Whoever leads now does, with as many of them: itself, those who answer, those who are
/// wanted, then others.
fn finish(group: &GroupView, answering: &Answering, wanted: &BTreeSet<u64>) -> Step {
    let mut among: Vec<u64> = group.voters.iter().copied().collect();
    among.sort_by_key(|id| {
        (group.leader != Some(*id), !answering.now.contains(id), !wanted.contains(id), *id)
    });
    Step::SetVoters(among.into_iter().take(wanted.len()).collect())
}

/// The next step on the way of a partition to its voters.
fn step(
    group: &GroupView,
    nodes: &[NodeRecord],
    answering: &Answering,
    wanted: &BTreeSet<u64>,
) -> Option<Step> {
    let is_member = |id: &u64| group.voters.contains(id) || group.learners.contains(id);
    let there = nodes.iter().filter(|node| node.membership != Membership::Removed);
    // Every node holds the catalogue.
    let holds = |id: &u64| wanted.contains(id) || group.partition == PartitionId::CATALOGUE.0;
    for node in there.clone().filter(|node| holds(&node.id) && !node.peer.is_empty()) {
        let address = node.peer.clone();
        if !is_member(&node.id) {
            return Some(Step::AddLearner { node: node.id, address });
        }
        if group.addresses.get(&node.id) != Some(&address) {
            return Some(Step::Move { node: node.id, address });
        }
    }
    let active = |id: &u64| nodes.iter().any(|node| node.id == *id && node.membership == Membership::Active);
    let ready = |id: &&u64| group.caught_up(**id) || group.leader == Some(**id);
    let leader = group.leader.filter(|leader| !wanted.contains(leader) || !active(leader));
    let may_take = |id: u64| answering.declined.may_take(PartitionId(group.partition), id);
    let fit = |id: &&u64| active(id) && answering.now.contains(id) && ready(id) && may_take(**id);
    let heir = wanted.iter().find(|id| group.voters.contains(id) && fit(id));
    if wanted.iter().any(|id| !group.voters.contains(id) && !ready(&id)) {
        return None;
    }
    if let (Some(_), Some(to)) = (leader, heir) {
        return Some(Step::Transfer { to: *to });
    }
    if *wanted != group.voters {
        // It leads on until one of the new voters can take over: a leader without a vote may not hear of the next.
        let next: BTreeSet<u64> = wanted.iter().copied().chain(leader).collect();
        return (next != group.voters).then_some(Step::SetVoters(next));
    }
    let there: BTreeSet<u64> = there.map(|node| node.id).collect();
    let stays = |id: &u64| there.contains(id) && holds(id);
    group.learners.iter().find(|id| !stays(id)).map(|id| Step::RemoveLearner(*id))
}

/// Moves one leadership from the node that leads most to a voter that leads least, but none under which attempts in
/// flight are dear.
fn even_out(
    partitions: &[GroupView],
    dear: &BTreeSet<u16>,
    nodes: &[NodeRecord],
    reachable: &BTreeSet<u64>,
    declined: &Declined,
) -> Option<(PartitionId, Step)> {
    let active = nodes.iter().filter(|node| node.membership == Membership::Active);
    let mut leads: BTreeMap<u64, usize> =
        active.map(|node| node.id).filter(|id| reachable.contains(id)).map(|id| (id, 0)).collect();
    for leader in partitions.iter().filter_map(|partition| partition.leader) {
        *leads.entry(leader).or_default() += 1;
    }
    let mut best: Option<(usize, PartitionId, u64)> = None;
    for partition in partitions.iter().filter(|partition| !dear.contains(&partition.partition)) {
        let Some(leader) = partition.leader else { continue };
        let here = leads.get(&leader).copied().unwrap_or(0);
        let may_take = |id: &&u64| declined.may_take(PartitionId(partition.partition), **id);
        let ready = |id: &&u64| reachable.contains(id) && partition.caught_up(**id);
        let voters = partition.voters.iter().filter(ready).filter(may_take);
        for voter in voters.filter(|id| **id != leader) {
            let Some(there) = leads.get(voter).copied() else { continue };
            let gain = here.saturating_sub(there);
            if gain > 1 && best.is_none_or(|(most, ..)| gain > most) {
                best = Some((gain, PartitionId(partition.partition), *voter));
            }
        }
    }
    best.map(|(_, partition, to)| (partition, Step::Transfer { to }))
}

#[cfg(test)]
mod tests {
    use super::super::answering::{OFFER_AGAIN, SILENT_LOOKS_MAX};
    use super::*;

    fn node(id: u64, membership: Membership) -> NodeRecord {
        NodeRecord { id, incarnation: 1, peer: format!("n{id}"), membership, ..NodeRecord::default() }
    }

    fn active(ids: &[u64]) -> Vec<NodeRecord> {
        ids.iter().map(|id| node(*id, Membership::Active)).collect()
    }

    fn group(leader: u64, voters: &[u64], learners: &[u64]) -> GroupView {
        let all = voters.iter().chain(learners);
        GroupView {
            partition: 1,
            leader: Some(leader),
            epoch: 1,
            voters: voters.iter().copied().collect(),
            learners: learners.iter().copied().collect(),
            addresses: all.clone().map(|id| (*id, format!("n{id}"))).collect(),
            behind: all.map(|id| (*id, 0)).collect(),
            ..GroupView::default()
        }
    }

    fn answering(now: &[u64]) -> Answering {
        let mut answering = Answering::default();
        answering.note(now.iter().copied(), now.iter().copied().collect());
        answering
    }

    fn everybody() -> Answering {
        answering(&[1, 2, 3, 4])
    }

    fn wanted(group: &GroupView, nodes: &[NodeRecord]) -> Vec<u64> {
        let all: Vec<u64> = nodes.iter().map(|node| node.id).collect();
        voters(group, nodes, &answering(&all), &BTreeMap::new(), 3).into_iter().collect()
    }

    #[test]
    fn a_cluster_grows_from_one_voter_to_three_and_not_to_two() {
        assert_eq!(wanted(&group(1, &[1], &[]), &active(&[1, 2])), [1]);
        assert_eq!(wanted(&group(1, &[1], &[]), &active(&[1, 2, 3])), [1, 2, 3]);
        assert_eq!(wanted(&group(1, &[1, 2, 3], &[]), &active(&[1, 2, 3, 4])), [1, 2, 3]);
    }

    #[test]
    fn a_lost_node_costs_no_more_than_its_own_vote() {
        let mut nodes = active(&[1, 2]);
        nodes.push(node(3, Membership::Removed));
        assert_eq!(wanted(&group(1, &[1, 2, 3], &[]), &nodes), [1, 2]);
    }

    #[test]
    fn a_founder_that_has_not_registered_yet_keeps_its_vote() {
        let group = group(1, &[1, 2, 3], &[]);
        let mut answers = answering(&[1]);
        let mut chosen = || {
            answers.note([1, 2, 3].into_iter(), BTreeSet::from([1]));
            voters(&group, &active(&[1]), &answers, &BTreeMap::new(), 3)
        };
        for _ in 0..SILENT_LOOKS_MAX {
            assert_eq!(chosen(), BTreeSet::from([1, 2, 3]), "it is on its way");
        }
        assert_eq!(chosen(), BTreeSet::from([1]), "nobody waits for ever");
    }

    #[test]
    fn a_new_node_follows_before_it_votes() {
        let nodes = active(&[1, 2, 3]);
        let all = BTreeSet::from([1, 2, 3]);
        let mut group = group(1, &[1], &[]);
        assert_eq!(
            step(&group, &nodes, &everybody(), &all),
            Some(Step::AddLearner { node: 2, address: "n2".into() })
        );
        group.learners.extend([2, 3]);
        group.addresses.extend([(2, "n2".into()), (3, "n3".into())]);
        group.behind.extend([(2, 0), (3, 100_000)]);
        assert_eq!(step(&group, &nodes, &everybody(), &all), None, "node 3 is still far behind");
        group.behind.insert(3, 10);
        assert_eq!(step(&group, &nodes, &everybody(), &all), Some(Step::SetVoters(all.clone())));
    }

    #[test]
    fn a_node_that_drains_hands_over_before_it_loses_its_vote() {
        let mut nodes = active(&[2, 3, 4]);
        nodes.push(node(1, Membership::Draining));
        let mut group = group(1, &[1, 2, 3], &[4]);
        let all = BTreeSet::from([2, 3, 4]);
        assert_eq!(wanted(&group, &nodes), [2, 3, 4]);
        assert_eq!(step(&group, &nodes, &everybody(), &all), Some(Step::Transfer { to: 2 }));
        group.leader = Some(2);
        assert_eq!(step(&group, &nodes, &everybody(), &all), Some(Step::SetVoters(all.clone())));
        group.voters = all.clone();
        group.learners = BTreeSet::from([1]);
        assert_eq!(step(&group, &nodes, &everybody(), &all), Some(Step::RemoveLearner(1)));
        group.learners.clear();
        assert_eq!(step(&group, &nodes, &everybody(), &all), None);
    }

    #[test]
    fn who_is_to_go_votes_until_another_takes_the_place() {
        let mut nodes = active(&[2, 3, 4]);
        nodes.push(node(1, Membership::Draining));
        let wanted = |group: &GroupView, reachable: &[u64]| {
            voters(group, &nodes, &answering(reachable), &BTreeMap::new(), 3)
        };
        let mut group = group(1, &[1, 2, 3], &[]);
        let stays = wanted(&group, &[1, 2, 3]);
        assert_eq!(stays, BTreeSet::from([1, 2, 3]), "node 4 does not answer");
        assert_eq!(
            step(&group, &nodes, &everybody(), &stays),
            Some(Step::Transfer { to: 2 }),
            "but it need not lead"
        );
        group.leader = Some(2);
        assert_eq!(step(&group, &nodes, &everybody(), &stays), None);
        group.learners.insert(4);
        group.addresses.insert(4, "n4".into());
        let moves = wanted(&group, &[1, 2, 3]);
        assert_eq!(moves, BTreeSet::from([2, 3, 4]), "node 4 is busy with what it was sent");
        assert_eq!(step(&group, &nodes, &everybody(), &moves), None, "it is not there yet");
        group.behind.insert(4, 0);
        assert_eq!(step(&group, &nodes, &everybody(), &moves), Some(Step::SetVoters(moves.clone())));
    }

    #[test]
    fn a_change_that_was_left_half_done_is_finished() {
        let mut group = group(1, &[1, 2, 3, 4], &[]);
        group.changing = true;
        let all = BTreeSet::from([1, 2, 3]);
        assert_eq!(finish(&group, &everybody(), &all), Step::SetVoters(all.clone()));
        let others = BTreeSet::from([2, 3, 5]);
        assert_eq!(
            finish(&group, &everybody(), &others),
            Step::SetVoters(all),
            "the leader stays, node 5 comes later"
        );
    }

    #[test]
    fn the_only_voter_votes_on_beside_the_one_that_takes_its_place() {
        let nodes = [node(1, Membership::Draining), node(2, Membership::Active)];
        let mut group = group(1, &[1], &[2]);
        let two = BTreeSet::from([2]);
        let next = |group: &GroupView| step(group, &nodes, &answering(&[1, 2]), &two);
        assert_eq!(next(&group), Some(Step::SetVoters(BTreeSet::from([1, 2]))));
        (group.voters, group.learners) = (BTreeSet::from([1, 2]), BTreeSet::new());
        assert_eq!(next(&group), Some(Step::Transfer { to: 2 }));
        group.leader = Some(2);
        assert_eq!(next(&group), Some(Step::SetVoters(two.clone())));
    }

    #[test]
    fn no_vote_is_moved_to_a_majority_that_does_not_answer() {
        let mut nodes = active(&[2, 3]);
        nodes.push(node(1, Membership::Draining));
        let group = group(2, &[1, 2, 3], &[]);
        let answers = answering(&[1, 2]);
        let wanted = voters(&group, &nodes, &answers, &BTreeMap::new(), 3);
        let Some(Step::SetVoters(next)) = step(&group, &nodes, &answers, &wanted) else {
            panic!("node 1 drains");
        };
        assert_eq!(next, BTreeSet::from([2, 3]));
        assert!(!answers.majority(&next), "node 3 is down, and with node 1 gone node 2 would be alone");
        assert!(answering(&[1, 2, 3]).majority(&next));
    }

    #[test]
    fn a_new_node_gets_the_votes_of_one_that_does_not_answer_first() {
        let votes = BTreeMap::from([(1, 5), (2, 5), (3, 5)]);
        let chosen = |now: &[u64]| {
            voters(&group(2, &[1, 2, 3], &[]), &active(&[1, 2, 3, 4]), &answering(now), &votes, 3)
        };
        assert_eq!(chosen(&[2, 3, 4]), BTreeSet::from([2, 3, 4]));
        assert_eq!(chosen(&[1, 2, 3, 4]), BTreeSet::from([1, 2, 4]));
    }

    #[test]
    fn where_all_are_to_go_they_stay() {
        let nodes = [1, 2, 3].map(|id| node(id, Membership::Draining));
        assert_eq!(wanted(&group(1, &[1, 2, 3], &[]), &nodes), [1, 2, 3]);
    }

    #[test]
    fn who_follows_and_is_silent_for_long_is_not_waited_for() {
        let mut nodes = active(&[1, 2, 4, 5]);
        nodes.push(node(3, Membership::Removed));
        let group = group(1, &[1, 2, 3], &[4]);
        let mut answers = answering(&[1, 2, 5]);
        let mut chosen = || {
            answers.note([1, 2, 4, 5].into_iter(), BTreeSet::from([1, 2, 5]));
            voters(&group, &nodes, &answers, &BTreeMap::new(), 3)
        };
        for _ in 0..SILENT_LOOKS_MAX {
            assert_eq!(chosen(), BTreeSet::from([1, 2, 4]), "it may be busy");
        }
        assert_eq!(chosen(), BTreeSet::from([1, 2, 5]));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_take_a_leadership_is_offered_it_less_and_less_often() {
        let nodes = [node(1, Membership::Draining), node(2, Membership::Active), node(3, Membership::Active)];
        let mut answers = everybody();
        let mut next = |taken: bool| {
            let group = group(1, &[1, 2, 3], &[]);
            let offer = step(&group, &nodes, &answers, &BTreeSet::from([2, 3]));
            if let Some(offer) = &offer {
                answers.declined.note(PartitionId(1), offer, taken);
            }
            offer
        };
        assert_eq!(next(false), Some(Step::Transfer { to: 2 }));
        assert_eq!(next(false), Some(Step::Transfer { to: 3 }));
        assert_eq!(next(false), None, "it leads on, with its vote");
        tokio::time::advance(OFFER_AGAIN).await;
        assert_eq!(next(false), Some(Step::Transfer { to: 2 }));
        assert_eq!(next(true), Some(Step::Transfer { to: 3 }));
        tokio::time::advance(OFFER_AGAIN).await;
        assert_eq!(next(true), Some(Step::Transfer { to: 3 }), "node 2 is left alone for twice as long");
        tokio::time::advance(OFFER_AGAIN).await;
        assert_eq!(next(true), Some(Step::Transfer { to: 2 }));
    }

    #[test]
    fn leaderships_are_evened_out() {
        let nodes = active(&[1, 2, 3]);
        let reachable = BTreeSet::from([1, 2, 3]);
        let mut groups: Vec<_> =
            (0..5).map(|id| GroupView { partition: id, ..group(1, &[1, 2, 3], &[]) }).collect();
        let mut moves = 0;
        let dear = BTreeSet::from([3]);
        while let Some((partition, Step::Transfer { to })) =
            even_out(&groups, &dear, &nodes, &reachable, &Declined::default())
        {
            assert_ne!(partition.0, 3, "what is in flight there would be lost");
            groups[usize::from(partition.0)].leader = Some(to);
            moves += 1;
        }
        assert_eq!(moves, 3, "two stay, the others get two and one");
    }
}
