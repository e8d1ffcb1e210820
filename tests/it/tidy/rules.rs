//! One function per rule: a file in, what is wrong with it out.

use super::source::Source;

/// One idea per file: below this a file can be read in one sitting.
const LINES_MAX: usize = 500;

/// Libraries, and where they may be named.
const LIBRARIES: [(&[&str], &[&str]); 5] = [
    (&["openraft"], &["src/consensus/"]),
    (&["sled", "bincode"], &["src/storage/"]),
    (
        &["axum", "tonic", "utoipa", "utoipa_axum", "utoipa_swagger_ui"],
        &["src/api/", "src/node/", "proto/", "sdk/"],
    ),
    (&["ractor"], &["src/actors/", "src/node/"]),
    (&["clap", "comfy_table", "indicatif", "miette"], &["src/cli/", "src/main.rs", "chaos/"]),
];

/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 8] = ["util", "utils", "helper", "helpers", "common", "misc", "shared", "stuff"];

/// What must not stand in code, and why.
const WORDS: [(&str, &str); 8] = [
    ("#[allow", "write #[expect(.., reason)]"),
    ("#![allow", "write #![expect(.., reason)]"),
    ("#[ignore", "a test that does not run tests nothing"),
    ("todo!", "finish it"),
    ("unimplemented!", "finish it"),
    ("dbg!", "remove it"),
    ("unsafe {", "there is a safe way"),
    ("unsafe fn", "there is a safe way"),
];

/// A library is named where it lives and nowhere else, so that it can be replaced there.
pub(super) fn libraries(source: &Source) -> Vec<String> {
    let mut wrong = Vec::new();
    for (names, places) in LIBRARIES {
        let at_home = places.iter().any(|place| source.path.starts_with(place));
        if at_home || source.path.starts_with("tests/") || source.path.starts_with("benches/") {
            continue;
        }
        for (at, line) in source.code.lines().enumerate() {
            for name in names.iter().filter(|name| names_crate(line, name)) {
                wrong.push(format!("{}:{}: `{name}` is named outside of {places:?}", source.path, at + 1));
            }
        }
    }
    wrong
}

/// Whether a line names a crate: as a path's first word, or in a `use`.
fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        let starts = !before.ends_with(|char: char| char.is_alphanumeric() || char == '_')
            && !before.ends_with("::")
            && !before.ends_with('.');
        let used = before.trim_end().ends_with("use") && after.starts_with([';', ' ']);
        starts && (after.starts_with("::") || used)
    })
}

/// A file's name says what is in it.
pub(super) fn name(source: &Source) -> Vec<String> {
    let parts = source.path.trim_end_matches(".rs").split('/');
    parts
        .filter(|part| EMPTY_NAMES.contains(part))
        .map(|part| format!("{}: `{part}` says nothing; name the idea", source.path))
        .collect()
}

/// A file can be read in one sitting.
pub(super) fn length(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let wrong = lines > LINES_MAX;
    wrong.then(|| format!("{}: {lines} lines, at most {LINES_MAX}", source.path)).into_iter().collect()
}

/// A module tells its idea first.
pub(super) fn essay(source: &Source) -> Vec<String> {
    let name = source.path.rsplit('/').next().unwrap_or_default();
    let tells = source.text.starts_with("//! ");
    let wrong = matches!(name, "mod.rs" | "lib.rs" | "main.rs") && !tells;
    wrong.then(|| format!("{}: does not begin with its essay (//!)", source.path)).into_iter().collect()
}

/// Nothing is silenced, skipped or left for later.
pub(super) fn words(source: &Source) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, line) in source.code.lines().enumerate() {
        for (word, advice) in WORDS {
            if line.contains(word) {
                wrong.push(format!("{}:{}: `{word}`: {advice}", source.path, at + 1));
            }
        }
    }
    wrong
}

/// A panic outside of tests states the invariant that is broken.
pub(super) fn unwraps(source: &Source) -> Vec<String> {
    let count = source.code_without_tests().matches(".unwrap()").count();
    let wrong = count > 0;
    wrong
        .then(|| format!("{}: unwraps {count} times; state the invariant", source.path))
        .into_iter()
        .collect()
}

/// The client and the chaos runner see what users see.
pub(super) fn outsiders(source: &Source) -> Vec<String> {
    if !source.path.starts_with("chaos/") && !source.path.starts_with("sdk/") {
        return Vec::new();
    }
    let lines = source.code.lines().enumerate();
    lines
        .filter(|(_, line)| names_crate(line, "everstep") || names_crate(line, "everstep_engine"))
        .map(|(at, _)| format!("{}:{}: looks inside the server", source.path, at + 1))
        .collect()
}

/// Dependencies of a manifest that look inside the server.
pub(super) fn inside_dependencies(manifest: &str) -> Vec<&str> {
    let name = |line: &str| line.split(['=', '.', ' ']).next().unwrap_or_default().to_owned();
    manifest.lines().filter(|line| matches!(name(line).as_str(), "everstep" | "everstep-engine")).collect()
}

/// Whether a manifest takes the lints of the workspace.
pub(super) fn takes_lints(manifest: &str) -> bool {
    manifest.split("[lints]").nth(1).is_some_and(|rest| rest.trim_start().starts_with("workspace = true"))
}

mod tests {
    use super::*;

    fn count(rule: impl Fn(&Source) -> Vec<String>, path: &str, text: &str) -> usize {
        rule(&Source::new(path, text)).len()
    }

    #[test]
    fn libraries_are_found_however_they_are_named() {
        for text in ["use sled::Db;", "use sled;", "use sled as s;", "fn f(x: sled::Tree) {}", "#[sled::x]"] {
            assert_eq!(count(libraries, "src/api/a.rs", text), 1, "{text}");
            assert_eq!(count(libraries, "src/storage/a.rs", text), 0, "{text}");
        }
        for text in [
            "// sled::Db",
            "\"sled::Db\"",
            "let sled = 1;",
            "own::sled::x()",
            "unsled::x()",
            "x.sled::<u8>()",
        ] {
            assert_eq!(count(libraries, "src/api/a.rs", text), 0, "{text}");
        }
        assert_eq!(count(libraries, "src/actors/a.rs", "use openraft::Raft;\nuse axum::Router;"), 2);
    }

    #[test]
    fn empty_names_are_found_in_files_and_folders() {
        assert_eq!(count(name, "src/api/utils.rs", ""), 1);
        assert_eq!(count(name, "src/common/mod.rs", ""), 1);
        assert_eq!(count(name, "src/api/utilities_of_life.rs", ""), 0);
    }

    #[test]
    fn long_files_are_found() {
        assert_eq!(count(length, "src/a.rs", &"\n".repeat(LINES_MAX)), 0);
        assert_eq!(count(length, "src/a.rs", &"\n".repeat(LINES_MAX + 1)), 1);
    }

    #[test]
    fn missing_essays_are_found() {
        assert_eq!(count(essay, "src/a/mod.rs", "//! Idea.\nmod b;"), 0);
        assert_eq!(count(essay, "src/a/mod.rs", "mod b;"), 1);
        assert_eq!(count(essay, "src/a/mod.rs", "//!\nmod b;"), 1, "an essay says something");
        assert_eq!(count(essay, "src/a/b.rs", "mod c;"), 0);
    }

    #[test]
    fn words_are_found_in_code_alone() {
        for (word, _) in WORDS {
            assert_eq!(count(words, "src/a.rs", &format!("fn f() {{ {word} }}")), 1, "{word}");
            assert_eq!(count(words, "src/a.rs", &format!("// {word}\nlet x = \"{word}\";")), 0, "{word}");
        }
    }

    #[test]
    fn unwraps_are_found_outside_of_tests() {
        assert_eq!(count(unwraps, "src/a.rs", "fn f() { x.unwrap() }"), 1);
        assert_eq!(count(unwraps, "src/a.rs", "#[cfg(test)]\nmod tests { fn f() { x.unwrap() } }"), 0);
        assert_eq!(count(unwraps, "src/a/tests.rs", "fn f() { x.unwrap() }"), 0);
        assert_eq!(count(unwraps, "src/a.rs", "fn f() { x.unwrap_or(1) }"), 0);
    }

    #[test]
    fn looks_inside_are_found() {
        assert_eq!(count(outsiders, "sdk/src/a.rs", "use everstep::engine::x;"), 1);
        assert_eq!(count(outsiders, "chaos/src/a.rs", "use everstep_engine::x;"), 1);
        assert_eq!(count(outsiders, "chaos/src/a.rs", "use everstep_sdk::Client;"), 0);
        assert_eq!(count(outsiders, "src/a.rs", "use everstep_engine::x;"), 0);
        assert_eq!(
            inside_dependencies("[dependencies]\neverstep-sdk = 1\neverstep.workspace = true"),
            ["everstep.workspace = true"]
        );
        assert_eq!(inside_dependencies("everstep-engine = { path = \"x\" }").len(), 1);
    }

    #[test]
    fn missing_lints_are_found() {
        assert!(takes_lints("[lints]\nworkspace = true\n"));
        assert!(!takes_lints("[lints]\n"));
        assert!(!takes_lints("[dependencies]\n"));
    }
}
