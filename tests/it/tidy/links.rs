//! Links between the documents.

use std::path::Path;

/// Links of a document to files that are not there.
pub(super) fn broken(root: &Path, document: &str) -> Vec<String> {
    let path = root.join(document);
    let text = std::fs::read_to_string(&path).expect("a document that was listed can be read");
    let dir = path.parent().unwrap_or(root);
    targets(&text)
        .into_iter()
        .filter(|target| !dir.join(target).exists())
        .map(|target| format!("{document}: there is no {target}"))
        .collect()
}

/// The files that a text links to: no URLs, no places within the document, nothing in code blocks.
fn targets(text: &str) -> Vec<&str> {
    let mut in_code = false;
    let mut targets = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let links = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        let files = links.map(|link| link.split('#').next().unwrap_or_default());
        targets.extend(files.filter(|file| !file.is_empty() && !file.contains("://")));
    }
    targets
}

mod tests {
    use super::targets;

    #[test]
    fn links_to_files_are_found_and_no_others() {
        let text = "see [a](docs/a.md), [b](../b.md#part) and [c](https://example.com/c.md), [d](#here)\n\
                    ```\n[e](e.md)\n```\n[f](f.md \"title\")";
        assert_eq!(targets(text), ["docs/a.md", "../b.md", "f.md"]);
    }
}
