//! `bench`: a node under load, measured as its callers feel it.
//!
//! Each client is one keep-alive connection that runs a workflow to its end with
//! `POST /api/workflows/{id}/execute?wait=30s`, again and again, or only submits it. The generator shares the machine with
//! the node it measures, so it does as little as it can: request bytes are made once, answers are only
//! checked for their status, and nothing is parsed.
//!
//! # Closed and open loop
//!
//! *Closed*: a client sends its next request when it has the answer to the last. That finds the most a
//! node can do, and flatters latency: a node that stalls is asked less.
//! *Open*: requests are due at a fixed rate, whatever the node does. Latency counts from the moment a
//! request was due, so a stall is felt by every request that should have been sent in it.
//!
//! # Caveats
//!
//! - An open loop needs enough clients: `rate × latency` of them are busy at the same time.
//! - A client that was idle when its request fell due counts from when it woke; timers are a millisecond
//!   coarse, and that is not the node's doing.

mod connection;
mod load;
mod report;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use everstep_sdk::{Client, Text};

use super::args::Globals;
use super::connect;
use super::failure::{Exit, Failure};
use super::output::{self, Format};
use super::run::{self, Embedded};
use super::stop::Stop;
use super::values::{parse_duration, read_input, read_text};
use connection::Request;
use load::{Plan, Target};
use report::Report;

/// Three effects that do nothing: what is left is the cost of making them durable.
const WORKFLOW: &str =
    "name: bench\nsteps:\n  - {id: a, type: noop}\n  - {id: b, type: noop}\n  - {id: c, type: noop}\n";

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// The definition to run; three noop steps if not given
    #[arg(long, value_name = "FILE", conflicts_with = "workflow_id")]
    workflow: Option<String>,
    /// A saved workflow to run instead
    #[arg(long, value_name = "ID")]
    workflow_id: Option<String>,
    /// What each execution is given, as JSON, or @FILE
    #[arg(long, value_name = "JSON|@FILE")]
    input: Option<String>,
    /// Clients, each with a connection of its own
    #[arg(short, long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=16_384))]
    concurrency: u32,
    /// Another node of the same cluster; may be given more than once. Clients are spread over all, and a client whose
    /// node hangs up goes on with the next
    #[arg(long, value_name = "URL", requires = "server")]
    node: Vec<String>,
    /// Only submit, and do not wait for the end
    #[arg(long)]
    no_wait: bool,
    /// How long to measure
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    duration: Duration,
    /// How long to run before measuring
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_duration)]
    warmup: Duration,
    /// When the next request is sent
    #[arg(long, value_enum, default_value_t = Mode::Closed)]
    mode: Mode,
    /// Requests per second in an open loop
    #[arg(long, value_name = "R", required_if_eq("mode", "open"), value_parser = positive)]
    rate: Option<f64>,
    /// Where an embedded node keeps everything; a fresh directory if not given
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// When the next request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// When the last is answered.
    Closed,
    /// When it is due.
    Open,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("a rate is a number above 0".to_owned()),
    }
}

pub(super) async fn run(globals: &Globals, args: BenchArgs) -> Result<Exit, Failure> {
    let mut stop = Stop::listen()?;
    if let Some(server) = &globals.server {
        let client = connect::connect_to(globals, server)?;
        let report = measure(globals, &client, &args, &mut stop).await?;
        return show(globals.output, &report);
    }
    let fresh = std::env::temp_dir().join(format!("everstep-bench-{}", std::process::id()));
    let data_dir = args.data_dir.clone().unwrap_or_else(|| fresh.clone());
    let embedded = Embedded::start(globals, &data_dir).await?;
    let measured = tokio::select! {
        measured = measure(globals, &embedded.client, &args, &mut stop) => measured,
        died = embedded.died() => Err(died),
    };
    let stopped = embedded.stop(&mut stop).await;
    if args.data_dir.is_none() {
        std::fs::remove_dir_all(&fresh)?;
    }
    let exit = show(globals.output, &measured?)?;
    stopped?;
    Ok(exit)
}

/// Warms up, measures, and reports what was measured; Ctrl-C ends the measuring early.
async fn measure(
    globals: &Globals,
    client: &Client,
    args: &BenchArgs,
    stop: &mut Stop,
) -> Result<Report, Failure> {
    let workflow_id = workflow(client, args).await?;
    let body = match read_input(args.input.as_deref())? {
        Some(input) => serde_json::json!({ "input": input }).to_string(),
        None => "{}".to_owned(),
    };
    let address = client.address().to_owned();
    let call = if args.no_wait { "trigger" } else { "execute?wait=30s" };
    let path = format!("/api/workflows/{workflow_id}/{call}");
    let mut addresses = Vec::new();
    for node in std::iter::once(&address).chain(&args.node) {
        addresses.push(resolve(node).await?);
    }
    let target = Target {
        addresses,
        waits: !args.no_wait,
        request: Request::post(host(&address), &path, globals.token.as_deref(), body.as_bytes()),
    };
    let plan = Plan {
        clients: args.concurrency,
        warmup: args.warmup,
        duration: args.duration,
        interval: args
            .rate
            .filter(|_| args.mode == Mode::Open)
            .map(|rate| Duration::from_secs_f64(1.0 / rate)),
    };
    let measured = tokio::select! {
        measured = load::run(&plan, &target) => measured?,
        () = stop.asked() => return Err(Failure::new(Exit::Interrupted, "interrupted", "measuring was interrupted")),
    };
    Ok(Report::new(&plan, args.rate, workflow_id, address, &measured))
}

async fn workflow(client: &Client, args: &BenchArgs) -> Result<String, Failure> {
    if let Some(id) = &args.workflow_id {
        return Ok(id.clone());
    }
    let (text, name) = match &args.workflow {
        Some(file) => read_text(file)?,
        None => (WORKFLOW.to_owned(), "the built-in workflow".to_owned()),
    };
    match client.workflows().create(Text(&text)).await {
        Ok(workflow) => Ok(workflow.id),
        Err(error) => Err(run::refusal(client, &text, &name, error).await),
    }
}

fn host(address: &str) -> &str {
    address.split_once("://").map_or(address, |(_, rest)| rest).split('/').next().unwrap_or_default()
}

async fn resolve(address: &str) -> Result<SocketAddr, Failure> {
    if address.starts_with("https://") {
        let message = "bench speaks plain http only: encryption would measure the generator";
        return Err(Failure::usage("usage", message));
    }
    let host = host(address);
    let spelled = if host.rsplit(']').next().is_some_and(|rest| rest.contains(':')) {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let mut found = tokio::net::lookup_host(&spelled).await?;
    found
        .next()
        .ok_or_else(|| Failure::new(Exit::Unavailable, "unreachable", format!("no address for {host}")))
}

fn show(format: Format, report: &Report) -> Result<Exit, Failure> {
    match format {
        Format::Table => output::line(&report.to_string())?,
        Format::Name => output::line(&format!("{:.0}", report.throughput_per_s))?,
        format => output::document(format, report)?,
    }
    Ok(if report.errors.is_empty() { Exit::Done } else { Exit::ExecutionFailed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_what_the_header_says() {
        assert_eq!(host("http://127.0.0.1:8000"), "127.0.0.1:8000");
        assert_eq!(host("http://example.com/base"), "example.com");
    }

    #[tokio::test]
    async fn addresses_get_their_port() {
        assert_eq!(resolve("http://127.0.0.1").await.unwrap().port(), 80);
        assert_eq!(resolve("http://[::1]:7").await.unwrap().port(), 7);
        assert!(resolve("https://127.0.0.1").await.is_err());
    }
}
