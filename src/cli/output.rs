//! How what was asked for is shown.

use std::io::{self, Write};

use clap::ValueEnum;
use everstep_sdk::Error;
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::failure::Failure;
use super::style::Style;

/// The formats of `-o`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Table,
    /// One document.
    Json,
    /// One document per line, each as soon as it is known.
    Jsonl,
    /// One document.
    Yaml,
    /// Ids, one per line.
    Name,
}

/// How one kind of object is shown to people and named to scripts.
pub(super) trait Show: Serialize {
    /// The heads of its columns.
    const COLUMNS: &'static [&'static str];
    /// Its cells, one per column.
    fn cells(&self, style: Style) -> Vec<String>;
    /// What names it.
    fn name(&self) -> String;
    /// Everything about it; a table of one row unless a kind knows better.
    fn whole(&self, style: Style) -> String {
        table(Self::COLUMNS, [self.cells(style)])
    }
}

/// Shows one object.
pub(super) fn show_one<T: Show>(format: Format, item: &T) -> Result<(), Failure> {
    match format {
        Format::Table => line(&item.whole(Style::stdout())),
        Format::Name => line(&item.name()),
        Format::Json | Format::Jsonl | Format::Yaml => document(format, item),
    }
}

/// Shows objects as they come.
pub(super) async fn show_all<T: Show>(
    format: Format,
    items: impl Stream<Item = Result<T, Error>>,
) -> Result<(), Failure> {
    let mut items = std::pin::pin!(items);
    let mut kept = Vec::new();
    while let Some(item) = items.next().await {
        let item = item?;
        match format {
            Format::Jsonl => document(format, &item)?,
            Format::Name => line(&item.name())?,
            Format::Table | Format::Json | Format::Yaml => kept.push(item),
        }
    }
    match format {
        Format::Table if kept.is_empty() => Ok(()),
        Format::Table => {
            let style = Style::stdout();
            line(&table(T::COLUMNS, kept.iter().map(|item| item.cells(style))))
        }
        Format::Json | Format::Yaml => document(format, &kept),
        Format::Jsonl | Format::Name => Ok(()),
    }
}

/// Shows a document as it is. In the formats for people it is JSON too.
pub(super) fn document(format: Format, item: &impl Serialize) -> Result<(), Failure> {
    let text = match format {
        Format::Yaml => serde_saphyr::to_string(item).map_err(|error| io::Error::other(error.to_string()))?,
        Format::Jsonl => serde_json::to_string(item).map_err(io::Error::from)?,
        Format::Table | Format::Json | Format::Name => {
            serde_json::to_string_pretty(item).map_err(io::Error::from)?
        }
    };
    line(text.trim_end())
}

/// A line on stdout.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    // Readers of a pipe want each line when it is written.
    Ok(stdout.flush()?)
}

/// A line on stderr: for people, beside what was asked for.
pub(super) fn note(text: &str) {
    // Nobody is left to tell if this cannot be written.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A plain table: columns in line, no borders, so that `awk` likes it too.
pub(super) fn table(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let head = columns.iter().map(|column| column.to_uppercase()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let cell_width = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| width(cell));
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| rows.iter().map(|row| cell_width(row, column)).max().unwrap_or(0))
        .collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths);
        let padded = cells.map(|(cell, &wide)| format!("{cell}{:pad$}", "", pad = wide - width(cell) + 2));
        padded.collect::<String>().trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The columns a text takes on a terminal; our colours take none.
fn width(text: &str) -> usize {
    let mut coloured = false;
    let shown: String = text
        .chars()
        .filter(|character| {
            let was_coloured = coloured;
            coloured = *character == '\x1b' || (coloured && *character != 'm');
            !was_coloured && !coloured
        })
        .collect();
    shown.width()
}

/// Names and values, one pair per line; empty values are left out.
pub(super) fn pairs(pairs: &[(&str, String)]) -> String {
    let shown: Vec<_> = pairs.iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = shown.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<_> = shown
        .iter()
        .map(|(name, value)| {
            // Values of several lines stand under their first.
            let value = value.replace('\n', &format!("\n{:width$}  ", ""));
            format!("{name:width$}  {value}")
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_plain() {
        let text =
            table(&["id", "status"], [vec!["1".into(), "running".into()], vec!["20".into(), "x".into()]]);
        assert_eq!(text, "ID  STATUS\n1   running\n20  x");
    }

    #[test]
    fn colours_and_wide_letters_stay_in_line() {
        let rows = [vec!["\x1b[32mok\x1b[0m".into(), "1".into()], vec!["世界☺".into(), "2".into()]];
        let text = table(&["a", "b"], rows);
        assert_eq!(text, "A      B\n\x1b[32mok\x1b[0m     1\n世界☺  2");
    }

    #[test]
    fn pairs_stand_in_line_without_the_empty_ones() {
        let text = pairs(&[("id", "1".into()), ("error", String::new()), ("input", "a\nb".into())]);
        assert_eq!(text, "id     1\ninput  a\n       b");
    }
}
