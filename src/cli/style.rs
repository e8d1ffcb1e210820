//! Colours, only where a person looks.

use std::io::{self, IsTerminal};

/// Colours of one output, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    coloured: bool,
}

impl Style {
    /// Of stdout.
    pub(super) fn stdout() -> Self {
        Self::of(io::stdout().is_terminal())
    }

    /// Of stderr.
    pub(super) fn stderr() -> Self {
        Self::of(io::stderr().is_terminal())
    }

    /// No colours.
    #[cfg(test)]
    pub(super) const fn none() -> Self {
        Self { coloured: false }
    }

    fn of(terminal: bool) -> Self {
        // https://no-color.org: set and not empty means none.
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self { coloured: terminal && !unwanted && !dumb }
    }

    pub(super) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.paint("31;1", text)
    }

    pub(super) fn warm(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// A status in its colour, padded before it is painted so that columns stay in line.
    pub(super) fn status(self, status: &str) -> String {
        match status {
            "completed" | "active" => self.good(status),
            "failed" | "dead_lettered" | "uncertain" => self.bad(status),
            "running" | "paused" | "compensating" | "backoff" | "waiting" => self.warm(status),
            _ => status.to_owned(),
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A text of someone else's in one line of at most `width` characters: what a terminal would obey
/// instead of showing is left out.
pub(super) fn one_line(text: &str, width: usize) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().filter(|character| !character.is_control()));
        if line.chars().count() > width {
            let mut cut: String = line.chars().take(width.saturating_sub(1)).collect();
            cut.push('…');
            return cut;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_in_its_line() {
        assert_eq!(one_line("a\n b\tc", 10), "a b c");
        assert_eq!(one_line("\u{1b}[31mred", 20), "[31mred");
        assert_eq!(one_line("Hello World ☺ and more", 13), "Hello World …");
    }
}
