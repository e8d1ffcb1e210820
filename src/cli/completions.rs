//! `completions`: a script that teaches a shell our commands.

use std::io::Write;

use clap::CommandFactory;

use super::args::{Cli, CompletionsArgs};
use super::failure::{Exit, Failure};

pub(super) fn run(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "everstep", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(Exit::Done)
}
