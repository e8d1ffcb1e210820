//! Breaks real Everstep processes and checks what users see.
//!
//! # The idea
//!
//! This program knows nothing of the inside: it starts the binary, speaks HTTP, and keeps an outside
//! record of effects, a file that shell steps append to. It breaks the process at random instants, and
//! afterwards compares three accounts of the same work: what was acknowledged, what the histories say,
//! and what really happened. The randomness comes from one seed, which is printed.
//!
//! With several nodes there is more to break: a proxy stands between each pair of them (`net`), nodes come and go
//! (`cluster`), faults follow one another (`fault`), and clients that may ask any node keep account of what each of
//! them said (`client`). What all of it comes to is reckoned in the end (`verdict`).
//!
//! # What a run must prove
//!
//! - W1, W19: every acknowledged submission exists once, under the acknowledged id, and finishes.
//! - W2: histories have no gaps, their time never runs back, and what was read earlier stays true.
//! - W3: what follows what in a history is lawful.
//! - W4: per attempt one start at most, one outcome at most, and no outcome without a start.
//! - W6: whatever happened outside was started in the history before.
//! - W7: a completed step is never run again.
//! - W8: no wait ends before its time.
//! - W11: an acknowledged cancel is followed by no start.
//! - W14: no read tells less than one that ended before it began.
//! - W17: what is counted is what is listed.
//!
//! A run that did too little work, or whose kills never hit an attempt in flight, proves nothing and fails.
//!
//! # Caveats
//!
//! A seed repeats the faults and the work, not the scheduling of the operating system: a violation may
//! need several runs to come back. A failed run therefore keeps everything: data, logs, effects, accounts.

mod api;
mod client;
mod clock;
mod cluster;
mod counts;
mod door;
mod effects;
mod eio;
mod fault;
mod files;
mod flips;
mod history;
mod kill;
mod lawful;
mod measure;
mod net;
mod policy;
mod ports;
mod power;
mod preload;
mod probe;
mod process;
mod recorder;
mod report;
mod run;
mod scenario;
mod seed;
mod site;
mod summary;
mod verdict;
mod work;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nix::sys::resource::{Resource, setrlimit};

/// Breaks real Everstep processes and checks what users see.
#[derive(Debug, Parser)]
#[command(name = "everstep-chaos", version)]
struct Cli {
    #[command(subcommand)]
    scenario: Scenario,
}

/// What to break.
#[derive(Debug, Subcommand)]
enum Scenario {
    /// Kill one node with SIGKILL at random instants while it works
    Kill(kill::KillArgs),
    /// Break several nodes in many ways while clients work with them
    Run(run::RunArgs),
    /// Damage the files of a node in one place after the other
    Flips(flips::FlipsArgs),
    /// Measure how long executions stand still when their leader is killed
    Failover(measure::FailoverArgs),
    /// Measure what a rolling restart under load costs
    Handover(measure::HandoverArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    // A node that ends itself because its disk fails would leave its memory behind, each time.
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        report::say(&format!("core files are not switched off: {error}"));
    }
    let done = match Cli::parse().scenario {
        Scenario::Kill(args) => kill::run(args).await,
        Scenario::Run(args) => run::run(args).await,
        Scenario::Flips(args) => flips::run(args).await,
        Scenario::Failover(args) => measure::failover(args).await,
        Scenario::Handover(args) => measure::handover(args).await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
