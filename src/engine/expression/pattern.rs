//! Regular expressions, which run in linear time, within a limit on memory.

use regex::{Regex, RegexBuilder};

/// Bytes of a compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 18;

/// Compiles a pattern. Errors: what is wrong with it, in one line.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build().map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
        format!("this is no regular expression: {reason}")
    })
}
