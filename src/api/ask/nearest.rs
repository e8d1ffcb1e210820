//! The name somebody probably meant.

/// The known name nearest to `name`, if it is near: two slips at most, and fewer than its length.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let reach = 2.min(name.chars().count().saturating_sub(1));
    known
        .iter()
        .map(|candidate| (distance(name, candidate), *candidate))
        .filter(|(distance, _)| *distance <= reach)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    // A name longer than any of ours is near none of them; this bounds the work.
    if a.len() > 64 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let known = ["input", "labels", "workflow_id"];
        assert_eq!(nearest("imput", &known), Some("input"));
        assert_eq!(nearest("label", &known), Some("labels"));
        assert_eq!(nearest("workflowid", &known), Some("workflow_id"));
        assert_eq!(nearest("zebra", &known), None);
        assert_eq!(nearest("x", &known), None);
        assert_eq!(nearest(&"x".repeat(100_000), &known), None);
    }
}
