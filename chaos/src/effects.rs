//! The outside record: a file that steps append to, one line per effect that really happened.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

/// One attempt, named as the steps name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Attempt {
    pub(crate) execution: String,
    pub(crate) step: String,
    pub(crate) attempt: u64,
}

/// How often each attempt left its line.
pub(crate) type Effects = BTreeMap<Attempt, usize>;

/// Reads the record. A line that is no line of ours is returned as it is.
pub(crate) fn read(path: &Path) -> Result<(Effects, Vec<String>)> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        text => text.with_context(|| format!("read {}", path.display()))?,
    };
    Ok(parse(&text))
}

fn parse(text: &str) -> (Effects, Vec<String>) {
    let mut effects = Effects::new();
    let mut strange = Vec::new();
    for line in text.lines() {
        match attempt(line) {
            Some(attempt) => *effects.entry(attempt).or_default() += 1,
            None => strange.push(line.to_owned()),
        }
    }
    (effects, strange)
}

/// Reads one line.
pub(crate) fn attempt(line: &str) -> Option<Attempt> {
    let mut words = line.split(' ');
    let (execution, step, attempt) = (words.next()?, words.next()?, words.next()?);
    let attempt = attempt.parse().ok()?;
    words.next().is_none().then(|| Attempt {
        execution: execution.to_owned(),
        step: step.to_owned(),
        attempt,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_by_attempt() {
        let (effects, strange) = parse("e1 s1 1\ne1 s1 2\ne1 s1 2\nnonsense\n");
        let counts: Vec<_> = effects.iter().map(|(attempt, count)| (attempt.attempt, *count)).collect();
        assert_eq!(counts, [(1, 1), (2, 2)]);
        assert_eq!(strange, ["nonsense"]);
    }
}
