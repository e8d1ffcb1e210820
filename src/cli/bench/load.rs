//! The clients, and what they measure together.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::super::failure::{Exit, Failure};
use super::connection::{Connection, Outcome, Request};

/// The longest latency told apart, in microseconds: beyond the server's wait.
const LATENCY_US_MAX: u64 = 120_000_000;

/// Where the load goes.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Nodes of one cluster. Each client begins with another one.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) request: Request,
    /// An answer means that the execution has ended.
    pub(super) waits: bool,
}

/// How much load.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) clients: u32,
    pub(super) warmup: Duration,
    pub(super) duration: Duration,
    /// Between two requests of an open loop; none for a closed one.
    pub(super) interval: Option<Duration>,
}

/// What was measured after the warm-up.
#[derive(Debug)]
pub(super) struct Measured {
    /// Latencies of completed executions, in microseconds.
    pub(super) latency_us: Histogram<u64>,
    /// What went wrong, and how often.
    pub(super) errors: BTreeMap<String, u64>,
    /// How long was measured.
    pub(super) took: Duration,
}

/// What all clients share.
struct Shared {
    target: Target,
    interval: Option<Duration>,
    start: Instant,
    measured_from: Instant,
    end: Instant,
    /// The number of the next request of an open loop.
    next: AtomicU64,
    measured: Mutex<Measured>,
}

/// Runs the clients to the end of the plan.
pub(super) async fn run(plan: &Plan, target: &Target) -> Result<Measured, Failure> {
    let mut connections = Vec::new();
    let starts = (0..target.addresses.len()).cycle();
    for (_, at) in (0..plan.clients).zip(starts) {
        let address = target.addresses[at];
        let opened = Connection::open(address).await.map(|connection| (at, connection));
        connections.push(opened.map_err(|error| {
            Failure::new(Exit::Unavailable, "unreachable", format!("reach {address}: {error}"))
        })?);
    }
    let start = Instant::now();
    let latency_us = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("the bounds are lawful");
    let measured = Measured { latency_us, errors: BTreeMap::new(), took: plan.duration };
    let shared = Arc::new(Shared {
        target: target.clone(),
        interval: plan.interval,
        start,
        measured_from: start + plan.warmup,
        end: start + plan.warmup + plan.duration,
        next: AtomicU64::new(0),
        measured: Mutex::new(measured),
    });
    let mut clients = JoinSet::new();
    for (at, connection) in connections {
        clients.spawn(client(Arc::clone(&shared), at, connection));
    }
    while clients.join_next().await.is_some() {}
    let shared = Arc::into_inner(shared).expect("every client has ended");
    Ok(shared.measured.into_inner().expect("no client panics while it records"))
}

async fn client(shared: Arc<Shared>, mut at: usize, mut connection: Connection) {
    while let Some(due) = shared.due().await {
        let outcome = connection.ask(&shared.target.request).await;
        let now = Instant::now();
        if due >= shared.measured_from && now <= shared.end {
            shared.record(now - due, &outcome);
        }
        if outcome.is_err() || connection.is_closing() {
            let Some(fresh) = reopen(&shared, &mut at).await else { return };
            connection = fresh;
        }
    }
}

/// Goes on with the next node, and the next, until one is there or the time is over.
async fn reopen(shared: &Shared, at: &mut usize) -> Option<Connection> {
    let addresses = &shared.target.addresses;
    while Instant::now() < shared.end {
        for _ in addresses {
            *at = (*at + 1) % addresses.len();
            if let Ok(fresh) = Connection::open(addresses[*at]).await {
                return Some(fresh);
            }
        }
        // All are gone, and are asked again at a pace that leaves them room to come back.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    None
}

impl Shared {
    /// Waits until the next request is to be sent; from when its latency counts, or none at the end.
    async fn due(&self) -> Option<Instant> {
        let now = Instant::now();
        let Some(interval) = self.interval else {
            return (now < self.end).then_some(now);
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = self.start + interval.mul_f64(number as f64);
        if due >= self.end {
            return None;
        }
        if due <= now {
            // The clients are behind: the wait is the server's doing and counts.
            return Some(due);
        }
        sleep_until(due).await;
        Some(Instant::now())
    }

    fn record(&self, latency: Duration, outcome: &std::io::Result<Outcome>) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let error = match outcome {
            Ok(Outcome::Completed) => None,
            Ok(Outcome::NotCompleted) if !self.target.waits => None,
            Ok(Outcome::NotCompleted) => Some("not_completed".to_owned()),
            Ok(Outcome::Refused(status)) => Some(format!("http_{status}")),
            Err(error) => Some(format!("{:?}", error.kind()).to_lowercase()),
        };
        let mut measured = self.measured.lock().expect("no client panics while it records");
        match error {
            None => measured.latency_us.saturating_record(micros.max(1)),
            Some(error) => *measured.errors.entry(error).or_default() += 1,
        }
    }
}
