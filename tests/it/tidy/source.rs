//! Source files as the rules see them: code apart from comments and text, tests apart from the rest.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where our sources are.
const ROOTS: [&str; 7] = ["src", "sdk", "proto", "chaos", "tests", "benches", "fuzz/fuzz_targets"];

/// All that the rules look at.
pub(super) struct Tree {
    pub(super) sources: Vec<Source>,
    /// Markdown, relative to the root.
    pub(super) documents: Vec<String>,
}

/// One Rust file.
pub(super) struct Source {
    /// From the root of the repository, with slashes.
    pub(super) path: String,
    pub(super) text: String,
    /// The text with comments and the insides of literals blanked; lines stay where they are.
    pub(super) code: String,
    /// Whether it holds nothing but tests.
    pub(super) is_test: bool,
}

impl Tree {
    pub(super) fn read(root: &Path) -> Self {
        let mut paths = Vec::new();
        for dir in ROOTS {
            walk(&root.join(dir), "rs", &mut paths);
        }
        let relative = |path: &PathBuf| {
            path.strip_prefix(root).expect("it is below the root").to_string_lossy().into_owned()
        };
        let mut sources: Vec<Source> = paths
            .iter()
            .map(|path| {
                Source::new(
                    &relative(path),
                    &fs::read_to_string(path).expect("a file that was listed can be read"),
                )
            })
            .collect();
        let tests: BTreeSet<String> = sources.iter().flat_map(test_modules).collect();
        for source in &mut sources {
            source.is_test |= tests.iter().any(|module| {
                source
                    .path
                    .strip_prefix(module.as_str())
                    .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            });
        }
        let mut documents = Vec::new();
        for entry in fs::read_dir(root).expect("a directory that is there can be listed") {
            let path = entry.expect("a directory that is there can be listed").path();
            if path.is_file() {
                documents.extend(path.extension().is_some_and(|it| it == "md").then_some(path));
            }
        }
        for dir in ["docs", "cluster", "examples", "chaos", "sdk", "proto"] {
            walk(&root.join(dir), "md", &mut documents);
        }
        Self { sources, documents: documents.iter().map(relative).collect() }
    }
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        let in_tests = path.starts_with("tests/") || path.starts_with("benches/") || path.contains("/tests/");
        let is_test = in_tests || name == "tests.rs";
        Self { path: path.to_owned(), text: text.to_owned(), code: blank(text), is_test }
    }

    /// The code without its tests; nothing of a file that is one.
    pub(super) fn code_without_tests(&self) -> String {
        if self.is_test { String::new() } else { without_tests(&self.code) }
    }
}

fn walk(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a directory that is there can be listed").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target" && name != "node_modules") {
                walk(&path, extension, found);
            }
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
}

/// Modules in files of their own that are declared for tests alone, as paths without an ending.
fn test_modules(source: &Source) -> Vec<String> {
    let (dir, name) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let dir = match name {
        "mod.rs" | "lib.rs" | "main.rs" => dir.to_owned(),
        _ => format!("{dir}/{}", name.trim_end_matches(".rs")),
    };
    let marked = source.code.split("#[cfg(test)]").skip(1);
    marked
        .filter_map(|rest| {
            let item = rest.trim_start();
            let name = item.split("mod ").nth(1)?.split([';', '{']).next()?.trim();
            let declared = item.find(';')? < item.find('{').unwrap_or(usize::MAX);
            declared.then(|| format!("{dir}/{name}"))
        })
        .collect()
}

/// Cuts the items behind `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        rest = &rest[at + item_len(&rest[at..])..];
    }
    kept + rest
}

/// The length of the item at the start of `code`, to its semicolon or its closing brace.
fn item_len(code: &str) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b';' if depth == 0 => return at + 1,
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Blanks comments and the insides of literals.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (keep, skip) = token(rest, first, code.chars().next_back());
        code.push_str(&rest[..keep]);
        code.extend(rest[keep..keep + skip].chars().map(|char| if char == '\n' { '\n' } else { ' ' }));
        rest = &rest[keep + skip..];
    }
    code
}

/// How many bytes to keep, then how many to blank.
fn token(rest: &str, first: char, before: Option<char>) -> (usize, usize) {
    let in_word = before.is_some_and(|char| char.is_alphanumeric() || char == '_');
    match first {
        '/' if rest.starts_with("//") => (0, rest.find('\n').unwrap_or(rest.len())),
        '/' if rest.starts_with("/*") => (0, comment_len(rest)),
        '"' => (1, quoted_len(&rest[1..], '"')),
        'r' if !in_word => raw_len(rest).map_or((1, 0), |(open, inside)| (open, inside)),
        // A character, not a lifetime: a quote closes it.
        '\'' => match char_len(&rest[1..]) {
            Some(len) => (1, len),
            None => (1, 0),
        },
        _ => (first.len_utf8(), 0),
    }
}

fn comment_len(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// To the closing quote and with it.
fn quoted_len(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, char) in rest.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The opening of a raw string, and the rest of it.
fn raw_len(rest: &str) -> Option<(usize, usize)> {
    let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
    let open = 1 + hashes;
    if !rest[open..].starts_with('"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let inside = &rest[open + 1..];
    let len = inside.find(&close).map_or(inside.len(), |at| at + close.len());
    Some((open + 1, len))
}

/// A character literal's inside and closing quote; `None` for a lifetime.
fn char_len(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices();
    let (_, first) = chars.next()?;
    if first == '\\' {
        return Some(quoted_len(rest, '\''));
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(at + 1)
}

mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_nothing_else() {
        let cases = [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ \n */ d", "a              \n    d"),
            (r#"f("a\"b", c)"#, "f(\"     , c)"),
            ("f(r#\"a\"b\"#, c)", "f(r#\"     , c)"),
            ("r.x(r\"y\")", "r.x(r\"  )"),
            (r"x('a', '\'', '\u{1}', 'ü')", r"x('  , '   , '      , '  )"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("let s = \"x\n// y\";", "let s = \" \n     ;"),
        ];
        for (text, code) in cases {
            assert_eq!(blank(text), code, "{text}");
        }
    }

    #[test]
    fn tests_are_cut_and_what_follows_stays() {
        let code =
            "fn a() {} #[cfg(test)] mod tests { fn b() { {} } } fn c() {} #[cfg(test)] mod d; fn e() {}";
        assert_eq!(without_tests(code), "fn a() {}  fn c() {}  fn e() {}");
    }

    #[test]
    fn test_modules_are_found_beside_their_parent() {
        let of = |path, text| test_modules(&Source::new(path, text));
        assert_eq!(of("src/a/mod.rs", "#[cfg(test)]\nmod testing;\nmod b {}"), ["src/a/testing"]);
        assert_eq!(of("src/a/b.rs", "#[cfg(test)]\npub(super) mod c;"), ["src/a/b/c"]);
        assert!(of("src/a/b.rs", "#[cfg(test)]\nmod tests { use x; }").is_empty());
    }
}
