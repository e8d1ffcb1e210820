//! Floor 8: people in, people out.
//!
//! # The idea
//!
//! Every command is a client: it talks to a node over HTTP through the sdk, as any program would, and
//! knows nothing a program could not know. `dev`, `serve` and an embedded `run` also start a node, and
//! then talk to it in the same way, over loopback.
//!
//! Three conventions hold everywhere:
//! - what was asked for goes to stdout in the format of `-o`; everything else goes to stderr, and
//!   progress only where stderr is a terminal;
//! - a command ends in a `Failure` or not at all wrong: the failure knows the exit code, and is
//!   shown as text, or as JSON under `-o json`;
//! - a reader that closes our stdout has seen enough: that is no failure.
//!
//! # Reading order
//!
//! `args` (what can be asked), `failure` (how it can end), `output` (how it is shown), then a file for
//! each command; `run`, `bench`, `cluster` and `nodes` are folders.

mod args;
mod bench;
mod cluster;
mod completions;
mod config;
mod connect;
mod executions;
mod failure;
mod nodes;
mod output;
mod run;
mod serve;
mod step_view;
mod stop;
mod style;
mod values;
mod verify;
mod workflows;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::node;
use args::{Cli, Command};
use failure::{Exit, Failure};
use output::Format;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse_usage(&error, &arguments),
    };
    let format = cli.globals.output;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(run_command(cli));
            // A spawned future that still holds on must not hold the person up.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(Failure::from(error)),
    };
    match ended {
        Ok(exit) => exit.code(),
        Err(failure) => failure.show(format),
    }
}

async fn run_command(cli: Cli) -> Result<Exit, Failure> {
    let globals = cli.globals;
    match cli.command {
        Command::Run(args) => Box::pin(run::run(&globals, args)).await,
        Command::Dev(args) => serve::dev(&globals, args).await,
        Command::Serve(args) => serve::serve(&globals, args).await,
        Command::Workflows(command) => Box::pin(workflows::run(&globals, command)).await,
        Command::Executions(command) => Box::pin(executions::run(&globals, command)).await,
        Command::Cluster(command) => Box::pin(cluster::run(&globals, command)).await,
        Command::Verify(args) => verify::run(&globals, &args),
        Command::Bench(args) => Box::pin(bench::run(&globals, args)).await,
        Command::Config(command) => config::run(&globals, &command),
        Command::Completions(args) => completions::run(&args),
    }
}

/// Help and version are answers; anything else is exit code 2, as JSON if the arguments ask for JSON.
fn refuse_usage(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let answers = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if answers || !asks_for_json(arguments) {
        // Nobody is left to tell if this cannot be printed.
        let _ = error.print();
        return if answers { Exit::Done.code() } else { Exit::Usage.code() };
    }
    let text = error.to_string();
    let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    Failure::usage("usage", message).show(Format::Json)
}

fn asks_for_json(arguments: &[OsString]) -> bool {
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    let joined = words
        .iter()
        .any(|word| ["-ojson", "-o=json", "--output=json"].iter().any(|asked| word.starts_with(asked)));
    let apart = words
        .windows(2)
        .any(|pair| matches!(pair[0].as_ref(), "-o" | "--output") && pair[1].starts_with("json"));
    joined || apart
}
