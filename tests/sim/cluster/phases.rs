//! The phases of a simulation, from the first step to the verdict.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use everstep::engine::model::{ExecutionId, PartitionId};
use everstep::points::Point;
use everstep::runners::{self, Registry};

use super::drive::Cluster;
use super::faults::Kind;
use super::node::{Door, runners as with_outside};
use super::plan::Plan;
use super::traps::Met;
use crate::account::{Account, Replica};
use crate::invariants;
use crate::tally::Tally;
use crate::users::{Phase, specs, tenant};
use crate::world::simulated;

/// After the last fault the cluster serves again within this.
const SERVES_WITHIN: Duration = Duration::from_secs(10);
/// Once it serves, everything that can move has moved within this.
const MOVES_WITHIN: Duration = Duration::from_secs(5);
/// Once everything has ended, what waits for the disk is written within this.
const WRITES_WITHIN: Duration = Duration::from_secs(5);
/// Once nothing goes wrong, everything has ended within this.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// Executions in a minute of work, below which a run says nothing. The median is ten times as many; a cluster that is
/// unlucky, or a node by itself that is down most of the time, comes to fewer. That is no fault of theirs: they
/// get as much time again, without new faults, before the run counts as one that did too little.
const EXECUTIONS_MIN: u64 = 30;
/// Of so many traps some must kill.
const TRAPS_MANY: usize = 10;

/// What a simulation came to.
pub(crate) struct Outcome {
    pub(crate) trace: Vec<String>,
    pub(crate) wrong: Vec<String>,
    plan: Plan,
    executions: usize,
    effects: usize,
    operations: usize,
    took: BTreeMap<Kind, u64>,
    met: BTreeMap<Point, Met>,
    lost_writes: u64,
    simulated: Duration,
}

impl Outcome {
    /// Its numbers, to be added to those of other seeds.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        let count = |number: usize| u64::try_from(number).unwrap();
        tally.add("requests", count(self.operations));
        tally.add("executions", count(self.executions));
        tally.add("effects", count(self.effects));
        tally.add("lost_writes", self.lost_writes);
        tally.add("seconds", self.simulated.as_secs());
        self.took.iter().for_each(|(kind, times)| tally.add(format!("fault.{kind:?}"), *times));
        for (point, met) in &self.met {
            tally.add(format!("hits.{point:?}"), met.hits);
            tally.add(format!("deaths.{point:?}"), met.deaths);
            tally.add(format!("delays.{point:?}"), met.delays);
        }
        tally
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut faults = String::new();
        for (kind, times) in &self.took {
            write!(faults, " {kind:?} {times}")?;
        }
        let deaths: u64 = self.met.values().map(|met| met.deaths).sum();
        let delays: u64 = self.met.values().map(|met| met.delays).sum();
        write!(
            f,
            "seed {}: {} node(s){}, {} partition(s) × {}, {} requests, {} executions, {} effects, {} faults ({}), \
             {deaths} deaths and {delays} delays at points, {} lost writes, {} s simulated, {}",
            self.plan.seed,
            self.plan.nodes,
            if self.plan.spare { " and a spare one" } else { "" },
            self.plan.partitions,
            self.plan.replicas,
            self.operations,
            self.executions,
            self.effects,
            self.took.values().sum::<u64>(),
            faults.trim(),
            self.lost_writes,
            self.simulated.as_secs(),
            if self.wrong.is_empty() { "holds".to_owned() } else { format!("{} WRONG", self.wrong.len()) },
        )
    }
}

/// Runs a plan from the first step to the verdict.
pub(crate) fn simulate(plan: Plan) -> Outcome {
    let mut cluster = Cluster::build(plan);
    let account = run(&mut cluster);
    let mut wrong = std::mem::take(&mut cluster.wrong);
    wrong.extend(invariants::all(&account));
    wrong.extend(too_little(&cluster, &account));
    let mut trace = std::mem::take(&mut cluster.journal.book().lines);
    trace.extend(histories(&account, &wrong));
    Outcome {
        trace,
        wrong,
        executions: account.executions().len(),
        effects: account.effects.len(),
        operations: account.operations.len(),
        took: cluster.took.clone(),
        met: cluster.traps.met(),
        lost_writes: cluster.lost_writes,
        simulated: cluster.now(),
        plan: cluster.plan.clone(),
    }
}

/// The histories of the executions with which something is wrong.
fn histories(account: &Account, wrong: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for (id, (partition, kept)) in account.executions() {
        let name = id.to_string();
        if wrong.iter().any(|what| what.contains(&name)) {
            lines.push(format!("history of {name} in partition {partition}"));
            lines.extend(kept.history.iter().map(|it| format!("  {} {:?}", it.at, it.event)));
        }
    }
    lines
}

fn run(cluster: &mut Cluster<'_>) -> Account {
    let faulty = Duration::from_millis(cluster.plan.faulty_ms);
    cluster.until(faulty, |_| false);
    let enough = usize::try_from(executions_min(&cluster.plan)).unwrap();
    let seen =
        |cluster: &Cluster<'_>| cluster.plan.kinds().iter().all(|kind| cluster.took.contains_key(kind));
    let proves = |cluster: &Cluster<'_>| cluster.users.begun() >= enough && seen(cluster);
    if !proves(cluster) {
        cluster.calm();
        cluster.until(faulty, proves);
    }
    cluster.heal();
    cluster.users.phase.set(Phase::Settle);
    if !cluster.until(SERVES_WITHIN, serves) {
        cluster.wrong.push(format!("W19: it does not serve within {SERVES_WITHIN:?} after the last fault"));
    }
    let before = moving(cluster);
    cluster.until(MOVES_WITHIN, |_| false);
    for (id, version) in moving(cluster) {
        if before.get(&id) == Some(&version) {
            let what = format!("W19: {id} can move and has not moved within {MOVES_WITHIN:?}");
            cluster.wrong.push(what);
        }
    }
    if !cluster.until(ENDS_WITHIN, |cluster| cluster.users.phase.get() == Phase::Settled) {
        let open = cluster.users.open.borrow().clone();
        cluster.wrong.push(format!("W19: not everything ends within {ENDS_WITHIN:?}: {open:?}"));
    }
    // A replica that was just given to a node may be on its way: W20 says if its last slices do not come.
    cluster.until(WRITES_WITHIN, |cluster| partitions(cluster).all(|id| is_written(cluster, id)));
    let replicas = compare(cluster, "after everything has ended");
    cluster.cut_all_power();
    if !cluster.until(SERVES_WITHIN, serves) {
        cluster.wrong.push("W1: it does not serve after the power of all nodes was cut".to_owned());
    }
    let replayed = compare(cluster, "after the last cut");
    let all = Registry::new(runners::Settings::default(), simulated(0).clock).unwrap();
    let dice = std::sync::Arc::new(crate::world::Dice::new(0));
    let catalogue = with_outside(0, &all, dice, cluster.journal.clone(), cluster.doors.clone()).catalogue();
    let mut book = cluster.journal.book();
    Account {
        operations: std::mem::take(&mut book.operations),
        effects: std::mem::take(&mut book.effects),
        leaders: std::mem::take(&mut book.leaders),
        replicas,
        replayed,
        specs: specs(&catalogue),
    }
}

fn partitions(cluster: &Cluster<'_>) -> impl Iterator<Item = PartitionId> {
    (0..=cluster.plan.partitions).map(PartitionId)
}

/// All nodes run, and each partition is led by one whose actors are at work.
fn serves(cluster: &Cluster<'_>) -> bool {
    let open = cluster.doors.open();
    let health: Vec<_> = open.iter().flat_map(|(_, door)| door.actors.health()).collect();
    cluster.all_up()
        && partitions(cluster).all(|id| health.iter().any(|it| it.partition == id.0 && it.leading))
}

/// Every replica has what its leader has, and has written most of it behind the log.
fn is_written(cluster: &Cluster<'_>, id: PartitionId) -> bool {
    let open = cluster.doors.open();
    let mut views = open.iter().map(|(_, door)| door.consensus.group_view(id));
    let Some(leading) = views.find(|view| view.epoch > 0) else { return false };
    let holds = |node: &u64| leading.voters.contains(node) || leading.learners.contains(node);
    open.iter().filter(|(node, _)| holds(node)).all(|(_, door)| {
        let machine = door.consensus.machine(id);
        machine.applied().index == leading.last && machine.counts().dirty <= invariants::DIRTY_MAX
    })
}

/// The version of each execution that can move now.
fn moving(cluster: &Cluster<'_>) -> BTreeMap<ExecutionId, u64> {
    let mut found = BTreeMap::new();
    for (_, door) in cluster.doors.open() {
        for health in door.actors.health().iter().filter(|it| it.leading && it.partition > 0) {
            let machine = door.consensus.machine(PartitionId(health.partition));
            for row in machine.live().into_iter().filter(|row| row.runnable) {
                let record = machine.record(&tenant(), row.id).unwrap().unwrap();
                found.insert(row.id, record.execution.version);
            }
        }
    }
    found
}

/// Waits until all replicas have applied the same, and reads them.
fn compare(cluster: &mut Cluster<'_>, when: &str) -> Vec<Replica> {
    let applied = |cluster: &Cluster<'_>| -> Vec<Vec<u64>> {
        let of = |partition| {
            let held = members(cluster, partition).into_iter();
            held.map(|(_, door)| door.consensus.machine(partition).applied().index).collect()
        };
        partitions(cluster).map(of).collect()
    };
    let equal = |applied: &[Vec<u64>]| {
        applied.iter().all(|all| !all.is_empty() && all.iter().all(|it| *it == all[0]))
    };
    let caught_up = cluster
        .until(SERVES_WITHIN, |cluster| cluster.all_up() && serves(cluster) && equal(&applied(cluster)));
    if !caught_up {
        let applied = applied(cluster);
        cluster.wrong.push(format!("W1: replicas do not catch up {when}: {applied:?}"));
    }
    let mut replicas = Vec::new();
    for partition in partitions(cluster) {
        for (node, door) in members(cluster, partition) {
            let replica = Replica::read(node, partition, &door.consensus, &door.actors);
            let digest = replica.digest;
            cluster.journal.say(&format!("node {node}, partition {partition}: {digest:016x} {when}"));
            replicas.push(replica);
        }
    }
    replicas
}

/// The nodes that hold a replica of a partition, as its leader knows.
fn members(cluster: &Cluster<'_>, partition: PartitionId) -> Vec<(u64, Door)> {
    let mut open = cluster.doors.open();
    let views = open.iter().map(|(_, door)| door.consensus.group_view(partition));
    let newest = views.filter(|view| view.epoch > 0).max_by_key(|view| view.epoch);
    let held = newest.map(|view| &view.voters | &view.learners).unwrap_or_default();
    open.retain(|(node, _)| held.contains(node));
    open
}

fn executions_min(plan: &Plan) -> u64 {
    EXECUTIONS_MIN * plan.faulty_ms / 60_000
}

/// A run that did too little proves nothing.
fn too_little(cluster: &Cluster<'_>, account: &Account) -> Vec<String> {
    let mut wrong = Vec::new();
    let (count, least) = (account.executions().len() as u64, executions_min(&cluster.plan));
    if count < least {
        wrong.push(format!("too little: {count} executions, at least {least} are expected"));
    }
    if cluster.plan.traps.len() >= TRAPS_MANY && cluster.traps.met().values().all(|met| met.deaths == 0) {
        wrong.push("too little: nobody died in a trap".to_owned());
    }
    for kind in cluster.plan.kinds() {
        if !cluster.took.contains_key(&kind) {
            wrong.push(format!("too little: {kind:?} was drawn and never took effect"));
        }
    }
    wrong
}
