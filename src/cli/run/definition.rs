//! A refused definition, shown in its source.

use std::fmt::Write;

use everstep_sdk::{Client, Error, Finding, Text};
use serde_json::json;

use super::super::failure::Failure;
use super::super::style::Style;

/// Findings shown in full; more of them help nobody.
const FINDINGS_MAX: usize = 20;

/// The failure for an error that the definition in `text` met, with its lines where it is to blame.
pub(in crate::cli) async fn refusal(client: &Client, text: &str, name: &str, error: Error) -> Failure {
    let about_text = ["invalid_definition", "invalid_json", "integer_too_large"];
    let Some(problem) = error.problem().filter(|it| about_text.contains(&it.code.as_str())) else {
        return error.into();
    };
    let mut findings = problem.errors.clone();
    // A definition inside another document has lost its lines; checked alone it has them.
    if findings.iter().all(|finding| finding.line.is_none())
        && let Ok(checked) = client.workflows().validate(Text(text)).await
        && !checked.errors.is_empty()
    {
        findings = checked.errors;
    }
    if findings.is_empty() {
        return error.into();
    }
    wrong_definition(text, name, &findings)
}

/// The failure for these findings.
pub(in crate::cli) fn wrong_definition(text: &str, name: &str, findings: &[Finding]) -> Failure {
    let count = match findings.len() {
        1 => "1 error".to_owned(),
        count => format!("{count} errors"),
    };
    let message = format!("{name} is not a valid definition: {count}");
    let shown = format!("{message}\n\n{}", render(text, name, findings, Style::stderr()));
    Failure::usage("invalid_definition", message)
        .with_text(shown.trim_end().to_owned())
        .with_field("file", name.into())
        .with_field("errors", json!(findings))
}

fn render(text: &str, name: &str, findings: &[Finding], style: Style) -> String {
    let mut out = String::new();
    for finding in findings.iter().take(FINDINGS_MAX) {
        // Writing to a string does not fail.
        let _ = render_one(&mut out, text, name, finding, style);
    }
    if let Some(more @ 1..) = findings.len().checked_sub(FINDINGS_MAX) {
        let _ = writeln!(out, "… and {more} more");
    }
    out
}

fn render_one(
    out: &mut String,
    text: &str,
    name: &str,
    finding: &Finding,
    style: Style,
) -> Result<(), std::fmt::Error> {
    let pointer = if finding.pointer.is_empty() { "/" } else { &finding.pointer };
    writeln!(out, "{} {}", style.bad(&format!("{}:", finding.code)), finding.message)?;
    let line = finding.line.unwrap_or(0);
    let column = finding.column.unwrap_or(1).max(1);
    let source = usize::try_from(line).ok().and_then(|line| text.lines().nth(line.checked_sub(1)?));
    match source {
        Some(source) => {
            // Tabs and control characters would pull the caret out of its column.
            let clean: String = source.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let (clean, caret) = window(&clean, column as usize - 1);
            let number = line.to_string();
            let edge = style.dim(&format!("{:>width$} |", "", width = number.len()));
            writeln!(out, "  --> {name}:{line}:{column}  ({pointer})")?;
            writeln!(out, "  {edge}")?;
            writeln!(out, "  {} {clean}", style.dim(&format!("{number} |")))?;
            writeln!(out, "  {edge} {:caret$}{}", "", style.bad("^"))?;
        }
        None => writeln!(out, "  --> {name}  ({pointer})")?,
    }
    if let Some(hint) = &finding.hint {
        writeln!(out, "  {} {hint}", style.bold("help:"))?;
    }
    writeln!(out)
}

/// The part of a long line around a column, and where the column is in it.
fn window(source: &str, column: usize) -> (String, usize) {
    const WIDTH: usize = 100;
    let from = column.saturating_sub(WIDTH * 3 / 4);
    (source.chars().skip(from).take(WIDTH).collect(), column - from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(line: Option<u32>, column: Option<u32>) -> Finding {
        let document = json!({
            "pointer": "/steps/0/type", "code": "unknown_runner", "message": "there is no runner `shel`",
            "hint": "did you mean `shell`?", "line": line, "column": column,
        });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn a_finding_points_into_its_line() {
        let text = "steps:\n  - type: shel\n";
        let shown = render(text, "a.yaml", &[finding(Some(2), Some(11))], Style::none());
        let expected = "unknown_runner: there is no runner `shel`\n  --> a.yaml:2:11  (/steps/0/type)\n    |\n\
                        \x20 2 |   - type: shel\n    |           ^\n  help: did you mean `shell`?\n\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_finding_without_a_line_has_its_pointer() {
        let shown = render("", "a.yaml", &[finding(None, None)], Style::none());
        assert!(shown.contains("--> a.yaml  (/steps/0/type)"), "{shown}");
    }

    #[test]
    fn long_lines_are_shown_around_the_place() {
        let source = "x".repeat(5_000);
        let (shown, caret) = window(&source, 4_000);
        assert_eq!((shown.len(), caret), (100, 75));
        assert_eq!(window("ab", 7), ("ab".to_owned(), 7), "a column beyond the line stays where it is");
    }
}
