//! What clients know for certain: what was acknowledged to them, and the newest that anybody has read.
//!
//! Reads of one execution are linearizable if none that begins after another one has ended sees less. So each read
//! takes the floor before it asks, and holds the answer against it: the floor is the highest version that any answer
//! had told by then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

use crate::history;
use crate::seed::Random;

/// What is known of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Cancel {
    /// Nobody asked for it.
    #[default]
    Never,
    /// Somebody is asking.
    Asked,
    /// Somebody asked, and nobody knows what came of it.
    Unknown,
    /// It was acknowledged.
    Acknowledged,
}

/// What is known of an execution.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) number: u64,
    /// The highest version anybody was told.
    pub(crate) floor: u64,
    pub(crate) cancel: Cancel,
    /// Somebody decided, or is about to, that a step which was lost with its node is tried again.
    pub(crate) decided: bool,
    /// The longest history anybody was told.
    pub(crate) history: Vec<Value>,
}

/// How much clients did.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Done {
    pub(crate) acknowledged: u64,
    pub(crate) cancelled: u64,
    /// Executions in which somebody decided about a step that was lost with its node.
    pub(crate) decided: u64,
    pub(crate) reads: u64,
    pub(crate) lists: u64,
    /// Requests that were turned down for now.
    pub(crate) not_now: u64,
    /// Requests of which nobody knows what came.
    pub(crate) unknown: u64,
    /// Submissions that were asked again under the same key.
    pub(crate) repeated: u64,
}

/// The account of all clients. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Account>>);

#[derive(Debug, Default)]
struct Account {
    executions: BTreeMap<String, Known>,
    open: BTreeSet<String>,
    done: Done,
    violations: Vec<String>,
}

impl Account {
    /// Notes what must not happen, and when, in the time of the nodes' logs.
    fn violate(&mut self, text: &str) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, millis) = (since.as_secs() % (24 * 60 * 60), since.subsec_millis());
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        self.violations.push(format!("{text} ({hour:02}:{minute:02}:{second:02}.{millis:03} UTC)"));
    }
}

impl Ledger {
    fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().expect("nothing panics with the lock")
    }

    /// A submission was acknowledged.
    pub(crate) fn acknowledge(&self, number: u64, id: &str, version: u64) {
        let mut account = self.account();
        account.done.acknowledged += 1;
        let known = Known { number, floor: version, ..Known::default() };
        if let Some(other) = account.executions.insert(id.to_owned(), known) {
            account.violate(&format!("W1: {id} was given to submissions {} and {number}", other.number));
        }
        account.open.insert(id.to_owned());
    }

    /// Counts what was done.
    pub(crate) fn count(&self, add: impl FnOnce(&mut Done)) {
        add(&mut self.account().done);
    }

    pub(crate) fn violation(&self, text: &str) {
        self.account().violate(text);
    }

    /// Whether somebody may ask for its end: not if it is tried again, which revives what is cancelled.
    pub(crate) fn may_cancel(&self, id: &str) -> bool {
        let mut account = self.account();
        let known = account.executions.get_mut(id).filter(|known| !known.decided);
        known.map(|known| known.cancel = Cancel::Asked).is_some()
    }

    /// What came of asking for its end.
    pub(crate) fn set_cancel(&self, id: &str, cancel: Cancel) {
        if let Some(known) = self.account().executions.get_mut(id) {
            known.cancel = cancel;
        }
    }

    /// Whether somebody may decide that it is tried again: not while its end is asked for, or after.
    pub(crate) fn may_decide(&self, id: &str) -> bool {
        let mut account = self.account();
        let undisturbed = |known: &&mut Known| matches!(known.cancel, Cancel::Never | Cancel::Unknown);
        let known = account.executions.get_mut(id).filter(undisturbed);
        known.map(|known| known.decided = true).is_some()
    }

    /// What a read that begins now has to see.
    pub(crate) fn floor(&self, id: &str) -> u64 {
        self.account().executions.get(id).map_or(0, |known| known.floor)
    }

    /// A read that began with this floor has told a version, and whether the execution is over.
    pub(crate) fn saw(&self, id: &str, floor: u64, version: u64, over: bool, by: &str) {
        let mut account = self.account();
        if version < floor {
            account.violate(&format!("W14: {id}: {by} answers version {version} after {floor} was answered"));
        }
        if over {
            account.open.remove(id);
        }
        if let Some(known) = account.executions.get_mut(id) {
            known.floor = known.floor.max(version);
        }
    }

    /// A read has told a history. What was told before has to be its beginning, or it the beginning of that.
    pub(crate) fn told(&self, id: &str, floor: u64, events: Vec<Value>, by: &str) {
        let version = events.len() as u64;
        self.saw(id, floor, version, false, &format!("a history from {by}"));
        let mut account = self.account();
        let Some(known) = account.executions.get_mut(id) else { return };
        let (shorter, longer) = if known.history.len() < events.len() {
            (&known.history, &events)
        } else {
            (&events, &known.history)
        };
        let wrong = history::extends(id, shorter, longer);
        if known.history.len() < events.len() {
            known.history = events;
        }
        if let Some(wrong) = wrong {
            account.violate(&wrong);
        }
    }

    pub(crate) fn open(&self) -> usize {
        self.account().open.len()
    }

    /// Some executions that are not known to be over, with the highest version known.
    pub(crate) fn some_open(&self, random: &mut Random, count: usize) -> Vec<(String, u64)> {
        let account = self.account();
        let all: Vec<_> = account.open.iter().collect();
        let mut chosen = BTreeSet::new();
        for _ in 0..count.min(all.len()) {
            chosen.insert(random.choice(&all));
        }
        chosen.into_iter().map(|id| (String::clone(id), account.executions[*id].floor)).collect()
    }

    pub(crate) fn done(&self) -> Done {
        self.account().done
    }

    pub(crate) fn executions(&self) -> BTreeMap<String, Known> {
        self.account().executions.clone()
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.account().violations.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_read_that_sees_less_than_one_before_it_is_found() {
        let ledger = Ledger::default();
        ledger.acknowledge(1, "e", 2);
        let (early, late) = (ledger.floor("e"), 5);
        ledger.saw("e", early, late, false, "a");
        ledger.saw("e", early, 3, false, "b");
        assert!(ledger.violations().is_empty(), "they ran side by side");
        ledger.saw("e", ledger.floor("e"), 4, false, "c");
        assert_eq!(ledger.violations().len(), 1);
    }

    #[test]
    fn a_history_that_changes_is_found() {
        let ledger = Ledger::default();
        ledger.acknowledge(1, "e", 0);
        let [a, b, c] = ["a", "b", "c"].map(|name| json!({ "type": name }));
        ledger.told("e", 0, vec![a.clone(), b.clone()], "d");
        ledger.told("e", 0, vec![a.clone()], "d");
        ledger.told("e", 0, vec![a.clone(), b.clone(), c.clone()], "d");
        assert!(ledger.violations().is_empty());
        ledger.told("e", 0, vec![a, c, b], "d");
        assert_eq!(ledger.violations().len(), 1);
    }

    #[test]
    fn one_id_for_two_submissions_is_found() {
        let ledger = Ledger::default();
        ledger.acknowledge(1, "e", 0);
        ledger.acknowledge(2, "e", 0);
        assert_eq!(ledger.violations().len(), 1);
    }

    #[test]
    fn nothing_is_tried_again_while_its_end_is_asked_for() {
        let ledger = Ledger::default();
        ledger.acknowledge(1, "e", 0);
        assert!(ledger.may_cancel("e") && !ledger.may_decide("e"));
        ledger.set_cancel("e", Cancel::Acknowledged);
        assert!(!ledger.may_decide("e"));
        ledger.acknowledge(2, "f", 0);
        assert!(ledger.may_decide("f") && !ledger.may_cancel("f"));
        ledger.acknowledge(3, "g", 0);
        assert!(ledger.may_cancel("g"));
        ledger.set_cancel("g", Cancel::Unknown);
        assert!(ledger.may_decide("g"), "somebody has to");
    }
}
