//! The simulated outside world: steps that take their time and fail now and then, by the seed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstep::engine::definition::RunnerShape;
use everstep::engine::model::{Fault, Payload};
use everstep::runners::{Attempt, Runner, Running};

use crate::world::Dice;

/// Stands in for `noop`: remembers what it was asked, in order.
pub(crate) struct Outside {
    pub(crate) dice: Dice,
    pub(crate) seen: Arc<Mutex<Vec<String>>>,
}

impl Runner for Outside {
    fn name(&self) -> &'static str {
        "noop"
    }

    fn shape(&self) -> RunnerShape {
        RunnerShape { known: vec!["value".to_owned()], ..RunnerShape::default() }
    }

    fn run<'a>(&'a self, attempt: &'a Attempt) -> Running<'a> {
        let (takes_ms, fails) = (self.dice.below(40), self.dice.below(10) == 0);
        self.seen.lock().unwrap().push(format!("{}#{}", attempt.idempotency_key(), attempt.attempt));
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(takes_ms)).await;
            if fails { Err(Fault::retryable("outside", "not today")) } else { Ok(Payload::null()) }
        })
    }
}
