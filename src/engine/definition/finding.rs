//! What is wrong with a definition, and where.

use std::fmt::Write;

/// One thing wrong with a definition. All are reported at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// RFC 6901 pointer to the place.
    pub pointer: String,
    /// A stable word; see [`crate::definition`] for all of them.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
    /// Line in the text, from 1, where known.
    pub line: Option<u32>,
    /// Column in the text, in characters from 1, where known.
    pub column: Option<u32>,
}

/// Shows findings as a compiler would: the place, the line of the file, a caret, and the hint.
#[must_use]
pub fn render(findings: &[Finding], file_name: &str, text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut shown = String::new();
    for finding in findings {
        // Writing to a string does not fail.
        let _ = one(&mut shown, finding, file_name, &lines);
    }
    shown
}

fn one(shown: &mut String, finding: &Finding, file_name: &str, lines: &[&str]) -> std::fmt::Result {
    writeln!(shown, "{}: {}", finding.code, finding.message)?;
    let place = finding.line.zip(finding.column);
    let gutter = finding.line.map_or(1, |line| line.to_string().len());
    match place {
        Some((line, column)) => writeln!(shown, "{:gutter$}--> {file_name}:{line}:{column}", "")?,
        None => writeln!(shown, "{:gutter$}--> {file_name}", "")?,
    }
    let source = place.and_then(|(line, column)| {
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        Some((line, usize::try_from(column).ok()?, *lines.get(index)?))
    });
    if let Some((line, column, source)) = source {
        let (window, before) = window(source, column);
        writeln!(shown, "{:gutter$} |", "")?;
        writeln!(shown, "{line} | {window}")?;
        writeln!(shown, "{:gutter$} | {before}^", "")?;
    }
    if !finding.pointer.is_empty() {
        writeln!(shown, "{:gutter$} = at {}", "", finding.pointer)?;
    }
    if let Some(hint) = &finding.hint {
        writeln!(shown, "{:gutter$} = help: {hint}", "")?;
    }
    writeln!(shown)
}

/// The part of a line that is worth showing, and the blanks that bring a caret under the column.
fn window(source: &str, column: usize) -> (String, String) {
    /// A terminal is 80 wide; a definition may be one line of a megabyte.
    const SHOWN: usize = 100;
    let skipped = if column > SHOWN { column - SHOWN / 2 } else { 0 };
    let window: String = source.chars().skip(skipped).take(SHOWN).collect();
    let blank = |c: char| if c == '\t' { '\t' } else { ' ' };
    let before = window.chars().take(column.saturating_sub(1 + skipped)).map(blank).collect();
    (window, before)
}
