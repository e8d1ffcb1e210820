//! What a run of several nodes has found: a table for people, JSON for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::client::Done;
use crate::fault::{Account, Kind};
use crate::report;
use crate::scenario::Scenario;

/// One kind of fault over the whole run.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Tally {
    /// Inflicted.
    pub(crate) inflicted: u64,
    /// Of those, with proof that they took effect.
    pub(crate) took_effect: u64,
    /// Milliseconds until the others served, each.
    pub(crate) serving_ms: Vec<u64>,
    /// Milliseconds from the end of the fault until everything went on, each.
    pub(crate) recovered_ms: Vec<u64>,
    /// What was worth telling, and how often.
    pub(crate) remarks: BTreeMap<String, u64>,
}

/// What a run has found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    pub(crate) seed: u64,
    pub(crate) nodes: u64,
    pub(crate) partitions: u16,
    /// How long faults went on.
    pub(crate) seconds: f64,
    pub(crate) faults: BTreeMap<Kind, Tally>,
    /// Kinds that were not tried, and why.
    pub(crate) skipped: BTreeMap<Kind, String>,
    pub(crate) clients: Done,
    /// Attempts.
    pub(crate) started: usize,
    /// Attempts that were lost with their node.
    pub(crate) lost: usize,
    pub(crate) effects: usize,
    /// Effects whose start was looked for as soon as they had happened.
    pub(crate) effects_checked: u64,
    pub(crate) histories_compared: u64,
    /// Executions that were listed to be counted, on all nodes together.
    pub(crate) counted: u64,
    /// Milliseconds until everything was finished.
    pub(crate) settled_ms: u64,
    pub(crate) violations: Vec<String>,
}

impl Summary {
    pub(crate) fn new(seed: u64, scenario: &Scenario) -> Self {
        Self { seed, nodes: scenario.nodes, partitions: scenario.partitions, ..Self::default() }
    }

    /// Enters a fault.
    pub(crate) fn enter(&mut self, kind: Kind, account: Account, healed: Result<Duration, String>) {
        let tally = self.faults.entry(kind).or_default();
        tally.inflicted += 1;
        tally.took_effect += u64::from(account.proof.is_some());
        tally.serving_ms.extend(account.serving_ms);
        for remark in account.remarks.iter().chain(&account.proof) {
            // What differs from one to the next is in the schedule.
            let general: String = remark.chars().filter(|char| !char.is_ascii_digit()).collect();
            *tally.remarks.entry(general).or_default() += 1;
        }
        match healed {
            Ok(took) => tally.recovered_ms.push(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
            Err(violation) => self.violations.push(violation),
        }
        self.violations.extend(account.violations.into_iter().map(|text| format!("{kind}: {text}")));
    }

    /// A run that proves nothing is no good run.
    pub(crate) fn judge(&mut self, scenario: &Scenario, unfit: &BTreeMap<Kind, String>) {
        let tried = scenario.faults.iter().filter(|(_, fault)| fault.weight > 0);
        let (skipped, tried): (Vec<_>, Vec<_>) =
            tried.map(|(kind, _)| *kind).partition(|kind| unfit.contains_key(kind));
        self.skipped = skipped.into_iter().map(|kind| (kind, unfit[&kind].clone())).collect();
        let demand = &scenario.demand;
        let mut short = |what: &str, is: u64, wanted: u64| {
            if is < wanted {
                self.violations.push(format!("the run proves little: {what} {is}, demanded {wanted}"));
            }
        };
        let effective: u64 = self.faults.values().map(|tally| tally.took_effect).sum();
        short("faults that took effect", effective, demand.faults);
        short("acknowledged", self.clients.acknowledged, demand.acknowledged);
        short("attempts lost", self.lost as u64, demand.lost);
        if demand.every_kind {
            for kind in tried {
                let effective = self.faults.get(&kind).map_or(0, |tally| tally.took_effect);
                short(&format!("{kind}"), effective, 1);
            }
        }
    }

    /// Says it all.
    pub(crate) fn tell(&self) {
        let effective: u64 = self.faults.values().map(|tally| tally.took_effect).sum();
        let per_hour = effective as f64 / self.seconds.max(1.0) * 3600.0;
        let Done { acknowledged, cancelled, decided, reads, lists, not_now, unknown, repeated } =
            self.clients;
        report::table(&[
            ("seed", self.seed.to_string()),
            ("nodes, partitions", format!("{}, {}", self.nodes, self.partitions)),
            ("faults", format!("{effective} in {:.0} s, {per_hour:.0} an hour", self.seconds)),
            ("acknowledged", format!("{acknowledged}, of them cancelled {cancelled}")),
            ("reads, lists", format!("{reads}, {lists}")),
            ("turned down, unknown", format!("{not_now}, {unknown}; submitted again {repeated}")),
            (
                "attempts",
                format!(
                    "{} started, {} lost with their node, {decided} decided by hand",
                    self.started, self.lost
                ),
            ),
            ("effects outside", format!("{}, {} checked at once", self.effects, self.effects_checked)),
            ("histories compared", self.histories_compared.to_string()),
            ("counted", self.counted.to_string()),
            ("settled in", format!("{} ms", self.settled_ms)),
            ("violations", self.violations.len().to_string()),
        ]);
        report::say(&format!(
            "  {:16} {:>9} {:>12} {:>22} {:>22}",
            "fault", "inflicted", "took effect", "others serve, ms", "recovered, ms"
        ));
        for (kind, tally) in &self.faults {
            report::say(&format!(
                "  {:16} {:>9} {:>12} {:>22} {:>22}",
                kind.to_string(),
                tally.inflicted,
                tally.took_effect,
                spread(&tally.serving_ms),
                spread(&tally.recovered_ms)
            ));
        }
        for (kind, why) in &self.skipped {
            report::say(&format!("  {kind} is skipped: {why}"));
        }
        report::violations(&self.violations);
    }
}

/// Median, 99th percentile and maximum.
pub(crate) fn spread(values: &[u64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let Some(max) = sorted.last() else { return "–".to_owned() };
    let at = |percent: usize| sorted[(sorted.len() - 1) * percent / 100];
    format!("{} / {} / {max}", at(50), at(99))
}
