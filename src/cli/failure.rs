//! How a command can end, and how a bad end is told.

use std::error::Error as _;
use std::io::{self, Write};
use std::process::ExitCode;

use everstep_sdk::Error;
use serde_json::{Value, json};

use super::node;
use super::output::Format;
use super::style::Style;
use crate::storage;

/// The exit codes that scripts may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// What was asked for was done.
    Done,
    /// The execution did not complete.
    ExecutionFailed,
    /// The arguments or a file are wrong.
    Usage,
    /// The object does not exist.
    NotFound,
    /// The server said no.
    Refused,
    /// Nobody could answer.
    Unavailable,
    /// Ctrl-C, as shells report it.
    Interrupted,
}

impl Exit {
    pub(super) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::ExecutionFailed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Refused => 4,
            Self::Unavailable => 5,
            Self::Interrupted => 130,
        })
    }
}

/// A bad end.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    /// What programs get.
    document: Value,
    /// What people get; none where nobody listens any more.
    text: Option<String>,
}

impl Failure {
    pub(super) fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { exit, document: json!({ "code": code, "detail": message }), text: Some(message) }
    }

    /// The arguments or a file are wrong.
    pub(super) fn usage(code: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, code, message)
    }

    /// Shows people another text; programs still get the document.
    pub(super) fn with_text(mut self, text: String) -> Self {
        self.text = Some(text);
        self
    }

    /// Adds a field for programs.
    pub(super) fn with_field(mut self, name: &str, value: Value) -> Self {
        self.document[name] = value;
        self
    }

    /// Adds a line for people.
    pub(super) fn with_hint(mut self, hint: &str) -> Self {
        if let Some(text) = &mut self.text {
            text.push_str("\n  ");
            text.push_str(hint);
        }
        self.document["hint"] = hint.into();
        self
    }

    /// Tells it on stderr.
    pub(super) fn show(&self, format: Format) -> ExitCode {
        if let Some(text) = &self.text {
            let shown = match format {
                Format::Json | Format::Jsonl => json!({ "error": self.document }).to_string(),
                Format::Table | Format::Yaml | Format::Name => {
                    format!("{} {text}", Style::stderr().bad("error:"))
                }
            };
            // Nobody is left to tell if this cannot be written.
            let _ = writeln!(io::stderr().lock(), "{shown}");
        }
        self.exit.code()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::Problem(problem) => match problem.status {
                404 => Exit::NotFound,
                400 | 413 | 415 | 422 => Exit::Usage,
                429 | 500.. => Exit::Unavailable,
                _ => Exit::Refused,
            },
            Error::Setup { .. } => Exit::Usage,
            _ => Exit::Unavailable,
        };
        let text = tell(&error);
        let document = match error.problem() {
            Some(problem) => serde_json::to_value(problem).unwrap_or_default(),
            None => json!({ "code": error.code(), "detail": text }),
        };
        let failure = Self { exit, document, text: Some(text) };
        match error {
            Error::Unreachable { .. } => failure.with_hint(
                "is a node running there? --server URL asks another one; `everstep dev` starts one",
            ),
            Error::TimedOut { .. } => {
                failure.with_hint("it may hang or be overloaded; --server URL asks another node")
            }
            _ => failure,
        }
    }
}

fn tell(error: &Error) -> String {
    let Some(problem) = error.problem() else {
        let mut text = error.to_string();
        // The innermost cause says it best: "connection refused".
        let mut cause = error.source();
        while let Some(deeper) = cause {
            if deeper.source().is_none() {
                text = format!("{text}: {deeper}");
            }
            cause = deeper.source();
        }
        return text;
    };
    let mut text = format!("{} ({})", problem.summary(), problem.code);
    if let Some(pointer) = &problem.pointer {
        text.push_str(&format!("\n  at {pointer}"));
    }
    let listed = if problem.errors.len() > 1 { problem.errors.as_slice() } else { &[] };
    for finding in listed {
        text.push_str(&format!("\n  {}: {} ({})", finding.pointer, finding.message, finding.code));
    }
    if let (Some(trace_id), true) = (&problem.trace_id, problem.status >= 500) {
        text.push_str(&format!("\n  trace id {trace_id}"));
    }
    text
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { exit: Exit::Done, document: Value::Null, text: None };
        }
        Self::new(Exit::Unavailable, "io", error.to_string())
    }
}

impl From<node::Error> for Failure {
    fn from(error: node::Error) -> Self {
        let exit = match error {
            node::Error::Settings(_) | node::Error::Exposed { .. } => Exit::Usage,
            _ => Exit::Unavailable,
        };
        let failure = Self::new(exit, error.code(), storage::told(&error));
        match error.advice() {
            Some(advice) => failure.with_hint(advice),
            None => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use everstep_sdk::Problem;

    use super::*;

    fn problem(status: u16) -> Error {
        let text = format!(r#"{{"status":{status},"code":"c","detail":"d","pointer":"/a"}}"#);
        Error::Problem(Box::new(serde_json::from_str::<Problem>(&text).unwrap()))
    }

    #[test]
    fn every_refusal_has_its_exit_code() {
        let exits = [
            (400, Exit::Usage),
            (401, Exit::Refused),
            (403, Exit::Refused),
            (404, Exit::NotFound),
            (409, Exit::Refused),
            (422, Exit::Usage),
            (429, Exit::Unavailable),
            (500, Exit::Unavailable),
            (503, Exit::Unavailable),
        ];
        for (status, exit) in exits {
            assert_eq!(Failure::from(problem(status)).exit, exit, "status {status}");
        }
    }

    #[test]
    fn a_refusal_names_the_field() {
        assert_eq!(tell(&problem(422)), "d (c)\n  at /a");
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.exit, Exit::Done);
        assert!(failure.text.is_none());
    }
}
