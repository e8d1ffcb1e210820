//! Keeps the house in order: floors, names, sizes, and who may name which library.
//!
//! Each rule is a function from one file to what is wrong with it, so each is also tried on a few lines
//! that break it: a rule that cannot fail keeps nothing.

mod floors;
mod links;
mod rules;
mod source;

use std::path::Path;

use source::{Source, Tree};

/// Runs a rule over every source file and shows everything it found at once.
fn hold(rule: impl Fn(&Source) -> Vec<String>) {
    let tree = Tree::read(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(tree.sources.len() > 20, "the tree was not found: {} files", tree.sources.len());
    let wrong: Vec<String> = tree.sources.iter().flat_map(rule).collect();
    assert!(wrong.is_empty(), "{} times:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_module_imports_only_from_floors_below_its_own() {
    let lib = include_str!("../../src/lib.rs");
    let floors = floors::Floors::parse(lib);
    for module in ["engine", "storage", "world", "consensus", "runners", "actors", "api", "node", "cli"] {
        assert!(floors.of(module).is_some(), "src/lib.rs gives `{module}` no floor");
    }
    hold(|source| floors.check(source));
}

#[test]
fn the_words_of_the_engine_stand_on_nothing() {
    hold(floors::model_stands_alone);
}

#[test]
fn a_library_is_named_only_where_it_lives() {
    hold(rules::libraries);
}

#[test]
fn files_are_named_after_their_idea() {
    hold(rules::name);
}

#[test]
fn files_are_short() {
    hold(rules::length);
}

#[test]
fn modules_begin_with_their_essay() {
    hold(rules::essay);
}

#[test]
fn nothing_is_allowed_left_to_do_or_skipped() {
    hold(rules::words);
}

#[test]
fn nothing_unwraps_outside_of_tests() {
    hold(rules::unwraps);
}

#[test]
fn what_users_see_is_tested_from_outside() {
    hold(rules::outsiders);
    for name in ["chaos", "sdk"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name).join("Cargo.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(rules::inside_dependencies(&text), [""; 0], "{}", path.display());
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    // `proto` holds generated code, which nobody here writes.
    for name in [".", "src/engine", "sdk", "chaos"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name).join("Cargo.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(rules::takes_lints(&text), "{}", path.display());
    }
}

#[test]
fn every_point_stands_at_one_place() {
    let tree = Tree::read(Path::new(env!("CARGO_MANIFEST_DIR")));
    let ours = tree.sources.iter().filter(|it| it.path.starts_with("src/") && it.path != "src/points.rs");
    let code: String = ours.map(source::Source::code_without_tests).collect();
    assert!(everstep::points::ALL.len() >= 50, "fewer points than were promised");
    for point in everstep::points::ALL {
        let places = code.matches(&format!("(Point::{point:?})")).count();
        assert_eq!(places, 1, "{point:?} stands at {places} places");
    }
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tree = Tree::read(root);
    assert!(!tree.documents.is_empty(), "there are documents");
    let wrong: Vec<String> = tree.documents.iter().flat_map(|path| links::broken(root, path)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
