//! Files that hold questions and their answers.

use std::fs;
use std::path::Path;

/// Ends a question, begins its answer.
pub(crate) const ANSWER: &str = "\n------\n";
/// Ends an answer.
pub(crate) const NEXT: &str = "\n======\n";

/// Asks every question of a file and compares the answers; with `UPDATE_GOLDEN` set, writes them.
pub(crate) fn blocks(folder: &str, ask: impl Fn(&str) -> String) {
    for (path, text) in files(folder) {
        let mut written = String::new();
        for block in text.split(NEXT).filter(|block| !block.trim().is_empty()) {
            let question = block.split(ANSWER).next().unwrap();
            let answer = ask(question);
            written.push_str(&format!("{question}{ANSWER}{}{NEXT}", answer.trim_end()));
        }
        compare(&path, &text, &written);
    }
}

/// The same with one question a line, and its answer behind ` => `.
pub(crate) fn lines(folder: &str, ask: impl Fn(&str) -> String) {
    for (path, text) in files(folder) {
        let mut written = String::new();
        for line in text.lines() {
            match line {
                comment if comment.is_empty() || comment.starts_with('#') => written.push_str(comment),
                line => {
                    let question = line.split(" => ").next().unwrap().trim_end();
                    written.push_str(&format!("{question} => {}", ask(question)));
                }
            }
            written.push('\n');
        }
        compare(&path, &text, &written);
    }
}

fn files(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/language").join(folder);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "there are golden files");
    paths.into_iter().map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap())).collect()
}

fn compare(path: &str, expected: &str, actual: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, actual).unwrap();
        return;
    }
    let differing = expected.lines().zip(actual.lines()).enumerate().find(|(_, (left, right))| left != right);
    if let Some((line, (left, right))) = differing {
        panic!("{path}:{}\n expected: {left}\n   actual: {right}\nall of it:\n{actual}", line + 1);
    }
    assert_eq!(expected, actual, "{path}");
}
