//! What a seed draws: the cluster, its settings, the work, and what goes wrong when.

use std::collections::BTreeMap;
use std::time::Duration;

use everstep::actors::Roster;
use everstep::consensus;

use super::faults::{Fault, Kind};
use super::node::{address, host};
use super::traps::Trap;
use crate::world::Dice;

/// No simulation takes longer; the phases have their own limits.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Nothing goes wrong before this, so that a cluster has formed, in milliseconds.
const FIRST_FAULT_MS: u64 = 1_500;

/// What a simulation is to be.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Those the cluster begins with.
    pub(crate) nodes: u64,
    /// One more node waits to join.
    pub(crate) spare: bool,
    /// How many replicas a partition has.
    pub(crate) replicas: u64,
    pub(crate) partitions: u16,
    pub(crate) heartbeat_ms: u64,
    pub(crate) election_ms: (u64, u64),
    pub(crate) checkpoint_ms: u64,
    pub(crate) log_tail_entries: u64,
    /// The longest a message takes.
    pub(crate) latency_ms: u64,
    pub(crate) users: u64,
    /// The pause of a user between two requests, on average.
    pub(crate) think_ms: u64,
    /// How long things go wrong.
    pub(crate) faulty_ms: u64,
    /// In order of time, in milliseconds.
    pub(crate) faults: Vec<(u64, Fault)>,
    /// The same for traps.
    pub(crate) traps: Vec<(u64, Trap)>,
}

impl Plan {
    /// The network the cluster lives in.
    pub(crate) fn network<'a>(&self) -> turmoil::Sim<'a> {
        turmoil::Builder::new()
            .rng_seed(self.seed)
            .simulation_duration(LONGEST)
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(self.latency_ms))
            .tcp_capacity(65_536)
            .build()
    }

    /// Draws everything. `faulty_ms` is how long things go wrong.
    pub(crate) fn draw(seed: u64, faulty_ms: u64) -> Self {
        let dice = Dice::new(seed);
        let nodes = *dice.pick(&[1, 3, 3, 3, 3, 5]);
        Self::draw_with(seed, nodes, faulty_ms, &dice)
    }

    /// As `draw`, with so many nodes.
    pub(crate) fn draw_with(seed: u64, nodes: u64, faulty_ms: u64, dice: &Dice) -> Self {
        let heartbeat_ms = dice.between(30, 80);
        let shortest = heartbeat_ms * dice.between(3, 5);
        let partitions_max = if nodes == 5 { 2 } else { 4 };
        let spare = nodes > 1 && dice.percent(35);
        let kinds = kinds(nodes, spare, dice);
        Self {
            seed,
            nodes,
            spare,
            replicas: if dice.percent(50) { nodes } else { nodes.min(3) },
            partitions: u16::try_from(dice.between(1, partitions_max)).unwrap(),
            heartbeat_ms,
            election_ms: (shortest, shortest * 2),
            checkpoint_ms: dice.between(10, 100),
            log_tail_entries: *dice.pick(&[16, 64, 512, 4_096]),
            latency_ms: dice.between(2, 12),
            users: dice.between(3, 6),
            think_ms: dice.between(60, 250),
            faulty_ms,
            faults: draw_faults(&kinds, (nodes, spare), faulty_ms, dice),
            traps: draw_traps(faulty_ms, &Dice::new(seed ^ 0x7ea95)),
        }
    }

    /// All nodes that there may be.
    pub(crate) fn seats(&self) -> std::ops::RangeInclusive<u64> {
        1..=self.nodes + u64::from(self.spare)
    }

    /// Whom a node begins the cluster with; nobody if it joins.
    fn founders(&self, node: u64) -> BTreeMap<u64, String> {
        let all = (1..=self.nodes).filter(|_| node <= self.nodes);
        all.map(|node| (node, address(node))).collect()
    }

    /// The settings of a node.
    pub(crate) fn consensus(&self, node: u64) -> consensus::Config {
        consensus::Config {
            node,
            partitions: self.partitions,
            members: self.founders(node),
            heartbeat_ms: self.heartbeat_ms,
            election_ms: self.election_ms,
            commit_timeout_ms: 5_000,
            checkpoint_ms: self.checkpoint_ms,
            log_tail_entries: self.log_tail_entries,
            inline_io: true,
        }
    }

    /// How a node wants to be known.
    pub(crate) fn roster(&self, node: u64) -> Roster {
        let replicas = usize::try_from(self.replicas).unwrap();
        Roster { peer: address(node), public: format!("http://{}", host(node)), replicas }
    }

    /// How long a leader leads without hearing of a quorum.
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.election_ms.1)
    }

    /// The kinds of faults that are drawn.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<_> = self.faults.iter().map(|(_, fault)| fault.kind()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

/// What goes wrong in this simulation: not everything in each, so that kinds also meet by themselves.
fn kinds(nodes: u64, spare: bool, dice: &Dice) -> Vec<Kind> {
    let possible: Vec<Kind> =
        Kind::ALL.into_iter().filter(|kind| nodes > 1 || !kind.needs_others()).collect();
    loop {
        let drawn = |kind: &Kind| if *kind == Kind::Join { spare } else { dice.percent(45) };
        let chosen: Vec<Kind> = possible.iter().copied().filter(drawn).collect();
        if chosen.len() >= 2 {
            return chosen;
        }
    }
}

fn draw_faults(
    kinds: &[Kind],
    (nodes, spare): (u64, bool),
    faulty_ms: u64,
    dice: &Dice,
) -> Vec<(u64, Fault)> {
    let pause_ms = dice.between(300, 1_800);
    // Each kind once early on, so that it has time to take effect; then by chance.
    let mut at = FIRST_FAULT_MS;
    let mut faults = Vec::new();
    let apart_ms = (faulty_ms / 2).saturating_sub(FIRST_FAULT_MS) / kinds.len() as u64;
    for kind in kinds {
        push(&mut faults, at, Fault::draw(*kind, nodes, dice), nodes, dice);
        at += dice.between(1, 2 * pause_ms).min(apart_ms);
    }
    while at < faulty_ms {
        // From here on whoever joined may be hit like the others.
        let kind = *dice.pick(kinds);
        if kind != Kind::Join {
            let seats = nodes + u64::from(spare);
            push(&mut faults, at, Fault::draw(kind, seats, dice), seats, dice);
        }
        at += dice.between(1, 2 * pause_ms);
    }
    faults
}

/// Sets a trap every few seconds. One at a point that is seldom come to waits until somebody comes.
fn draw_traps(faulty_ms: u64, dice: &Dice) -> Vec<(u64, Trap)> {
    let pause_ms = dice.between(800, 4_000);
    let mut traps = Vec::new();
    let mut at = FIRST_FAULT_MS;
    while at < faulty_ms {
        traps.push((at, Trap::draw(dice)));
        at += dice.between(1, 2 * pause_ms);
    }
    traps
}

/// Adds a fault. Power is often cut while the disk has much to do: there is more to lose then.
fn push(faults: &mut Vec<(u64, Fault)>, at: u64, fault: Fault, nodes: u64, dice: &Dice) {
    let busy = match fault {
        Fault::PowerCut { node, .. } => node..=node,
        Fault::PowerCutAll { .. } => 1..=nodes,
        _ => return faults.push((at, fault)),
    };
    let before = dice.between(20, 150);
    if dice.percent(60) {
        let slow = |node| Fault::SlowDisk { node, commit: 200, lasts: before + 50 };
        faults.extend(busy.map(|node| (at.saturating_sub(before), slow(node))));
    }
    faults.push((at, fault));
}

#[test]
fn a_seed_always_draws_the_same_and_all_kinds_are_drawn_by_some() {
    let describe = |seed| format!("{:?}", Plan::draw(seed, 20_000));
    assert_eq!(describe(7), describe(7));
    assert_ne!(describe(7), describe(8));
    let mut drawn: Vec<Kind> = (1..40).flat_map(|seed| Plan::draw(seed, 20_000).kinds()).collect();
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn.len(), Kind::ALL.len());
}
