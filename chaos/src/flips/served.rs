//! Everything that a node serves from its data directory.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::door::{Door, Reply};

/// An answer to each question.
pub(super) type Served = BTreeMap<String, Value>;

/// What reading everything has shown.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) served: Served,
    /// What was answered with an error, and which.
    pub(super) errors: BTreeMap<String, String>,
}

impl Read {
    /// What is told otherwise than it was, or was not told at all.
    pub(super) fn differs(&self, truth: &Served) -> Vec<String> {
        let other = |(question, answer): (&String, &Value)| match truth.get(question) {
            Some(known) if known == answer => None,
            Some(known) => Some(format!("{question} answers {answer}, and was {known}")),
            None => Some(format!("{question} answers {answer}, and nobody knew of it")),
        };
        let mut wrong: Vec<_> = self.served.iter().filter_map(other).collect();
        let told: BTreeSet<_> = self.served.keys().chain(self.errors.keys()).collect();
        // What hangs on a list that cannot be read is not asked for.
        if self.errors.is_empty() {
            let missing = truth.keys().filter(|question| !told.contains(question));
            wrong.extend(missing.map(|question| format!("{question} is gone")));
        }
        wrong
    }
}

/// Asks for everything. An error of the node is an answer; one that says that it is not there is none.
pub(super) async fn everything(door: &Door) -> Result<Read> {
    let mut read = Read::default();
    for (list, parts) in
        [("/api/workflows", ["", "/versions"]), ("/api/executions", ["", "/history?limit=1000"])]
    {
        for id in ids(door, list, &mut read).await? {
            for part in parts {
                read.ask(door, &format!("{list}/{id}{part}")).await?;
            }
        }
    }
    Ok(read)
}

impl Read {
    async fn ask(&mut self, door: &Door, question: &str) -> Result<Option<Value>> {
        match door.get(question).await {
            Reply::Done(answer) => {
                self.served.insert(question.to_owned(), answer.clone());
                Ok(Some(answer))
            }
            Reply::Refused(status, text) if status.is_server_error() => {
                self.errors.insert(question.to_owned(), text);
                Ok(None)
            }
            Reply::Unavailable(text) => {
                self.errors.insert(question.to_owned(), text);
                Ok(None)
            }
            Reply::Refused(status, text) => {
                self.served.insert(question.to_owned(), json!({ "refused": status.as_u16(), "why": text }));
                Ok(None)
            }
            other => bail!("{question}: {other:?}"),
        }
    }
}

/// The ids of a list, page by page.
async fn ids(door: &Door, list: &str, read: &mut Read) -> Result<Vec<String>> {
    let (mut found, mut next) = (Vec::new(), format!("{list}?limit=100"));
    loop {
        let Some(page) = read.ask(door, &next).await? else { return Ok(found) };
        let items = page["items"].as_array().with_context(|| format!("{next} has no items"))?;
        found.extend(items.iter().filter_map(|item| item["id"].as_str()).map(str::to_owned));
        let Some(cursor) = page["next_cursor"].as_str() else { return Ok(found) };
        next = format!("{list}?limit=100&cursor={cursor}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_served_wrong_is_found_and_an_error_is_not_wrong() {
        let of = |pairs: &[(&str, i32)]| -> Served {
            pairs.iter().map(|(question, answer)| ((*question).to_owned(), json!(answer))).collect()
        };
        let truth = of(&[("a", 1), ("b", 2)]);
        let read = |pairs: &[(&str, i32)]| Read { served: of(pairs), errors: BTreeMap::new() };
        assert_eq!(read(&[("a", 1), ("b", 2)]).differs(&truth), [""; 0]);
        for wrong in [&[("a", 1), ("b", 3)][..], &[("a", 1)], &[("a", 1), ("b", 2), ("c", 3)]] {
            assert_eq!(read(wrong).differs(&truth).len(), 1, "{wrong:?}");
        }
        let mut refused = read(&[("a", 1)]);
        refused.errors.insert("b".to_owned(), "damaged".to_owned());
        assert_eq!(refused.differs(&truth), [""; 0]);
    }
}
