//! What a node tells of itself: logs on stderr, metrics as text.

use std::io::IsTerminal;
use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Upper bounds of latency histograms, in seconds.
const LATENCY_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

/// The recorder of the process: metrics are global, so nodes that share a process share it.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Installs the recorder, once, and gives the function that renders what it recorded.
pub(super) fn exposition() -> impl Fn() -> String + Clone + Send + Sync + 'static {
    let recorder = RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), LATENCY_BUCKETS)
            .expect("the list of buckets is not empty");
        match builder.install_recorder() {
            Ok(handle) => Some(handle),
            Err(error) => {
                tracing::warn!(%error, "metrics are off: another recorder is installed");
                None
            }
        }
    });
    move || recorder.as_ref().map(PrometheusHandle::render).unwrap_or_default()
}

/// Whether a text is a filter of the log.
pub(super) fn is_filter(level: &str) -> bool {
    EnvFilter::try_new(level).is_ok()
}

/// Sends the log to stderr, in colours on a terminal. A second call changes nothing.
pub fn log_to_stderr(level: &str, json: bool) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let builder =
        tracing_subscriber::fmt().with_ansi(colours).with_env_filter(filter).with_writer(std::io::stderr);
    let _installed_before = if json { builder.json().try_init() } else { builder.try_init() };
}
