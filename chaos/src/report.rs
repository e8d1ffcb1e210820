//! What a run says.

use std::io::Write;

/// A line on stdout. Nobody is left to tell if it cannot be written.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Rows of a name and a value, in line.
pub(crate) fn table(rows: &[(&str, String)]) {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in rows {
        say(&format!("  {name:width$}  {value}"));
    }
}

/// Violations shown; the rest are counted.
const SHOWN_MAX: usize = 20;

/// Says every violation, up to a number that a person reads.
pub(crate) fn violations(violations: &[String]) {
    for violation in violations.iter().take(SHOWN_MAX) {
        say(&format!("  ✗ {violation}"));
    }
    if let Some(more @ 1..) = violations.len().checked_sub(SHOWN_MAX) {
        say(&format!("  … and {more} more"));
    }
}
