//! What became of the damages, by file and kind.

use std::collections::BTreeMap;

use serde::Serialize;

use super::damage::{Damage, Kind};
use crate::report;

/// What became of one.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// `verify` says that something is wrong.
    pub(super) verified: bool,
    /// The node did not start, or ended by itself.
    pub(super) refused: bool,
    /// Answers that were errors.
    pub(super) errors: u64,
    pub(super) violations: Vec<String>,
}

/// What became of all of one kind in one file.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Row {
    cases: u64,
    verified: u64,
    refused: u64,
    /// The node started, and some answers were errors.
    errors: u64,
    /// Everything was as before, and `verify` says that something is damaged.
    harmless_told: u64,
    /// Everything was as before, and nothing was noticed.
    harmless: u64,
    /// Something that must not be.
    wrong: u64,
}

/// What became of all.
#[derive(Debug, Default, Serialize)]
pub(super) struct Tally {
    rows: BTreeMap<String, BTreeMap<Kind, Row>>,
    pub(super) violations: Vec<String>,
    /// The numbers of those that broke a promise.
    pub(super) wrong: Vec<u64>,
}

impl Tally {
    pub(super) fn enter(&mut self, number: u64, damage: &Damage, outcome: Outcome) {
        let row = self.rows.entry(name(damage)).or_default().entry(damage.kind).or_default();
        row.cases += 1;
        row.verified += u64::from(outcome.verified);
        let sound = !outcome.refused && outcome.errors == 0 && outcome.violations.is_empty();
        if !outcome.violations.is_empty() {
            row.wrong += 1;
            self.wrong.push(number);
        } else if outcome.refused {
            row.refused += 1;
        } else if outcome.errors > 0 {
            row.errors += 1;
        }
        row.harmless_told += u64::from(sound && outcome.verified);
        row.harmless += u64::from(sound && !outcome.verified);
        self.violations.extend(outcome.violations);
    }

    /// Adds what another has counted.
    pub(super) fn add(&mut self, other: Self) {
        for (file, kinds) in other.rows {
            for (kind, row) in kinds {
                let sum = self.rows.entry(file.clone()).or_default().entry(kind).or_default();
                sum.add(row);
            }
        }
        self.violations.extend(other.violations);
        self.wrong.extend(other.wrong);
    }

    pub(super) fn tell(&self, seed: u64) {
        let mut total = Row::default();
        let head = ["cases", "verify", "refused", "errors", "same, told", "same", "wrong"];
        let line = |name: &str, kind: &str, cells: [String; 7]| {
            let cells = cells.map(|cell| format!("{cell:>11}")).concat();
            report::say(&format!("  {name:12} {kind:9}{cells}"));
        };
        line("file", "damage", head.map(str::to_owned));
        for (file, kinds) in &self.rows {
            for (kind, row) in kinds {
                total.add(*row);
                line(file, &format!("{kind:?}").to_lowercase(), row.cells());
            }
        }
        line("all", "", total.cells());
        let noticed = total.cases - total.harmless - total.harmless_told - total.wrong;
        report::table(&[
            ("seed", seed.to_string()),
            ("damages", total.cases.to_string()),
            ("noticed by verify", total.verified.to_string()),
            ("refused, or answered with an error", noticed.to_string()),
            ("everything as it was", (total.harmless + total.harmless_told).to_string()),
            ("of those unnoticed", total.harmless.to_string()),
            ("violations", self.violations.len().to_string()),
        ]);
        report::violations(&self.violations);
    }
}

impl Row {
    fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.verified += other.verified;
        self.refused += other.refused;
        self.errors += other.errors;
        self.harmless_told += other.harmless_told;
        self.harmless += other.harmless;
        self.wrong += other.wrong;
    }

    fn cells(&self) -> [String; 7] {
        let Self { cases, verified, refused, errors, harmless_told, harmless, wrong } = *self;
        [cases, verified, refused, errors, harmless_told, harmless, wrong].map(|count| count.to_string())
    }
}

/// The file, without what differs from one directory to the next.
fn name(damage: &Damage) -> String {
    let name = damage.file.display().to_string();
    name.find("snap.").map_or(name.clone(), |at| format!("{}snap", &name[..at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_is_counted_once() {
        let damage = Damage { file: "log/snap.01".into(), kind: Kind::Zeros, at: vec![0], bytes: 9 };
        let mut tally = Tally::default();
        tally.enter(0, &damage, Outcome::default());
        tally.enter(1, &damage, Outcome { verified: true, ..Outcome::default() });
        tally.enter(2, &damage, Outcome { verified: true, refused: true, ..Outcome::default() });
        tally.enter(3, &damage, Outcome { errors: 2, ..Outcome::default() });
        tally.enter(4, &damage, Outcome { violations: vec!["x".to_owned()], ..Outcome::default() });
        let mut sum = Tally::default();
        sum.add(tally);
        let row = sum.rows["log/snap"][&Kind::Zeros];
        assert_eq!(row.cells(), ["5", "2", "1", "1", "1", "1", "1"]);
        assert_eq!(sum.wrong, [4]);
    }
}
