//! A scenario: what there is, what clients do, what breaks how often, and what must have happened in the end.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::client::Plan;
use crate::fault::Kind;
use crate::seed::Random;

/// A scenario as its file says it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What it is for.
    pub(crate) about: String,
    /// Nodes in the beginning.
    pub(crate) nodes: u64,
    /// Data partitions.
    pub(crate) partitions: u16,
    /// How many nodes hold each partition, if there are as many: 1, 3 or 5.
    #[serde(default = "three")]
    pub(crate) replicas: usize,
    /// How many nodes a fault may take at the same time, where it takes some and not all; less than half of them.
    #[serde(default = "one")]
    pub(crate) at_once: u64,
    /// How long faults go on, in seconds.
    pub(crate) seconds: u64,
    /// The longest wait between two faults, in milliseconds.
    pub(crate) pause_ms: u64,
    /// How long the cluster may take to be itself again after a fault, in seconds.
    #[serde(default = "ten")]
    pub(crate) heal_s: u64,
    /// Every process runs under the model of a power cut; slow.
    #[serde(default)]
    pub(crate) power_loss: bool,
    /// Every data directory lies on a file system of its own of this size in mebibytes, if this user may mount one.
    #[serde(default)]
    pub(crate) disk_mib: u64,
    /// What clients do.
    pub(crate) load: Load,
    /// What breaks.
    pub(crate) faults: BTreeMap<Kind, Fault>,
    /// What must have happened; a run that did less proves nothing.
    #[serde(default)]
    pub(crate) demand: Demand,
}

/// What clients do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Load {
    pub(crate) writers: u64,
    pub(crate) readers: u64,
    /// Submissions a second.
    pub(crate) rate: f64,
    /// Unfinished executions beyond which nobody submits.
    pub(crate) open_max: usize,
}

/// How often one kind of fault comes, and how long it lasts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) weight: u64,
    /// Shortest and longest, in milliseconds. What lasts as long as it takes has none.
    #[serde(default)]
    pub(crate) ms: (u64, u64),
}

/// What must have happened.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Demand {
    /// Faults that took effect, all kinds together.
    pub(crate) faults: u64,
    /// Each kind that could be tried took effect at least once.
    pub(crate) every_kind: bool,
    /// Acknowledged submissions.
    pub(crate) acknowledged: u64,
    /// Attempts that were lost with their node and tried again.
    pub(crate) lost: u64,
}

const fn ten() -> u64 {
    10
}

const fn three() -> usize {
    3
}

const fn one() -> u64 {
    1
}

impl Scenario {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let scenario: Self = toml::from_str(&text).with_context(|| format!("read {}", path.display()))?;
        ensure!(!scenario.faults.is_empty(), "{}: nothing breaks", path.display());
        ensure!(
            scenario.faults.values().any(|fault| fault.weight > 0),
            "{}: all weights are 0",
            path.display()
        );
        ensure!(
            scenario.nodes >= 1 && scenario.load.rate > 0.0,
            "{}: there is nothing to do",
            path.display()
        );
        let replicas = scenario.replicas.min(usize::try_from(scenario.nodes)?);
        ensure!(
            (1..=replicas.saturating_sub(1).max(2) as u64 / 2).contains(&scenario.at_once),
            "{}: at_once is not a minority of the replicas",
            path.display()
        );
        let needs_power = scenario.faults.contains_key(&Kind::PowerLoss);
        ensure!(!needs_power || scenario.power_loss, "{}: power_loss has to be on", path.display());
        Ok(scenario)
    }

    /// What clients do.
    pub(crate) fn plan(&self) -> Plan {
        let Load { writers, readers, rate, open_max } = self.load;
        Plan { writers, readers, rate, open_max, cancels: true }
    }

    /// A run that is shorter than the scenario has to show less, in proportion.
    pub(crate) fn shorten(&mut self, seconds: u64) {
        if seconds < self.seconds {
            let part = |wanted: u64| wanted * seconds / self.seconds;
            let Demand { faults, acknowledged, lost, .. } = self.demand;
            self.demand = Demand {
                faults: part(faults),
                every_kind: false,
                acknowledged: part(acknowledged),
                lost: part(lost),
            };
        }
        self.seconds = seconds;
    }
}

/// Faults to come: every kind as often as it weighs, in any order, and then again.
#[derive(Debug, Default)]
pub(crate) struct Deck(Vec<Kind>);

impl Deck {
    /// The next kind and how long it lasts, among those that are not `unfit`.
    pub(crate) fn draw(
        &mut self,
        scenario: &Scenario,
        random: &mut Random,
        unfit: &BTreeMap<Kind, String>,
    ) -> Option<(Kind, Duration)> {
        if self.0.is_empty() {
            let fit = scenario.faults.iter().filter(|(kind, _)| !unfit.contains_key(kind));
            let cards =
                |(kind, fault): (&Kind, &Fault)| (0..fault.weight).map(move |_| *kind).collect::<Vec<_>>();
            let kinds = fit.map(|(kind, fault)| cards((kind, fault)));
            self.0 = kinds.flatten().collect();
        }
        if self.0.is_empty() {
            return None;
        }
        let place = usize::try_from(random.below(self.0.len() as u64)).unwrap_or(0);
        let kind = self.0.swap_remove(place);
        let (from, to) = scenario.faults[&kind].ms;
        Some((kind, random.between(Duration::from_millis(from), Duration::from_millis(to))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Vec<(std::path::PathBuf, Scenario)> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let files = std::fs::read_dir(dir).expect("scenarios are shipped");
        let files = files.map(|file| file.expect("a file").path());
        files.map(|path| (path.clone(), Scenario::read(&path).expect("it is well formed"))).collect()
    }

    #[test]
    fn every_shipped_scenario_is_well_formed_and_demands_something() {
        for (path, scenario) in shipped() {
            assert!(scenario.demand.faults > 0 && scenario.demand.acknowledged > 0, "{}", path.display());
        }
    }

    #[test]
    fn every_kind_is_in_some_shipped_scenario() {
        let all = shipped();
        for kind in Kind::ALL {
            assert!(all.iter().any(|(_, scenario)| scenario.faults.contains_key(&kind)), "{kind}");
        }
    }

    #[test]
    fn a_seed_draws_the_same_faults_again_and_each_kind_as_it_weighs() {
        for (path, scenario) in shipped() {
            let total: u64 = scenario.faults.values().map(|fault| fault.weight).sum();
            let draws = |seed| {
                let (mut deck, mut random) = (Deck::default(), Random::new(seed));
                let mut draw =
                    || deck.draw(&scenario, &mut random, &BTreeMap::new()).expect("there are kinds");
                (0..total).map(|_| draw()).collect::<Vec<_>>()
            };
            assert_eq!(draws(3), draws(3));
            assert_ne!(draws(3), draws(4), "{}", path.display());
            for (kind, fault) in &scenario.faults {
                let count = draws(3).iter().filter(|(drawn, _)| drawn == kind).count();
                assert_eq!(count as u64, fault.weight, "{kind} in {}", path.display());
            }
        }
    }

    #[test]
    fn a_shorter_run_has_to_show_less() {
        let (_, mut scenario) = shipped().remove(0);
        let (before, seconds) = (scenario.demand.faults, scenario.seconds);
        scenario.shorten(seconds);
        assert_eq!(scenario.demand.faults, before);
        scenario.shorten(seconds / 2);
        assert_eq!(scenario.demand.faults, before * (seconds / 2) / seconds);
    }
}
