//! What a bench has found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::load::{Measured, Plan};

/// What a bench has found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    /// Which server.
    pub(super) server: String,
    /// Which workflow.
    pub(super) workflow_id: String,
    /// `closed` or `open`.
    pub(super) mode: &'static str,
    /// Requests per second that were due, in an open loop.
    pub(super) rate_per_s: Option<f64>,
    /// Connections.
    pub(super) clients: u32,
    /// How long was measured.
    pub(super) duration_s: f64,
    /// Executions that completed.
    pub(super) completed: u64,
    /// Executions that completed, per second.
    pub(super) throughput_per_s: f64,
    /// What went wrong, and how often.
    pub(super) errors: BTreeMap<String, u64>,
    /// From due to answered, of completed executions.
    pub(super) latency_ms: Latency,
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Latency {
    pub(super) mean: f64,
    pub(super) min: f64,
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
}

impl Report {
    pub(super) fn new(
        plan: &Plan,
        rate: Option<f64>,
        workflow_id: String,
        server: String,
        measured: &Measured,
    ) -> Self {
        let histogram = &measured.latency_us;
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        let latency_ms = Latency {
            mean: histogram.mean() / 1_000.0,
            min: histogram.min() as f64 / 1_000.0,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max() as f64 / 1_000.0,
        };
        let duration_s = measured.took.as_secs_f64();
        let open = plan.interval.is_some();
        Self {
            server,
            workflow_id,
            mode: if open { "open" } else { "closed" },
            rate_per_s: rate.filter(|_| open),
            clients: plan.clients,
            duration_s,
            completed: histogram.len(),
            throughput_per_s: histogram.len() as f64 / duration_s.max(f64::MIN_POSITIVE),
            errors: measured.errors.clone(),
            latency_ms,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.rate_per_s.map(|rate| format!(" at {rate}/s")).unwrap_or_default();
        let (mode, clients, duration) = (self.mode, self.clients, self.duration_s);
        writeln!(f, "{mode} loop{rate}, {clients} clients, {duration:.1} s")?;
        writeln!(f, "throughput  {:.0} executions/s ({} in all)", self.throughput_per_s, self.completed)?;
        let latency = &self.latency_ms;
        write!(f, "latency     ")?;
        let shown = [
            ("mean", latency.mean),
            ("p50", latency.p50),
            ("p90", latency.p90),
            ("p99", latency.p99),
            ("p99.9", latency.p999),
            ("max", latency.max),
        ];
        for (index, (name, value)) in shown.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name} {value:.2} ms")?;
        }
        if self.errors.is_empty() {
            return write!(f, "\nerrors      none");
        }
        let errors: Vec<_> = self.errors.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        write!(f, "\nerrors      {}", errors.join(", "))
    }
}
