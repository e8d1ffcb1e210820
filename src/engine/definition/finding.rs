//! What is wrong with a definition, and where.

/// One thing wrong with a definition. All are reported at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// RFC 6901 pointer to the place.
    pub pointer: String,
    /// A stable word.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
    /// Line in the text, from 1, where known.
    pub line: Option<u32>,
    /// Column in the text, from 1, where known.
    pub column: Option<u32>,
}
