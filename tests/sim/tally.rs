//! Numbers of one seed and of many, by name, as a line that a process prints and another one reads.

use std::collections::BTreeMap;
use std::fmt;

/// What the line begins with.
const MARK: &str = "tally:";

/// Numbers by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally(BTreeMap<String, u64>);

impl Tally {
    pub(crate) fn add(&mut self, name: impl Into<String>, number: u64) {
        *self.0.entry(name.into()).or_default() += number;
    }

    pub(crate) fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Those below a prefix, without it.
    pub(crate) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, u64)> {
        self.0.iter().filter_map(move |(name, number)| Some((name.strip_prefix(prefix)?, *number)))
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        other.0.iter().for_each(|(name, number)| self.add(name, *number));
    }

    /// Reads the line among others; nothing if it is not there.
    pub(crate) fn parse(text: &str) -> Self {
        let line = text.lines().find_map(|line| line.strip_prefix(MARK)).unwrap_or_default();
        let pairs = line.split_whitespace().filter_map(|pair| pair.split_once('='));
        let mut tally = Self::default();
        pairs.for_each(|(name, number)| tally.add(name, number.parse().unwrap_or_default()));
        tally
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK}")?;
        self.0.iter().try_for_each(|(name, number)| write!(f, " {name}={number}"))
    }
}

#[test]
fn what_is_printed_is_read_again() {
    let mut tally = Tally::default();
    tally.add("fault.Kill", 3);
    tally.add("requests", 100);
    let read = Tally::parse(&format!("seed 1 holds\n{tally}\nok"));
    assert_eq!(read, tally);
    tally.add_all(&read);
    assert_eq!((tally.of("requests"), tally.below("fault.").collect::<Vec<_>>()), (200, vec![("Kill", 6)]));
}
