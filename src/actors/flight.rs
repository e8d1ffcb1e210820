//! One attempt in flight: a spawned future with a deadline, owned by its execution's actor.

use std::future::Future;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::engine::model::{AttemptNumber, Fault, codes};
use crate::points::{self, Point};
use crate::runners::{Attempt, Outcome, Registry};

use super::aloft::Mark;

/// The longest an attempt runs when neither step nor execution sets a deadline: a day. A wait without
/// an end would hold its place for ever.
const ATTEMPT_MAX: Duration = Duration::from_secs(86_400);

/// An attempt in flight. Dropping it cancels the attempt, and with it the processes it started.
#[derive(Debug)]
pub(crate) struct Flight {
    /// Which attempt.
    pub(crate) attempt: AttemptNumber,
    task: AbortHandle,
    _mark: Mark,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How a launch went.
pub(crate) enum Launch {
    /// The runner answered at once; nothing is in flight.
    Landed(Outcome),
    /// It is at work; the outcome goes to the callback.
    Flying(Flight),
}

/// Starts an attempt. `left` is the time until its deadline; `mark` goes with the flight; `landed` gets the outcome
/// unless the flight is dropped before.
///
/// The future is polled once before it is spawned: a runner that has its answer at hand costs no task
/// and no message.
pub(crate) async fn launch(
    runners: Arc<Registry>,
    runner: String,
    attempt: Attempt,
    left: Option<Duration>,
    mark: impl FnOnce() -> Mark,
    landed: impl FnOnce(Outcome) + Send + 'static,
) -> Launch {
    let number = attempt.attempt;
    let mut running = Box::pin(async move {
        let limit = left.unwrap_or(ATTEMPT_MAX).min(ATTEMPT_MAX);
        match tokio::time::timeout(limit, runners.run(&attempt, &runner)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Fault::retryable(
                codes::TIMEOUT,
                format!("the attempt did not end within {} ms", limit.as_millis()),
            )),
        }
    });
    let first = std::future::poll_fn(|context| {
        Poll::Ready(match running.as_mut().poll(context) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        })
    })
    .await;
    if let Some(outcome) = first {
        return Launch::Landed(outcome);
    }
    let task = tokio::spawn(async move {
        let outcome = running.await;
        points::cross(Point::EffectDone).await;
        landed(outcome);
    });
    Launch::Flying(Flight { attempt: number, task: task.abort_handle(), _mark: mark() })
}
