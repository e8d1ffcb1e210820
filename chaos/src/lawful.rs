//! W3: what may follow what in a history, in a small model that was written from the documentation alone.
//!
//! An execution runs, is paused, or is over. A step is idle, in flight, waiting (for the end of a backoff or for a time),
//! stopped until a person tries it again, or done. Each event says from which of these it leads to which; everything
//! else is a breach. The steps of the given order follow one another: none begins before the one before it is done.
//!
//! W5 in part: a start names the leadership that made it, and leaderships only grow.

use std::collections::BTreeMap;

use serde_json::Value;

/// Where an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Life {
    #[default]
    Unborn,
    Runs,
    Paused,
    Over,
}

/// Where a step stands. The number is that of its latest attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Idle,
    InFlight(u64),
    /// Another attempt comes, not before this time.
    BackOff(String),
    /// It waits for a time and has no attempts.
    Waits,
    /// There is no attempt left, or a person has to say what became of the last.
    Stuck,
    Done,
}

/// A reader of one history.
#[derive(Debug, Default)]
struct Reader<'a> {
    order: &'a [&'a str],
    life: Life,
    steps: BTreeMap<String, Step>,
    /// The last attempt of each step. A retry counts on.
    attempts: BTreeMap<String, u64>,
    epoch: u64,
}

/// The first breach, if there is one. After it the reader does not know where it is.
pub(crate) fn check(events: &[Value], order: &[&str]) -> Option<String> {
    let mut reader = Reader { order, ..Reader::default() };
    events.iter().find_map(|event| {
        let before = format!("{:?}", reader.life);
        let read = reader.read(event);
        read.err()
            .map(|why| format!("event {}, {}, when it {before}: {why}", event["version"], event["type"]))
    })
}

type Read = Result<(), String>;

fn wrong<T>(why: impl Into<String>) -> Result<T, String> {
    Err(why.into())
}

impl Reader<'_> {
    fn read(&mut self, event: &Value) -> Read {
        let kind = event["type"].as_str().unwrap_or_default();
        if let Some(step) = event["step_id"].as_str() {
            return self.of_step(kind, step, event);
        }
        self.life = match (kind, self.life) {
            ("created", Life::Unborn) => Life::Runs,
            ("paused", Life::Runs) => Life::Paused,
            ("resumed", Life::Paused) => Life::Runs,
            ("completed", Life::Runs) => {
                self.nothing_left()?;
                Life::Over
            }
            ("failed", Life::Runs | Life::Paused) | ("cancelled", Life::Runs | Life::Paused) => Life::Over,
            ("retried", Life::Over | Life::Runs) => self.again(event)?,
            _ => return wrong("this does not come here"),
        };
        Ok(())
    }

    /// A retry begins the steps it names anew: of an execution that runs, only such as are stuck.
    fn again(&mut self, event: &Value) -> Result<Life, String> {
        for name in event["steps"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let step = self.steps.remove(name);
            if self.life == Life::Runs && step != Some(Step::Stuck) {
                return wrong(format!("{name} is {step:?}"));
            }
        }
        Ok(Life::Runs)
    }

    fn nothing_left(&self) -> Read {
        let left = |step: &Step| !matches!(step, Step::Idle | Step::Done);
        if let Some((name, step)) = self.steps.iter().find(|(_, step)| left(step)) {
            return wrong(format!("{name} is {step:?}"));
        }
        match self.order.iter().find(|name| self.steps.get(**name) != Some(&Step::Done)) {
            Some(name) => wrong(format!("{name} was never done")),
            None => Ok(()),
        }
    }

    fn of_step(&mut self, kind: &str, name: &str, event: &Value) -> Read {
        // What comes late is told and changes nothing.
        if kind == "outcome_ignored" {
            return if self.life == Life::Unborn { wrong("there is no execution") } else { Ok(()) };
        }
        let step = self.steps.get(name).cloned().unwrap_or(Step::Idle);
        let begins = matches!(kind, "attempt_started" | "step_waiting" | "step_skipped");
        match self.life {
            Life::Runs => {}
            // What was in flight may come to its end; nothing begins.
            Life::Paused if !begins => {}
            Life::Unborn | Life::Paused | Life::Over => return wrong(format!("{name} moves")),
        }
        if begins && step == Step::Idle {
            self.in_turn(name)?;
        }
        let next = self.next(kind, name, step, event)?;
        self.steps.insert(name.to_owned(), next);
        Ok(())
    }

    /// All steps before this one are done.
    fn in_turn(&self, name: &str) -> Read {
        let before = self.order.iter().take_while(|step| **step != name);
        match before.copied().find(|step| self.steps.get(*step) != Some(&Step::Done)) {
            Some(step) => wrong(format!("{name} begins before {step} is done")),
            None => Ok(()),
        }
    }

    fn next(&mut self, kind: &str, name: &str, step: Step, event: &Value) -> Result<Step, String> {
        let number = event["attempt"].as_u64().unwrap_or(0);
        match (kind, step) {
            ("attempt_started", Step::Idle) => self.started(event, name, number),
            ("attempt_started", Step::BackOff(until)) => {
                // Times of one form compare as text.
                if event["at"].as_str() < Some(until.as_str()) {
                    return wrong(format!("attempt {number} begins before {until}"));
                }
                self.started(event, name, number)
            }
            ("attempt_completed", Step::InFlight(now)) if now == number => Ok(Step::Done),
            ("attempt_failed", Step::InFlight(now)) if now == number => match event["next"].as_str() {
                Some("backoff") => Ok(Step::BackOff(event["until"].as_str().unwrap_or_default().to_owned())),
                Some("exhausted" | "uncertain") => Ok(Step::Stuck),
                _ => wrong("nothing is said of what comes next"),
            },
            ("step_waiting", Step::Idle) => Ok(Step::Waits),
            ("step_completed", Step::Idle | Step::Waits) | ("step_skipped", Step::Idle | Step::Stuck) => {
                Ok(Step::Done)
            }
            ("step_failed", Step::Idle | Step::Stuck) => match event["handling"].as_str() {
                Some("unhandled") => Ok(Step::Stuck),
                _ => Ok(Step::Done),
            },
            ("step_cancelled", Step::InFlight(_) | Step::BackOff(..) | Step::Waits | Step::Stuck) => {
                Ok(Step::Done)
            }
            (_, step) => wrong(format!("the step is {step:?}")),
        }
    }

    fn started(&mut self, event: &Value, name: &str, number: u64) -> Result<Step, String> {
        let before = self.attempts.insert(name.to_owned(), number).unwrap_or(0);
        if number != before + 1 {
            return wrong(format!("attempt {number} follows attempt {before}"));
        }
        let epoch = event["epoch"].as_u64().unwrap_or(0);
        if epoch < self.epoch {
            return wrong(format!("W5: leadership {epoch} begins an attempt after {} did", self.epoch));
        }
        self.epoch = epoch;
        Ok(Step::InFlight(number))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// `event step attempt more…` for each line.
    fn history(lines: &[&str]) -> Vec<Value> {
        let event = |(place, line): (usize, &&str)| {
            let mut words = line.split(' ');
            let mut event = json!({"version": place + 1, "type": words.next(), "at": format!("t{place:02}")});
            if let Some(step) = words.next() {
                event["step_id"] = json!(step);
            }
            if let Some(attempt) = words.next() {
                event["attempt"] = json!(attempt.parse::<u64>().expect("a number"));
            }
            for word in words {
                let (name, value) = word.split_once('=').expect("a name and a value");
                event[name] = value.parse::<u64>().map_or_else(|_| json!(value), |number| json!(number));
            }
            event
        };
        lines.iter().enumerate().map(event).collect()
    }

    fn of(lines: &[&str]) -> Option<String> {
        check(&history(lines), &["a", "b"])
    }

    const WHOLE: [&str; 9] = [
        "created",
        "attempt_started a 1 epoch=3",
        "attempt_failed a 1 next=backoff until=t03",
        "attempt_started a 2 epoch=5",
        "attempt_completed a 2",
        "step_waiting b",
        "step_completed b",
        "completed",
        "outcome_ignored a 1",
    ];

    #[test]
    fn a_lawful_history_is_one() {
        assert_eq!(of(&WHOLE), None);
        assert_eq!(of(&["created", "attempt_started a 1", "cancelled", "outcome_ignored a 1"]), None);
        let paused = [
            "created",
            "attempt_started a 1",
            "paused",
            "attempt_completed a 1",
            "resumed",
            "step_waiting b",
        ];
        assert_eq!(of(&paused), None);
    }

    #[test]
    fn a_person_tries_again_what_is_stuck_and_nothing_else() {
        let lines = [
            "created",
            "attempt_started a 1",
            "attempt_failed a 1 next=uncertain",
            "retried",
            "attempt_started a 2",
        ];
        let mut events = history(&lines);
        events[3]["steps"] = json!(["a"]);
        assert_eq!(check(&events, &["a"]), None);
        events.remove(2);
        assert!(check(&events, &["a"]).is_some_and(|why| why.contains("InFlight")));
    }

    #[test]
    fn no_event_can_be_missing_or_come_twice() {
        // What it has to end with is looked at elsewhere.
        for (place, event) in WHOLE.into_iter().enumerate().take(WHOLE.len() - 2) {
            let mut missing = WHOLE.to_vec();
            missing.remove(place);
            // A step may also be done without a wait.
            assert!(of(&missing).is_some() || event == "step_waiting b", "without {event}");
            let mut twice = WHOLE.to_vec();
            twice.insert(place, event);
            assert!(of(&twice).is_some(), "twice {event}");
        }
    }

    #[test]
    fn every_breach_is_found() {
        let breaches: [(&[&str], &str); 7] = [
            (&["created", "step_waiting b"], "before a is done"),
            (&["created", "attempt_started a 2"], "follows"),
            (
                &[
                    "created",
                    "attempt_started a 1",
                    "attempt_failed a 1 next=backoff until=t09",
                    "attempt_started a 2",
                ],
                "before t09",
            ),
            (&["created", "cancelled", "attempt_started a 1"], "moves"),
            (&["created", "paused", "attempt_started a 1"], "moves"),
            (&["created", "attempt_started a 1", "completed"], "InFlight"),
            (
                &[
                    "created",
                    "attempt_started a 1 epoch=4",
                    "attempt_failed a 1 next=backoff until=t00",
                    "attempt_started a 2 epoch=3",
                ],
                "W5",
            ),
        ];
        for (lines, why) in breaches {
            let found = of(lines);
            assert!(found.as_ref().is_some_and(|text| text.contains(why)), "{lines:?}: {found:?}");
        }
    }
}
