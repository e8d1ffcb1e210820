//! What the engine computes itself, for the catalogue only.

use super::params::names;
use crate::engine::definition::RunnerShape;

/// The shapes of `logic` and `delay`. Their parameters depend on the action, so the engine checks them.
pub(super) fn shapes() -> [(String, RunnerShape); 2] {
    let logic = names(&["set", "assert", "switch", "transform", "merge"]);
    [
        ("logic".to_owned(), RunnerShape { actions: logic, ..RunnerShape::default() }),
        ("delay".to_owned(), RunnerShape { known: names(&["for", "until"]), ..RunnerShape::default() }),
    ]
}
