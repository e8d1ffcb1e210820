//! Drives a cluster through time: steps it, breaks it, and mends it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use everstep::consensus::Leadership;
use everstep::runners::{self, Registry};

use super::disk::Disk;
use super::faults::{Fault, Kind};
use super::node::{Doors, Seat, address, host, live, runners};
use super::operator::Operator;
use super::plan::Plan;
use super::traps::{Trap, Traps};
use crate::journal::Journal;
use crate::users::Users;
use crate::world::{Dice, SimClock, simulated};

/// A fault that cannot hit now is tried again after so long, in milliseconds.
pub(super) const LATER_MS: u64 = 100;
/// A disk that is to fail and has not been used for so long is left alone, in milliseconds.
const ARMED_MS: u64 = 2_000;
/// How much time a step takes.
const STEP: Duration = Duration::from_millis(1);
/// How much later than its lease a leader may know that it was replaced: it looks four times in a lease.
const LEASE_GRACE: Duration = Duration::from_millis(300);

/// What is to be done at a time.
#[derive(Debug)]
pub(super) enum Due {
    Fault(Fault),
    Trap(Trap),
    Boot(u64),
    Mend(u64, u64),
    Release(u64),
    NoLoss,
    Quick,
    QuickDisk(u64),
    TrueClock(u64),
    Undrain(u64),
    /// The disk of a node did nothing, so that it could not fail: another one's will.
    Rearm(u64),
}

/// A cluster, and everything around it.
pub(crate) struct Cluster<'a> {
    pub(super) sim: turmoil::Sim<'a>,
    pub(crate) plan: Plan,
    pub(crate) doors: Doors,
    pub(crate) journal: Journal,
    pub(crate) users: Users,
    operator: Operator,
    pub(crate) traps: Traps,
    pub(super) seats: BTreeMap<u64, Arc<Seat>>,
    pub(super) dice: Dice,
    due: BTreeMap<(u64, u64), Due>,
    scheduled: u64,
    pub(super) down: BTreeSet<u64>,
    /// Nodes that will die of their disk, and for how long.
    pub(super) armed: BTreeMap<u64, (Kind, u64)>,
    /// Nodes that were told to stop, and for how long.
    pub(super) stopping: BTreeMap<u64, u64>,
    pub(super) deaths_seen: usize,
    /// How often each kind of fault took effect.
    pub(crate) took: BTreeMap<Kind, u64>,
    /// Writes lost with the power.
    pub(crate) lost_writes: u64,
    /// What must not happen at all.
    pub(crate) wrong: Vec<String>,
}

impl Cluster<'_> {
    /// Builds machines and users; nothing runs before the first step.
    pub(crate) fn build(plan: Plan) -> Self {
        let mut sim = plan.network();
        let (doors, journal) = (Doors::default(), Journal::default());
        let all = Registry::new(runners::Settings::default(), simulated(0).clock).unwrap();
        let effects = Arc::new(Dice::new(plan.seed ^ 0xeffec7));
        let disks: BTreeMap<u64, Disk> = plan.seats().map(|node| (node, Disk::new())).collect();
        let traps = Traps::new(disks.clone(), doors.clone(), journal.clone());
        let mut seats = BTreeMap::new();
        for node in plan.seats() {
            let outside = runners(node, &all, effects.clone(), journal.clone(), doors.clone());
            let seat = Arc::new(seat(&plan, node, disks[&node].clone(), outside, journal.clone()));
            seats.insert(node, seat.clone());
            let (doors, traps) = (doors.clone(), traps.clone());
            sim.host(host(node), move || {
                let (seat, doors, traps) = (seat.clone(), doors.clone(), traps.clone());
                async move {
                    traps.born(seat.node);
                    live(seat, doors).await;
                    Ok(())
                }
            });
        }
        let down: BTreeSet<u64> = plan.seats().filter(|node| *node > plan.nodes).collect();
        down.iter().for_each(|node| sim.crash(host(*node)));
        let users = Users::new(&plan, doors.clone(), journal.clone());
        let at_work = users.clone();
        sim.client("users", async move {
            at_work.work().await;
            Ok(())
        });
        let operator = Operator::new(doors.clone(), journal.clone());
        let operates = operator.clone();
        sim.client("operator", async move {
            operates.work().await;
            Ok(())
        });
        let mut cluster = Self {
            sim,
            doors,
            journal,
            users,
            operator,
            traps,
            seats,
            dice: Dice::new(plan.seed ^ 0xfa17),
            due: BTreeMap::new(),
            scheduled: 0,
            down,
            armed: BTreeMap::new(),
            stopping: BTreeMap::new(),
            deaths_seen: 0,
            took: BTreeMap::new(),
            lost_writes: 0,
            wrong: Vec::new(),
            plan,
        };
        for (at, fault) in cluster.plan.faults.clone() {
            cluster.at(at, Due::Fault(fault));
        }
        for (at, trap) in cluster.plan.traps.clone() {
            cluster.at(at, Due::Trap(trap));
        }
        cluster
    }

    /// Simulated time.
    pub(crate) fn now(&self) -> Duration {
        self.sim.elapsed()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.now().as_millis()).unwrap()
    }

    /// A millisecond passes.
    pub(crate) fn step(&mut self) {
        self.sim.step().expect("no part of the simulation fails by itself");
        self.journal.tick(self.sim.elapsed());
        self.bury_ghosts();
        self.bury();
        self.boot_stopped();
        while let Some(entry) = self.due.first_entry()
            && entry.key().0 <= self.now_ms()
        {
            let due = self.due.pop_first().expect("it was just seen").1;
            self.carry_out(due);
        }
        self.look_who_leads();
    }

    /// Notes every leadership. A leader that was replaced knows it by its lease, whoever it can reach.
    fn look_who_leads(&mut self) {
        let (mut late, journal) = (Vec::new(), &self.journal);
        let limit = self.plan.lease() + LEASE_GRACE;
        self.doors.each(|node, door| {
            for (partition, leadership) in (0..).zip(&door.leadership) {
                if let Leadership::Leading { epoch } = *leadership.borrow()
                    && let Some(since) = journal.leads(node, partition, epoch.0)
                    && since > limit
                    && since <= limit + STEP
                {
                    late.push(format!("W5: node {node} still leads partition {partition} under {epoch:?}"));
                }
            }
        });
        self.wrong.extend(late);
    }

    /// Steps until something holds, or for so long at most. Tells whether it holds.
    pub(crate) fn until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let end = self.now() + limit;
        while !holds(self) {
            if self.now() >= end {
                return false;
            }
            self.step();
        }
        true
    }

    /// Drops the faults that wait for their moment, except those of a kind that was not seen yet.
    pub(crate) fn calm(&mut self) {
        let took = &self.took;
        self.due.retain(|_, due| !matches!(due, Due::Fault(fault) if took.contains_key(&fault.kind())));
    }

    /// Ends every fault, and starts every node that is down.
    pub(crate) fn heal(&mut self) {
        self.journal.say("heal");
        self.due.clear();
        self.traps.clear();
        self.armed.clear();
        self.operator.undrain_all();
        self.sim.set_fail_rate(0.0);
        self.sim.set_max_message_latency(Duration::from_millis(self.plan.latency_ms));
        for node in self.plan.seats() {
            for other in self.others(node).into_iter().filter(|other| *other > node) {
                self.mend(node, other);
            }
            let seat = &self.seats[&node];
            seat.clock.set(self.sim.elapsed(), 0, 0);
            seat.disk.mend();
            seat.disk.quick();
        }
        for node in self.nodes() {
            self.boot(node);
        }
    }

    /// All nodes run.
    pub(crate) fn all_up(&self) -> bool {
        self.doors.open().len() == self.nodes().len()
    }

    /// The nodes of the cluster, those that are about to join included.
    pub(crate) fn nodes(&self) -> Vec<u64> {
        let joins = |node: &u64| *node <= self.plan.nodes || self.took.contains_key(&Kind::Join);
        self.plan.seats().filter(joins).collect()
    }

    fn at(&mut self, at_ms: u64, due: Due) {
        self.scheduled += 1;
        self.due.insert((at_ms, self.scheduled), due);
    }

    pub(super) fn after(&mut self, ms: u64, due: Due) {
        self.at(self.now_ms() + ms, due);
    }

    fn carry_out(&mut self, due: Due) {
        match due {
            Due::Boot(node) => self.boot(node),
            Due::Trap(trap) => self.traps.set(trap),
            Due::Mend(one, other) => self.mend(one, other),
            Due::Release(node) => self.others(node).into_iter().for_each(|other| self.mend(node, other)),
            Due::NoLoss => self.sim.set_fail_rate(0.0),
            Due::Quick => {
                self.sim.set_max_message_latency(Duration::from_millis(self.plan.latency_ms));
            }
            Due::QuickDisk(node) => self.seats[&node].disk.quick(),
            Due::Undrain(node) => self.operator.undrain(node),
            Due::Rearm(node) => self.rearm(node),
            Due::TrueClock(node) => self.seats[&node].clock.set(self.sim.elapsed(), 0, 0),
            Due::Fault(fault) => {
                let hit = self.hit(&fault);
                if hit {
                    self.journal.say(&format!("fault {fault:?}"));
                    if !matches!(fault.kind(), Kind::LogDisk | Kind::StateDisk) {
                        *self.took.entry(fault.kind()).or_default() += 1;
                    }
                } else {
                    self.after(LATER_MS, Due::Fault(fault));
                }
            }
        }
    }

    /// Lets a fault happen. False if it would have no effect now.
    fn hit(&mut self, fault: &Fault) -> bool {
        match *fault {
            Fault::Kill { node, .. }
            | Fault::PowerCut { node, .. }
            | Fault::LogDisk { node, .. }
            | Fault::StateDisk { node, .. }
            | Fault::SlowDisk { node, .. }
            | Fault::Restart { node, .. }
            | Fault::Isolate { node, .. }
            | Fault::Hold { node, .. }
            | Fault::Drain { node, .. }
                if !self.is_whole(node) =>
            {
                return false;
            }
            Fault::Cut { one, other, .. } | Fault::OneWay { from: one, to: other, .. }
                if !self.is_whole(one) || !self.is_whole(other) =>
            {
                return false;
            }
            Fault::PowerCutAll { .. } if !self.all_up() => return false,
            // Two nodes are not drained at once: the others would have to hold everything.
            Fault::Drain { .. } if self.operator.drains() => return false,
            _ => {}
        }
        match *fault {
            Fault::Kill { node, down } => self.kill(node, down),
            Fault::PowerCut { node, down } => {
                self.cut_power(node);
                self.after(down, Due::Boot(node));
            }
            Fault::PowerCutAll { down } => {
                for node in self.nodes() {
                    self.cut_power(node);
                    let apart = self.dice.below(300);
                    self.after(down + apart, Due::Boot(node));
                }
            }
            Fault::LogDisk { node, after, down } => {
                self.seats[&node].disk.log.fail_after(Some(after));
                self.armed.insert(node, (Kind::LogDisk, down));
                self.after(ARMED_MS, Due::Rearm(node));
            }
            Fault::StateDisk { node, after, down } => {
                self.seats[&node].disk.state.fail_after(Some(after));
                self.armed.insert(node, (Kind::StateDisk, down));
                self.after(ARMED_MS, Due::Rearm(node));
            }
            Fault::SlowDisk { node, commit, lasts } => {
                self.seats[&node].disk.slow(commit);
                self.after(lasts, Due::QuickDisk(node));
            }
            Fault::Restart { node, down } => self.restart(node, down),
            _ => self.disturb(fault),
        }
        true
    }

    /// Lets a fault happen that ends no node.
    fn disturb(&mut self, fault: &Fault) {
        match *fault {
            Fault::Cut { one, other, lasts } => {
                self.sim.partition(host(one), host(other));
                self.after(lasts, Due::Mend(one, other));
            }
            Fault::OneWay { from, to, lasts } => {
                self.sim.partition_oneway(host(from), host(to));
                self.after(lasts, Due::Mend(from, to));
            }
            Fault::Isolate { node, lasts } => {
                self.isolate(node);
                self.after(lasts, Due::Release(node));
            }
            Fault::Hold { node, lasts } => {
                for other in self.others(node) {
                    self.sim.hold(host(node), host(other));
                }
                self.after(lasts, Due::Release(node));
            }
            Fault::Loss { rate, lasts } => {
                self.sim.set_fail_rate(rate as f64 / 100_000.0);
                self.after(lasts, Due::NoLoss);
            }
            Fault::Latency { message, lasts } => {
                self.sim.set_max_message_latency(Duration::from_millis(message));
                self.after(lasts, Due::Quick);
            }
            Fault::ClockStep { node, micros } => {
                self.seats[&node].clock.set(self.sim.elapsed(), micros, 0);
                self.after(10_000, Due::TrueClock(node));
            }
            Fault::ClockDrift { node, micros_per_second } => {
                let clock = &self.seats[&node].clock;
                clock.set(self.sim.elapsed(), clock.error(self.sim.elapsed()), micros_per_second);
                self.after(10_000, Due::TrueClock(node));
            }
            Fault::Drain { node, lasts } => {
                self.operator.drain(node);
                self.after(lasts, Due::Undrain(node));
            }
            Fault::Join { node } => self.boot(node),
            _ => unreachable!("{fault:?} ends a node"),
        }
    }

    fn rearm(&mut self, node: u64) {
        if let Some((kind, down)) = self.armed.remove(&node) {
            self.seats[&node].disk.mend();
            let node = 1 + node % self.plan.nodes;
            self.after(1, Due::Fault(Fault::of_disk(kind, node, 3, down)));
        }
    }

    /// It runs, and nothing is planned with it.
    fn is_whole(&self, node: u64) -> bool {
        self.doors.of(node).is_some()
            && !self.armed.contains_key(&node)
            && !self.stopping.contains_key(&node)
            && !self.down.contains(&node)
    }

    pub(super) fn others(&self, node: u64) -> Vec<u64> {
        self.plan.seats().filter(|other| *other != node).collect()
    }

    pub(super) fn isolate(&mut self, node: u64) {
        for other in self.others(node) {
            self.sim.partition(host(node), host(other));
        }
    }

    pub(super) fn mend(&mut self, one: u64, other: u64) {
        self.sim.release(host(one), host(other));
    }
}

/// What a node has before its first life.
fn seat(plan: &Plan, node: u64, disk: Disk, runners: Registry, journal: Journal) -> Seat {
    Seat {
        node,
        disk,
        clock: Arc::new(SimClock::default()),
        entropy: Arc::new(Dice::new(plan.seed ^ (node << 32))),
        consensus: plan.consensus(node),
        join: address(1),
        formed: AtomicBool::new(node <= plan.nodes),
        marks: Arc::default(),
        roster: plan.roster(node),
        runners,
        journal,
    }
}
