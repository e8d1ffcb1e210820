//! What a node says of itself, on stderr.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use super::failure::Failure;
use super::style::Style;

/// Shows log lines of this level (`info`, or `everstep=debug,warn`) as `text` or `json`.
pub(super) fn start(level: &str, format: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(level)
        .map_err(|error| Failure::usage("settings", format!("settings: log.level = {level}: {error}")))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = if format == "json" {
        subscriber.json().finish().try_init()
    } else {
        subscriber.with_ansi(Style::stderr() != Style::none()).finish().try_init()
    };
    started.map_err(|error: TryInitError| io::Error::other(error.to_string()).into())
}
