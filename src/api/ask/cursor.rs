//! Cursors: where the last page of a list ended. Opaque to callers, who pass back what they got.

use uuid::Uuid;

use crate::api::problem::Problem;

/// Where a list goes on. The first letter names the list, so that a cursor of one list is refused
/// by another instead of skipping half of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Cursor {
    /// Executions older than this one.
    Execution(Uuid),
    /// Workflows older than this one.
    Workflow(Uuid),
    /// Versions below this one.
    Version(u32),
    /// Events after this version. A history ends long before 32 bits do.
    Event(u64),
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Execution(id) => write!(f, "e{}", id.simple()),
            Self::Workflow(id) => write!(f, "w{}", id.simple()),
            Self::Version(version) => write!(f, "v{version:x}"),
            Self::Event(version) => write!(f, "h{version:x}"),
        }
    }
}

impl Cursor {
    /// Reads a cursor back. Errors: a problem that names the parameter.
    pub(in crate::api) fn parse(text: &str) -> Result<Self, Problem> {
        Self::read(text).ok_or_else(|| {
            Problem::parameter(
                "cursor",
                "this is no cursor of this list; pass next_cursor of the page before",
            )
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_at_checked(1)?;
        let uuid = || (rest.len() == 32).then(|| Uuid::try_parse(rest).ok()).flatten();
        match kind {
            "e" => uuid().map(Self::Execution),
            "w" => uuid().map(Self::Workflow),
            "v" => u32::from_str_radix(rest, 16).ok().map(Self::Version),
            "h" => u32::from_str_radix(rest, 16).ok().map(|version| Self::Event(version.into())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cursor_comes_back() {
        let id = Uuid::from_u128(7);
        let all =
            [Cursor::Execution(id), Cursor::Workflow(id), Cursor::Version(3), Cursor::Event(u32::MAX.into())];
        for cursor in all {
            assert_eq!(Cursor::read(&cursor.to_string()), Some(cursor));
        }
    }

    #[test]
    fn rubbish_is_refused() {
        for bad in ["", "e", "x1", "☺", "e123", "hzz", "v100000000", "h100000000"] {
            let problem = Cursor::parse(bad).expect_err("no cursor");
            assert_eq!(problem.parameter.as_deref(), Some("cursor"));
        }
    }
}
