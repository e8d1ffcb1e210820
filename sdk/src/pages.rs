//! Lists, a page at a time.

use std::collections::VecDeque;
use std::future::Future;

use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};

use crate::Result;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Asks for the next page; none on the last.
    #[serde(default = "none")]
    pub next_cursor: Option<String>,
}

const fn none() -> Option<String> {
    None
}

struct Reading<T, F> {
    fetch: F,
    items: VecDeque<T>,
    cursor: Option<String>,
    last: bool,
}

/// All items, asking for a page only when the one before is used up. Ends after the first error.
pub(crate) fn stream<T, F, Answer>(fetch: F) -> impl Stream<Item = Result<T>>
where
    F: FnMut(Option<String>) -> Answer,
    Answer: Future<Output = Result<Page<T>>>,
{
    let reading = Reading { fetch, items: VecDeque::new(), cursor: None, last: false };
    stream::try_unfold(reading, |mut reading| async move {
        loop {
            if let Some(item) = reading.items.pop_front() {
                return Ok(Some((item, reading)));
            }
            if reading.last {
                return Ok(None);
            }
            let page = (reading.fetch)(reading.cursor.take()).await?;
            reading.last = page.next_cursor.is_none();
            reading.cursor = page.next_cursor;
            reading.items = page.items.into();
        }
    })
}
